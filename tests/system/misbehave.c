/* A CNI plugin that misbehaves as its configuration says: "mode" names how, "on" at which verb (ADD when absent). At any
 * other verb it succeeds. "trace" names a file that gets a line "<verb> <container> <ifname> <network>" for each run.
 * "delay" (ms) makes every run slow.  Runs in: tests, as a delegate. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char conf[1u << 20];

/* The string or number at "key": good enough for what the tests write. */
static const char *
find_key(const char *key, char *out, size_t size)
{
	char quoted[64];
	const char *p;
	size_t n;

	out[0] = '\0';
	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	p = strstr(conf, quoted);
	if (!p)
		return out;
	p += strlen(quoted);
	p += strspn(p, " :\t\n\"");
	n = strcspn(p, "\",}\n");
	snprintf(out, size, "%.*s", (int)n, p);
	return out;
}

static const char *
env(const char *name)
{
	const char *v = getenv(name);

	return v ? v : "";
}

static void
answer(const char *text)
{
	size_t len = strlen(text);

	if (write(1, text, len) != (ssize_t)len)
		_exit(3);
}

/* A plugin behind others in a list hands their result on. */
static bool
answer_previous(void)
{
	char *start = strstr(conf, "\"prevResult\""), *p;
	int depth = 0;

	start = start ? strchr(start, '{') : NULL;
	for (p = start; p && *p; p++) {
		depth += (*p == '{') - (*p == '}');
		if (depth == 0) {
			p[1] = '\0';
			answer(start);
			return true;
		}
	}
	return false;
}

static void
answer_ok(const char *ifname)
{
	char version[32], text[1024];
	bool old;

	if (answer_previous())
		return;

	find_key("cniVersion", version, sizeof(version));
	old = version[0] == '0' || version[0] == '\0';
	snprintf(text, sizeof(text),
		 "{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"%s\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"%s\"}],"
		 "\"ips\":[{%s\"interface\":0,\"address\":\"10.1.2.3/24\",\"gateway\":\"10.1.2.1\"}],\"dns\":{}}\n",
		 version, ifname, env("CNI_NETNS"), old ? "\"version\":\"4\"," : "");
	answer(text);
}

static void
trace_run(void)
{
	char path[512], name[128], line[1024];
	int fd;

	if (!*find_key("trace", path, sizeof(path)))
		return;
	snprintf(line, sizeof(line), "%s %s %s %s\n", env("CNI_COMMAND"), env("CNI_CONTAINERID"), env("CNI_IFNAME"),
		 find_key("name", name, sizeof(name)));
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		_exit(4);
	close(fd);
}

static void
pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void
flood(int fd)
{
	static char block[64 << 10];

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 1600; i++)
		if (write(fd, block, sizeof(block)) < 0)
			_exit(5);
}

/* A child of its own session, which holds stdout or not. */
static void
leave_child(bool keep_stdout)
{
	if (fork() != 0)
		return;
	setsid();
	if (fork() != 0)
		_exit(0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (!keep_stdout)
		for (int fd = 0; fd < 3; fd++)
			close(fd);
	pause_ms(300000);
	_exit(0);
}

static int
misbehave(const char *mode)
{
	if (!strcmp(mode, "hang")) {
		signal(SIGTERM, SIG_IGN);
		pause_ms(600000);
	} else if (!strcmp(mode, "bigout")) {
		flood(1);
	} else if (!strcmp(mode, "bigerr")) {
		flood(2);
		answer("{\"cniVersion\":\"1.0.0\",\"code\":122,\"msg\":\"after a flood\"}");
		return 1;
	} else if (!strcmp(mode, "silent")) {
		return 0;
	} else if (!strcmp(mode, "silentfail")) {
		return 1;
	} else if (!strcmp(mode, "stderrfail")) {
		fputs("only\033[31m on stderr\n", stderr);
		return 1;
	} else if (!strcmp(mode, "kill")) {
		raise(SIGKILL);
	} else if (!strcmp(mode, "daemonize")) {
		leave_child(false);
		answer_ok(env("CNI_IFNAME"));
	} else if (!strcmp(mode, "daemonout")) {
		leave_child(true);
		answer_ok(env("CNI_IFNAME"));
	} else if (!strcmp(mode, "badjson")) {
		answer("{\"cniVersion\": ");
	} else if (!strcmp(mode, "arrayjson")) {
		answer("[1, 2]");
	} else if (!strcmp(mode, "badversion")) {
		answer("{\"cniVersion\":\"9.9.9\",\"ips\":[]}");
	} else if (!strcmp(mode, "badifname")) {
		answer_ok("../../etc");
	} else if (!strcmp(mode, "longifname")) {
		answer_ok("sixteencharacter");
	} else if (!strcmp(mode, "badip")) {
		answer("{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"10.0.0.300/24\"}]}");
	} else if (!strcmp(mode, "fail")) {
		char code[16], text[128];

		find_key("code", code, sizeof(code));
		snprintf(text, sizeof(text), "{\"cniVersion\":\"1.0.0\",\"code\":%s,\"msg\":\"no luck today\",\"details\":\"ask again\"}",
			 *code ? code : "123");
		answer(text);
		return 1;
	} else if (!strcmp(mode, "failtext")) {
		answer("not an error object: \033[31m%s%n");
		return 1;
	} else {
		answer_ok(env("CNI_IFNAME"));
	}
	return 0;
}

int
main(void)
{
	char mode[64], on[16], delay[16];
	ssize_t n;
	size_t len = 0;

	while (len < sizeof(conf) - 1 && (n = read(0, conf + len, sizeof(conf) - 1 - len)) > 0)
		len += (size_t)n;
	if (!strcmp(env("CNI_COMMAND"), "VERSION")) {
		answer("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
		return 0;
	}
	trace_run();
	pause_ms(atol(find_key("delay", delay, sizeof(delay))));
	find_key("mode", mode, sizeof(mode));
	if (!*find_key("on", on, sizeof(on)))
		snprintf(on, sizeof(on), "ADD");
	if (!strcmp(on, env("CNI_COMMAND")))
		return misbehave(mode);
	if (!strcmp(env("CNI_COMMAND"), "ADD"))
		answer_ok(env("CNI_IFNAME"));
	return 0;
}
