/* A CNI plugin that writes down how it was started: for each run a file <"record">/<verb>-<ifname>.<env|stdin|fds|status>,
 * in the directory that its configuration names, and answers an interface and one address.
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

int
main(void)
{
	const char *verb = getenv("CNI_COMMAND"), *ifname = getenv("CNI_IFNAME"), *netns = getenv("CNI_NETNS");
	char dir[512], version[32];
	ssize_t n;
	size_t len = 0;

	while (len < sizeof(conf) - 1 && (n = read(0, conf + len, sizeof(conf) - 1 - len)) > 0)
		len += (size_t)n;
	if (!verb)
		return 1;
	find_key("record", dir, sizeof(dir));
	if (dir[0])
		write_parts(dir, len);
	if (strcmp(verb, "ADD"))
		return 0;
	find_key("cniVersion", version, sizeof(version));
	printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"%s\",\"mac\":\"02:00:00:00:00:02\",\"sandbox\":\"%s\"}],"
	       "\"ips\":[{%s\"interface\":0,\"address\":\"10.9.9.9/24\",\"gateway\":\"10.9.9.1\"}],"
	       "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.9.9.1\"}],\"dns\":{\"nameservers\":[\"10.9.9.53\"]}}\n",
	       version, ifname ? ifname : "", netns ? netns : "", version[0] == '0' ? "\"version\":\"4\"," : "");
	return 0;
}
