/* A CNI plugin that writes down how it was started: for each run a file <"record">/<verb>-<ifname>.<env|stdin|fds|status>,
 * in the directory that its configuration names, and answers an interface and one address. "calls" names a file that gets every
 * run in order: environment lines, an empty one, stdin, a NUL. "answer" names a directory: its file <verb>, when there is one, is
 * the answer, with @ifname@ and @netns@ replaced, and is an error when it has a "code".
 * Runs in: tests, as a delegate. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;
static char conf[1u << 20];

static void
find_key(const char *key, char *out, size_t size)
{
	char quoted[64];
	const char *p;

	out[0] = '\0';
	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	p = strstr(conf, quoted);
	if (!p)
		return;
	p += strlen(quoted);
	p += strspn(p, " :\t\n\"");
	snprintf(out, size, "%.*s", (int)strcspn(p, "\",}\n"), p);
}

static FILE *
open_part(const char *dir, const char *part)
{
	const char *verb = getenv("CNI_COMMAND"), *ifname = getenv("CNI_IFNAME");
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s-%s.%s", dir, verb ? verb : "", ifname ? ifname : "", part);
	f = fopen(path, "we");
	if (!f)
		exit(4);
	return f;
}

static void
copy_file(const char *from, FILE *to)
{
	char buf[8192];
	size_t n;
	FILE *f = fopen(from, "re");

	if (!f)
		return;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, to);
	fclose(f);
}

static void
write_parts(const char *dir, size_t len)
{
	FILE *f = open_part(dir, "env");
	struct dirent *d;
	DIR *fds;

	for (char **e = environ; *e; e++)
		fprintf(f, "%s\n", *e);
	fclose(f);
	f = open_part(dir, "stdin");
	fwrite(conf, 1, len, f);
	fclose(f);
	f = open_part(dir, "status");
	copy_file("/proc/self/status", f);
	fclose(f);
	/* What was inherited is not close-on-exec; what this program opened is. */
	f = open_part(dir, "fds");
	fds = opendir("/proc/self/fd");
	while (fds && (d = readdir(fds)))
		if (d->d_name[0] != '.' && !(fcntl(atoi(d->d_name), F_GETFD) & FD_CLOEXEC))
			fprintf(f, "%s\n", d->d_name);
	if (fds)
		closedir(fds);
	fclose(f);
}

static void
log_call(const char *path, size_t len)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	for (char **e = environ; *e; e++)
		fprintf(f, "%s\n", *e);
	fputc('\n', f);
	fwrite(conf, 1, len, f);
	fputc('\0', f);
	fclose(f);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		exit(4);
	close(fd);
	free(text);
}

/* Prints the answer of that directory. Exit status, or -1 when it has none. */
static int
give_answer(const char *dir, const char *verb, const char *ifname, const char *netns)
{
	static char text[1u << 16];
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, verb);
	f = fopen(path, "re");
	if (!f)
		return -1;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	for (const char *p = text; *p; p++) {
		if (!strncmp(p, "@ifname@", 8)) {
			fputs(ifname, stdout);
			p += 7;
		} else if (!strncmp(p, "@netns@", 7)) {
			fputs(netns, stdout);
			p += 6;
		} else {
			putchar(*p);
		}
	}
	return strstr(text, "\"code\"") != NULL;
}

int
main(void)
{
	const char *verb = getenv("CNI_COMMAND"), *ifname = getenv("CNI_IFNAME"), *netns = getenv("CNI_NETNS");
	char dir[512], version[32];
	ssize_t n;
	size_t len = 0;
	int answered;

	while (len < sizeof(conf) - 1 && (n = read(0, conf + len, sizeof(conf) - 1 - len)) > 0)
		len += (size_t)n;
	if (!verb)
		return 1;
	find_key("record", dir, sizeof(dir));
	if (dir[0])
		write_parts(dir, len);
	find_key("calls", dir, sizeof(dir));
	if (dir[0])
		log_call(dir, len);
	find_key("answer", dir, sizeof(dir));
	answered = dir[0] ? give_answer(dir, verb, ifname ? ifname : "", netns ? netns : "") : -1;
	if (answered >= 0)
		return answered;
	if (strcmp(verb, "ADD"))
		return 0;
	find_key("cniVersion", version, sizeof(version));
	printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"%s\",\"mac\":\"02:00:00:00:00:02\",\"sandbox\":\"%s\"}],"
	       "\"ips\":[{%s\"interface\":0,\"address\":\"10.9.9.9/24\",\"gateway\":\"10.9.9.1\"}],"
	       "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.9.9.1\"}],\"dns\":{\"nameservers\":[\"10.9.9.53\"]}}\n",
	       version, ifname ? ifname : "", netns ? netns : "", version[0] == '0' ? "\"version\":\"4\"," : "");
	return 0;
}
