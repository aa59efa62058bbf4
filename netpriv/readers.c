/* The one-shot readers.  Runs in: supervisor.  Trusts: nothing that a reader answers until
 * conf_check() has passed it. */
#include "netpriv/readers.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/spawn.h"
#include "netpriv/trust.h"
#include "netpriv/util.h"

#define READ_MS 5000

/* Exactly len bytes within READ_MS and then EOF: one byte more or less is not a struct conf. */
static int
read_exactly(int fd, void *buf, size_t len)
{
	const int64_t end = util_now_ms() + READ_MS;
	size_t used = 0;
	char more;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = end - util_now_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return -ETIMEDOUT;
		n = used < len ? read(fd, (char *)buf + used, len - used) : read(fd, &more, 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return used == len ? 0 : -ENODATA;
		if (n > 0 && used == len)
			return -EMSGSIZE;
		if (n > 0)
			used += (size_t)n;
	}
}

/* Runs the reader on file; its end is awaited, its struct is what counts. */
static int
run_reader(const char *libexec, int file, struct conf *c, siginfo_t *end)
{
	cleanup_close int in = -1, out = -1, pidfd = -1;
	int pair[2], err;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	in = pair[0];
	out = pair[1];
	const struct spawn_fd fds[] = {{file, FD_READER_IN}, {out, FD_READER_OUT}};

	pidfd = spawn_role(libexec, "readconf", fds, ARRAY_LEN(fds), &pid);
	close(util_take_fd(&out));
	if (pidfd < 0)
		return pidfd;
	err = read_exactly(in, c, sizeof(*c));
	if (err < 0 && err != -ENODATA)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	/* It has closed its pipe or is being killed; a reader that lingers after its answer gets no
	 * more time. */
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	if (poll(&p, 1, READ_MS) <= 0)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	memset(end, 0, sizeof(*end));
	waitid(P_PIDFD, (id_t)pidfd, end, WEXITED);
	return err;
}

static int
open_conf(const char *path, char *why, size_t size)
{
	cleanup_close int fd = -1;
	char absolute[PATH_MAX];
	struct stat st;

	if (path[0] != '/') {
		char here[PATH_MAX];

		if (!getcwd(here, sizeof(here)) || snprintf(absolute, sizeof(absolute), "%s/%s",
							    here, path) >= (int)sizeof(absolute)) {
			snprintf(why, size, "%s: must be an absolute path", path);
			return -EINVAL;
		}
		path = absolute;
	}
	fd = trust_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, why, size);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s: not a regular file", path);
		return -EINVAL;
	}
	return util_take_fd(&fd);
}

/* What a pod of the cluster is told by its environment: where the API server is, and on which node it runs. */
static void
take_environment(struct conf *c)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	const char *node = getenv("NODE_NAME") ?: getenv("MULTUS_NODE_NAME");
	struct utsname uts;

	if (!c->node_name[0] && !node && uname(&uts) == 0 && check_dns_subdomain(uts.nodename))
		node = uts.nodename;
	if (!c->node_name[0] && node)
		util_copy(c->node_name, sizeof(c->node_name), node);
	if (c->store[0] || c->kubeconfig[0] || !host || !port)
		return;
	util_copy(c->api_host, sizeof(c->api_host), host);
	c->api_port = (uint32_t)strtoul(port, NULL, 10);
}

/* Where pods and networks come from: exactly one place. */
static int
check_source(const struct conf *c, char *why, size_t size)
{
	if (c->store[0] && c->kubeconfig[0])
		snprintf(why, size, "\"store\" and an API server (\"kubeconfig\", \"perNodeCertificate\"): only one can be the source");
	else if (!c->store[0] && c->unknown_pods)
		snprintf(why, size, "\"unknownPods\" is for a store: a pod that the API server does not know gets no network");
	else if (!c->store[0] && !c->kubeconfig[0] && (!c->api_host[0] || !c->api_port))
		snprintf(why, size, "no API server: set \"kubeconfig\" or, for manifests in a directory, \"store\"; without either "
				    "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be in the environment, as in a pod");
	else
		return 0;
	return -EINVAL;
}

int
readers_conf(const char *libexec, const char *path, struct conf *c, char *why, size_t size)
{
	cleanup_close int file = open_conf(path, why, size);
	char wrong[384];
	siginfo_t end;
	int err;

	if (file < 0)
		return file;
	err = run_reader(libexec, file, c, &end);
	if (err == 0 && (end.si_code != CLD_EXITED || end.si_status != 0))
		err = -ECHILD;
	if (err == -ENODATA || err == -ECHILD) {
		if (end.si_code == CLD_EXITED && end.si_status == 127)
			snprintf(why, size, "%s/postern-readconf cannot be executed", libexec);
		else
			snprintf(why, size, "%s: its reader ended early (%s %d)", path,
				 end.si_code == CLD_EXITED ? "exit status" : "signal",
				 end.si_status);
		return err;
	}
	if (err < 0) {
		snprintf(why, size, "%s: its reader gave no answer: %s", path, strerror(-err));
		return err;
	}
	if (conf_check(c, wrong, sizeof(wrong)) == 0) {
		take_environment(c);
		if (conf_check(c, wrong, sizeof(wrong)) == 0 && check_source(c, wrong, sizeof(wrong)) == 0)
			return 0;
	}
	snprintf(why, size, "%s: %s", path, wrong);
	return -EINVAL;
}
