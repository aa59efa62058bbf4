/* postern-autoconf: writes the runtime's CNI configuration file, and follows the primary configuration that it is made of.
 * Runs in: autoconf (uid 0, no capability, Landlock: the one directory to read, the other to write).  Trusts: both directories'
 * owner, root. What the primary file holds is read here and parsed in a child of its own, which answers with one fixed struct.
 *
 * Whatever is wrong, missing or half written changes nothing: the file that is there stays, also when Postern stops. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "broker/json.h"
#include "broker/primary.h"
#include "kubeclient/child.h"
#include "netpriv/check.h"
#include "netpriv/log.h"
#include "netpriv/trust.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define SETTLE_MS 50   /* from a change in the directory to a look at it: more changes follow */
#define RETRY_MS  1000 /* while something is waited for that tells nobody */
#define GONE_MS	  10000 /* a primary that is away for so long gives its place to the next */
#define PARSE_S	  5
#define NEVER	  INT64_MAX
#define MULTUS	  "00-multus.conf"
#define ASIDE	  MULTUS ".before-postern" /* no runtime reads that */

/* What a child makes of a primary configuration. */
struct answer {
	uint32_t error; /* a CNI error code, 0: it is well */
	uint32_t len;	/* of text; 0: the file itself is what is written */
	char why[WIRE_TEXT];
	char text[16384];
};

struct task {
	const char *file, *text;
	size_t len;
};

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_AUTOCONF, ROLE_SUPERVISOR);
static const struct conf *conf;
static struct sock_fprog reader; /* the filter of the child that parses */
static int in = -1, out = -1;	 /* autoconf_dir, autoconf_out; -1: not there yet */
static int watch = -1, places[2] = { -1, -1 }; /* of in, out */
static char temp[80]; /* what is renamed to autoconf_file */
static int64_t look_at;

static char current[256];  /* the primary, once it was good for a file */
static int64_t gone_since; /* 0: it is there */
static char last[JSON_MAX_BYTES]; /* what was tried last, and where it stood */
static size_t last_len;
static char last_name[256];
static ino_t last_ino;

/* The same trouble is told once; "" ends it. */
static void
complain(const char *why)
{
	static char told[1024];

	if (why[0] && strncmp(told, why, sizeof(told) - 1) != 0)
		log_warn("%s; %s/%s stays as it is", why, conf->autoconf_out, conf->autoconf_file);
	snprintf(told, sizeof(told), "%s", why);
}

static void
look_in(int64_t ms)
{
	int64_t at = util_now_ms() + ms;

	look_at = at < look_at ? at : look_at;
}

/* In the child: conf is shared, the file's text is a copy. */
static void
parse_primary(int fd, const void *arg)
{
	static struct answer a;
	const struct task *t = arg;
	struct cnierr e = { 0 };
	char *text = NULL;

	if (primary_generate(conf, t->file, t->text, t->len, &text, &e)) {
		a.error = (uint32_t)e.code;
		snprintf(a.why, sizeof(a.why), "%s", e.msg);
	} else if (text && strlen(text) >= sizeof(a.text)) {
		a.error = CNI_ERR_CONFIG;
		snprintf(a.why, sizeof(a.why), "%s: too many capabilities", t->file);
	} else if (text) {
		a.len = (uint32_t)strlen(text);
		memcpy(a.text, text, a.len);
	}
	util_write_all(fd, &a, sizeof(a));
}

static bool
same_content(const char *text, size_t len)
{
	cleanup_close int fd = openat(out, conf->autoconf_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup_free char *old = malloc(len + 1);

	return fd >= 0 && old && util_read_full(fd, old, len + 1) == (ssize_t)len && memcmp(old, text, len) == 0;
}

/* Whoever reads it sees the old one or the new one, whole. */
static int
replace_file(const char *text, size_t len)
{
	cleanup_close int fd = -1;
	int err;

	unlinkat(out, temp, 0); /* of one that was killed */
	fd = openat(out, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : util_write_all(fd, text, len);
	if (err == 0 && (fsync(fd) < 0 || renameat(out, temp, out, conf->autoconf_file) < 0))
		err = -errno;
	if (err < 0)
		unlinkat(out, temp, 0);
	else
		fsync(out);
	return err;
}

/* Of two configurations the runtime takes the first. Never is there none. */
static void
handle_multus(void)
{
	static bool told;
	struct stat st;

	if (fstatat(out, MULTUS, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(out, conf->autoconf_file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (conf->autoconf_replace && renameat(out, MULTUS, out, ASIDE) == 0)
		log_info("%s/" MULTUS " is set aside as " ASIDE, conf->autoconf_out);
	else if (conf->autoconf_replace)
		log_error("%s/" MULTUS " cannot be set aside: %s", conf->autoconf_out, strerror(errno));
	else if (!told && strcmp(MULTUS, conf->autoconf_file) < 0) {
		log_warn("%s/" MULTUS " comes before %s: the runtime goes on calling Multus; replaceMultusConfig sets it aside",
			 conf->autoconf_out, conf->autoconf_file);
		told = true;
	}
}

/* 0, or -errno: to be tried again. */
static int
install(const char *name, const char *text, size_t len)
{
	int err = same_content(text, len) ? 0 : replace_file(text, len);
	char why[512] = "";

	if (err < 0) {
		snprintf(why, sizeof(why), "cannot be written: %s", strerror(-err));
	} else {
		if (strcmp(current, name) != 0 && strcmp(conf->autoconf_dir, conf->autoconf_out) == 0 &&
		    strcmp(name, conf->autoconf_file) < 0)
			log_warn("%s/%s comes before %s: the runtime goes on reading that; cniConfigFile names another",
				 conf->autoconf_dir, name, conf->autoconf_file);
		if (strcmp(current, name) != 0)
			log_info("%s/%s: made of %s/%s%s%s", conf->autoconf_out, conf->autoconf_file, conf->autoconf_dir, name,
				 current[0] ? " now, no longer of " : "", current);
		snprintf(current, sizeof(current), "%s", name);
	}
	complain(why);
	return err;
}

/* Beneath the directory only; links are followed within it, as mounted ConfigMaps need. Its length, or -errno with why. */
static ssize_t
read_primary(const char *name, char *text, ino_t *ino, char *why, size_t size)
{
	const struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	cleanup_close int fd = (int)syscall(SYS_openat2, in, name, &how, sizeof(how));
	struct stat st = { 0 };
	ssize_t n = fd < 0 || fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : util_read_full(fd, text, JSON_MAX_BYTES + 1);

	if (n > (ssize_t)JSON_MAX_BYTES)
		n = -EFBIG;
	if (n < 0)
		snprintf(why, size, "%s/%s: %s", conf->autoconf_dir, name, strerror((int)-n));
	*ino = st.st_ino;
	return n;
}

static void
follow_primary(const char *name)
{
	static char text[JSON_MAX_BYTES + 1];
	static struct answer a;
	struct task task = { name, text, 0 };
	struct child child;
	char why[WIRE_TEXT];
	ino_t ino;
	ssize_t n = read_primary(name, text, &ino, why, sizeof(why));
	int err;

	if (n < 0) {
		complain(why);
		last_name[0] = '\0'; /* when it is back, it counts as changed */
		look_in(RETRY_MS);
		return;
	}
	if (ino == last_ino && (size_t)n == last_len && strcmp(name, last_name) == 0 && memcmp(text, last, last_len) == 0)
		return;
	task.len = (size_t)n;
	err = child_start(&child, PARSE_S, -1, &reader, parse_primary, &task) ?: child_wait(&child, &a, sizeof(a));
	if (err == 0 && (a.len > sizeof(a.text) || !check_field(a.why, sizeof(a.why))))
		log_fatal("a child's answer is malformed");
	if (err < 0) {
		snprintf(why, sizeof(why), "%s/%s: its reader gave no answer: %s", conf->autoconf_dir, name, strerror(-err));
		complain(why);
	} else if (a.error) {
		complain(a.why);
	} else if (a.len) {
		err = install(name, a.text, a.len);
	} else {
		err = install(name, text, (size_t)n);
	}
	if (err < 0) {
		look_in(RETRY_MS);
		return;
	}
	memcpy(last, text, (size_t)n);
	last_len = (size_t)n;
	last_ino = ino;
	snprintf(last_name, sizeof(last_name), "%s", name);
}

/* The first file that may be the primary, by name. */
static bool
find_first(char name[256])
{
	int fd = openat(in, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	name[0] = '\0';
	if (!d) {
		util_close_cleanup(&fd);
		return false;
	}
	while ((de = readdir(d)) != NULL)
		if (de->d_type != DT_DIR && check_file_name(de->d_name) && primary_eligible(conf, de->d_name) &&
		    (!name[0] || strcmp(de->d_name, name) < 0))
			snprintf(name, 256, "%s", de->d_name);
	closedir(d);
	return name[0];
}

/* One that comes before the present one takes its place at once; one that comes behind it only when that is away for good. */
static bool
choose_primary(char name[256])
{
	bool found;

	if (conf->autoconf_primary[0])
		return snprintf(name, 256, "%s", conf->autoconf_primary) > 0;
	found = find_first(name);
	if (!current[0] || (found && strcmp(name, current) <= 0)) {
		gone_since = 0;
		return found;
	}
	if (!gone_since)
		gone_since = util_now_ms();
	if (found && util_now_ms() >= gone_since + GONE_MS) {
		gone_since = 0;
		return true;
	}
	look_in(RETRY_MS);
	return snprintf(name, 256, "%s", current) > 0;
}

/* Nothing is written before readinessindicatorfile is there; what comes after is somebody else's care. */
static bool
is_ready(void)
{
	static enum { UNKNOWN, WAITING, SEEN, GONE } state;
	char dir[CONF_PATH];
	struct stat st;

	if (!conf->ready_file[0])
		return true;
	if (fstatat(AT_FDCWD, conf->ready_file, &st, 0) == 0) {
		if (state == GONE)
			log_info("readinessindicatorfile %s is back", conf->ready_file);
		if (state <= WAITING && watch >= 0) {
			snprintf(dir, sizeof(dir), "%s", conf->ready_file);
			*strrchr(dir, '/') = '\0';
			inotify_add_watch(watch, dir[0] ? dir : "/", IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM |
					  IN_ONLYDIR | IN_MASK_ADD);
		}
		state = SEEN;
		return true;
	}
	if (state == SEEN) {
		log_warn("readinessindicatorfile %s is gone; %s/%s stays", conf->ready_file, conf->autoconf_out, conf->autoconf_file);
		state = GONE;
	}
	if (state == UNKNOWN) {
		log_info("waiting for readinessindicatorfile %s", conf->ready_file);
		state = WAITING;
	}
	return state == GONE;
}

/* The sandbox was made for the directories that were there at start; the supervisor makes another. */
__attribute__((noreturn)) static void
start_anew(const char *why)
{
	log_warn("%s, %s: %s: starting anew", conf->autoconf_dir, conf->autoconf_out, why);
	_exit(0);
}

/* We hold it, so the kernel does not say that it was removed. */
static bool
is_there(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* Waits for directories that are not there yet, or not any more: what is mounted stays, removed. */
static void
await_places(void)
{
	char why[512];
	int fds[] = { trust_open(conf->autoconf_dir, O_PATH | O_DIRECTORY, 0, why, sizeof(why)),
		      trust_open(conf->autoconf_out, O_PATH | O_DIRECTORY, 0, why, sizeof(why)) };

	if (is_there(fds[0]) && is_there(fds[1]))
		start_anew("there now");
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		util_close_cleanup(&fds[i]);
	look_in(RETRY_MS);
}

static void
look(void)
{
	char name[256], why[512];

	look_at = NEVER;
	if (!is_there(in) || !is_there(out)) {
		await_places();
		return;
	}
	if (watch < 0)
		look_in(RETRY_MS);
	if (!is_ready()) {
		look_in(RETRY_MS);
		return;
	}
	if (choose_primary(name)) {
		follow_primary(name);
		if (current[0])
			handle_multus();
		return;
	}
	snprintf(why, sizeof(why), "%s: no CNI configuration there yet (*.conf, *.conflist)", conf->autoconf_dir);
	complain(why);
	look_in(RETRY_MS);
}

static void
serve_watch(void)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n;

	while ((n = read(watch, buf, sizeof(buf))) > 0) {
		for (const char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			if ((e->wd == places[0] || e->wd == places[1]) && (e->mask & (IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)))
				start_anew("replaced");
			/* Our own half-made file is no news: one that cannot be written is tried again after RETRY_MS. */
			if (e->len == 0 || strcmp(e->name, temp) != 0)
				look_in(SETTLE_MS);
			p += sizeof(*e) + e->len;
		}
	}
}

/* Ends the process at STOP, or when the supervisor is gone. The file stays. */
static void
serve_control(void)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(&control, WS_ANY, &m);

	if (rc == 0 || (rc == 1 && m.head.type == MSG_STOP))
		_exit(0);
	if (rc != -EAGAIN)
		log_fatal("supervisor's channel: %s", rc == 1 ? "unexpected message" : strerror(-rc));
}

__attribute__((noreturn)) static void
serve(void)
{
	for (;;) {
		struct pollfd p[] = { { .fd = control.fd, .events = POLLIN }, { .fd = watch, .events = POLLIN } };
		int n = util_poll(p, ARRAY_LEN(p), look_at, NULL);

		if (n < 0)
			log_fatal("ppoll: %s", strerror(-n));
		if (p[0].revents)
			serve_control();
		if (p[1].revents)
			serve_watch();
		if (util_now_ms() >= look_at)
			look();
	}
}

static int
open_place(const char *path)
{
	char why[512];
	int fd = trust_open(path, O_RDONLY | O_DIRECTORY, 0, why, sizeof(why));

	if (fd < 0)
		log_warn("%s: waiting for it", why);
	return fd;
}

static void
watch_places(void)
{
	const uint32_t self = IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD;
	const uint32_t what = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB;
	const uint32_t theirs = IN_MOVED_TO | IN_CREATE; /* Multus' file */

	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch >= 0 && ((places[0] = inotify_add_watch(watch, conf->autoconf_dir, what | self)) < 0 ||
			   (places[1] = inotify_add_watch(watch, conf->autoconf_out, theirs | self)) < 0))
		close(util_take_fd(&watch));
	if (watch < 0)
		log_warn("inotify: %s: %s is looked at every second instead", strerror(errno), conf->autoconf_dir);
}

int
main(void)
{
	struct sandbox_facts facts;
	struct sandbox s = { .role = ROLE_AUTOCONF, .max_fd = 32 };

	sandbox_close_fds(FD_CONF + 1);
	log_init("autoconf", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("autoconf", (enum log_level)conf->log_level);
	json_object_seed(0);
	snprintf(temp, sizeof(temp), ".%s.new", conf->autoconf_file);
	sandbox_compile(ROLE_READER, (enum conf_sandbox)conf->sandbox, &reader);
	in = open_place(conf->autoconf_dir);
	out = open_place(conf->autoconf_out);
	if (in >= 0 && out >= 0)
		watch_places();
	s.mode = (enum conf_sandbox)conf->sandbox;
	if (in >= 0)
		s.paths[s.n_paths++] = (struct sandbox_path){ in, SANDBOX_READ };
	if (out >= 0)
		s.paths[s.n_paths++] = (struct sandbox_path){ out, SANDBOX_READ | SANDBOX_WRITE };
	sandbox_enter(&s, &facts);
	sandbox_report(&control, &facts);
	serve();
}
