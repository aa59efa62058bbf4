/* Reading credentials.  Runs in: dial.  No error and no line of log holds anything of what a file holds. */
#include "kubeclient/cred.h"

#include <ctype.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kubeclient/child.h"
#include "netpriv/util.h"

#define PARSE_S 5

__attribute__((format(printf, 4, 5))) static int
say(int err, char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return err;
}

static size_t
trim(char *text, size_t len)
{
	size_t start = 0;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	while (start < len && isspace((unsigned char)text[start]))
		start++;
	memmove(text, text + start, len - start);
	return len - start;
}

/* The kubelet swaps links and a reader must not wait for a FIFO's writer: opened anew each time, and looked at first. */
static ssize_t
read_regular(const char *path, char *out, size_t max, char *why, size_t size)
{
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return say(-errno, why, size, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return say(-EINVAL, why, size, "%s: not a regular file", path);
	/* Whoever can write it says whom the node believes. */
	if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return say(-EPERM, why, size, "%s: must belong to root, and nobody else may write to it", path);
	if (st.st_size > (off_t)max)
		return say(-EFBIG, why, size, "%s: longer than %zu bytes", path, max);
	n = util_read_full(fd, out, max);
	if (n < 0)
		return say((int)n, why, size, "%s: %s", path, strerror((int)-n));
	if (n == 0)
		return say(-ENODATA, why, size, "%s: is empty", path);
	return n;
}

ssize_t
cred_read_file(const char *path, bool token, char *out, size_t max, char *why, size_t size)
{
	ssize_t n = read_regular(path, out, max, why, size);

	if (n < 0)
		return n;
	if (!token)
		return memmem(out, (size_t)n, "-----BEGIN", 10) ? n : say(-EINVAL, why, size, "%s: not PEM", path);
	n = (ssize_t)trim(out, (size_t)n);
	return n > 0 ? n : say(-ENODATA, why, size, "%s: is empty", path);
}

struct input {
	const char *text;
	size_t len;
};

static void
parse(int out, const void *arg)
{
	static struct kubeconfig k;
	const struct input *in = arg;

	kubeconfig_parse(in->text, in->len, &k);
	util_write_all(out, &k, sizeof(k));
}

static int
parse_in_child(const char *file, const struct input *in, const struct sock_fprog *filter, struct kubeconfig *k,
	       char *why, size_t size)
{
	struct child c;
	int err = child_start(&c, PARSE_S, -1, filter, parse, in);

	if (err == 0)
		err = child_wait(&c, k, sizeof(*k));
	if (err == 0)
		err = kubeconfig_check(k);
	if (err < 0)
		return say(err, why, size, "%s: its reader gave no answer: %s", file, strerror(-err));
	if (k->error[0])
		return say(-EINVAL, why, size, "%s: %s", file, k->error);
	if (kubeconfig_resolve(k, file) < 0)
		return say(-ENAMETOOLONG, why, size, "%s: names a file with a path that is too long", file);
	return 1;
}

static int
find_in_cluster(const struct conf *conf, struct kubeconfig *k, char *why, size_t size)
{
	if (!conf->api_host[0] || !conf->api_port)
		return say(-EINVAL, why, size,
			   "no API server: set \"kubeconfig\", or run in a pod, where KUBERNETES_SERVICE_HOST and "
			   "KUBERNETES_SERVICE_PORT say where it is");
	memset(k, 0, sizeof(*k));
	util_copy(k->host, sizeof(k->host), conf->api_host);
	k->port = conf->api_port;
	util_copy(k->items[PART_CA].path, CONF_PATH, CRED_IN_CLUSTER "/ca.crt");
	util_copy(k->items[PART_TOKEN].path, CONF_PATH, CRED_IN_CLUSTER "/token");
	return kubeconfig_check(k) ? say(-EINVAL, why, size, "KUBERNETES_SERVICE_HOST: must be a DNS name or an address") : 1;
}

static void
drop_text(char **text, size_t len)
{
	if (*text)
		explicit_bzero(*text, len);
	free(*text);
	*text = NULL;
}

int
cred_find(const struct conf *conf, const struct sock_fprog *filter, struct kubeconfig *k, char **text, size_t *len,
	  char *why, size_t size)
{
	char *now;
	ssize_t n;
	int err;

	if (!conf->kubeconfig[0])
		return find_in_cluster(conf, k, why, size);
	now = malloc(KUBECONFIG_MAX);
	if (!now)
		return say(-ENOMEM, why, size, "out of memory");
	n = read_regular(conf->kubeconfig, now, KUBECONFIG_MAX, why, size);
	if (n < 0 || (*text && *len == (size_t)n && memcmp(*text, now, *len) == 0)) {
		drop_text(&now, n < 0 ? 0 : (size_t)n);
		return n < 0 ? (int)n : 0;
	}
	err = parse_in_child(conf->kubeconfig, &(struct input){ now, (size_t)n }, filter, k, why, size);
	if (err < 0) {
		drop_text(&now, (size_t)n);
		return err;
	}
	drop_text(text, *len);
	*text = realloc(now, (size_t)n);
	*len = (size_t)n;
	return err;
}

static int
add_place(struct cred_places *p, const char *dir, char *why, size_t size)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->list[i], dir) == 0)
			return 0;
	if (util_copy(p->list[p->n++], CONF_PATH, dir))
		return say(-ENAMETOOLONG, why, size, "%s: the path is too long", dir);
	return 0;
}

/* path's directory; and when the file is a link out of there, the directory it leads to. A file that is not there yet is no error. */
static int
add_file(struct cred_places *p, const char *path, char *why, size_t size)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
	char copy[CONF_PATH], real[PATH_MAX];
	cleanup_close int dir = -1, file = -1;

	if (!path[0])
		return 0;
	util_copy(copy, sizeof(copy), path);
	if (add_place(p, dirname(copy), why, size))
		return -ENAMETOOLONG;
	dir = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return say(-errno, why, size, "%s: %s", copy, strerror(errno));
	file = (int)syscall(SYS_openat2, dir, strrchr(path, '/') + 1, &how, sizeof(how));
	if (file >= 0 || errno != EXDEV || !realpath(path, real))
		return 0;
	return add_place(p, dirname(real), why, size);
}

int
cred_places(const struct kubeconfig *k, const char *file, struct cred_places *p, char *why, size_t size)
{
	int err;

	p->n = 0;
	err = add_file(p, file, why, size);
	for (unsigned i = 0; i < PART_COUNT && err == 0; i++)
		err = add_file(p, k->items[i].path, why, size);
	return err;
}

/* One part behind the others. Its length, or -errno. */
static ssize_t
load_part(const struct kubeconfig *k, enum kubeconfig_part part, char *out, char *why, size_t size)
{
	const struct kubeconfig_item *i = &k->items[part];
	ssize_t n;

	if (i->path[0]) {
		n = cred_read_file(i->path, part == PART_TOKEN, out, SERVER_ITEM_MAX, why, size);
	} else {
		memcpy(out, i->data, i->len);
		n = (ssize_t)(part == PART_TOKEN ? trim(out, i->len) : i->len);
	}
	/* It becomes part of a header line. */
	for (ssize_t c = 0; part == PART_TOKEN && c < n; c++)
		if (out[c] <= ' ' || out[c] > '~')
			return say(-EINVAL, why, size, "%s: holds more than one word of printable text",
				   i->path[0] ? i->path : "token");
	return n;
}

static void
name_server(const struct kubeconfig *k, bool bootstrap, struct msg_server *m)
{
	bool brackets = strchr(k->host, ':') != NULL;

	memset(m, 0, sizeof(*m));
	m->flags = bootstrap ? SERVER_BOOTSTRAP : 0;
	util_copy(m->name, sizeof(m->name), k->tls_name[0] ? k->tls_name : k->host);
	snprintf(m->authority, sizeof(m->authority), "%s%s%s:%u", brackets ? "[" : "", k->host, brackets ? "]" : "",
		 k->port);
	util_copy(m->prefix, sizeof(m->prefix), k->prefix);
}

int
cred_load(const struct kubeconfig *k, bool bootstrap, struct msg_server *m, char *why, size_t size)
{
	char *all = malloc(PART_COUNT * SERVER_ITEM_MAX);
	uint32_t *const lens[PART_COUNT] = { [PART_CA] = &m->ca_len, [PART_CERT] = &m->cert_len, [PART_KEY] = &m->key_len,
					     [PART_TOKEN] = &m->token_len };
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	if (!all)
		return say(-ENOMEM, why, size, "out of memory");
	name_server(k, bootstrap, m);
	for (unsigned i = 0; i < PART_COUNT && n >= 0; i++) {
		n = load_part(k, (enum kubeconfig_part)i, all + used, why, size);
		if (n >= 0) {
			*lens[i] = (uint32_t)n;
			used += (size_t)n;
		}
	}
	fd = n < 0 ? (int)n : util_sealed_memfd("credentials", all, used);
	if (n >= 0 && fd < 0)
		say(fd, why, size, "credentials: %s", strerror(-fd));
	explicit_bzero(all, n < 0 ? used + SERVER_ITEM_MAX : used);
	free(all);
	return fd;
}

bool
cred_same(int a, int b)
{
	void *x, *y;
	size_t n, m;
	bool same = false;

	if (a < 0 || b < 0 || util_map_memfd(a, PART_COUNT * SERVER_ITEM_MAX, &x, &n) < 0)
		return false;
	if (util_map_memfd(b, PART_COUNT * SERVER_ITEM_MAX, &y, &m) == 0) {
		same = n == m && memcmp(x, y, n) == 0;
		munmap(y, m);
	}
	munmap(x, n);
	return same;
}
