/* Stands where the supervisor and kube stand: starts postern-dial with its channels, and says on stdout what comes of it.
 *
 * dialer PROGRAM KUBECONFIG|HOST:PORT [cert]   cert: as with perNodeCertificate
 * in:   conn | reread | both | many N | evil TYPE HOW | stop | leave
 * out:  READY abi
 *       SERVER flags name authority prefix|- ca_len cert_len key_len token_len hex
 *       CONN serial error peer|- text        peer: connected to, as seen by the socket; the word "hello" was sent there
 *       END status                           as wait(2) has it */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "netpriv/log.h"
#include "tests/evil/evil.h"

static struct wire control, kube;
static struct conf conf;
static uint64_t serial;

static pid_t
start(const char *program)
{
	int c[2], k[2], memfd = util_sealed_memfd("conf", &conf, sizeof(conf));
	pid_t pid;

	if (memfd < 0 || util_seqpair(c, false) < 0 || util_seqpair(k, false) < 0)
		log_fatal("channels");
	pid = fork();
	if (pid == 0) {
		const int from[] = { c[1], memfd, k[1] };
		int high[3];

		for (int i = 0; i < 3; i++)
			high[i] = fcntl(from[i], F_DUPFD, 64);
		for (int i = 0; i < 3; i++)
			if (dup2(high[i], FD_CONTROL + i) < 0)
				_exit(127);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(c[1]);
	close(k[1]);
	close(memfd);
	control = WIRE_INIT(c[0], ROLE_SUPERVISOR, ROLE_DIAL);
	kube = WIRE_INIT(k[0], ROLE_KUBE, ROLE_DIAL);
	return pid;
}

static void
print_server(const struct msg_server *m, int fd)
{
	void *map;
	size_t len;

	if (util_map_memfd(fd, WIRE_MEMFD_MAX, &map, &len) < 0)
		log_fatal("credentials");
	printf("SERVER %u %s %s %s %u %u %u %u ", m->flags, m->name, m->authority, m->prefix[0] ? m->prefix : "-", m->ca_len,
	       m->cert_len, m->key_len, m->token_len);
	for (size_t i = 0; i < len; i++)
		printf("%02x", ((unsigned char *)map)[i]);
	printf("\n");
	munmap(map, len);
}

/* Waits for the connection's end; who is there, or what is wrong. */
static void
print_conn(uint64_t its, const struct msg_conn *m, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct sockaddr_in6 peer = { 0 };
	socklen_t len = sizeof(int);
	char text[INET6_ADDRSTRLEN] = "-";
	int err = m->error;

	if (fd >= 0 && (poll(&p, 1, 5000) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0))
		err = ETIMEDOUT;
	len = sizeof(peer);
	if (fd >= 0 && err == 0 && getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
		const void *a = peer.sin6_family == AF_INET6 ? (void *)&peer.sin6_addr
							     : (void *)&((struct sockaddr_in *)(void *)&peer)->sin_addr;

		inet_ntop(peer.sin6_family, a, text, sizeof(text));
		util_write_all(fd, "hello", 5);
	}
	printf("CONN %ju %d %s %s\n", (uintmax_t)its, err < 0 ? err : -err, text, m->text);
}

/* False when there is no more to come. */
static bool
print_message(struct wire *w)
{
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	int rc = wire_recv(w, WS_ANY, &m);

	if (rc < 0)
		log_fatal("message: %s", strerror(-rc));
	if (rc == 0)
		return false;
	if (m.head.type == MSG_READY)
		printf("READY %u\n", m.body.ready.landlock_abi);
	else if (m.head.type == MSG_SERVER)
		print_server(&m.body.server, m.fds[0]);
	else if (m.head.type == MSG_CONN)
		print_conn(m.head.serial, &m.body.conn, m.fds[0]);
	return true;
}

static void
dial(uint32_t want)
{
	const struct msg_dial m = { .want = want };

	wire_send(&kube, MSG_DIAL, ++serial, &m, NULL, 0);
}

/* False at the end. */
static bool
obey(const char *line)
{
	const struct msg_stop stop = { 0 };
	unsigned n, how;

	if (strcmp(line, "conn\n") == 0)
		dial(DIAL_CONN);
	else if (strcmp(line, "reread\n") == 0)
		dial(DIAL_REREAD);
	else if (strcmp(line, "both\n") == 0)
		dial(DIAL_CONN | DIAL_REREAD);
	else if (sscanf(line, "many %u", &n) == 1)
		while (n-- > 0)
			dial(DIAL_CONN);
	else if (sscanf(line, "evil %u %u", &n, &how) == 2)
		evil_send(kube.fd, n, (enum evil)how);
	else if (strcmp(line, "stop\n") == 0)
		wire_send(&control, MSG_STOP, 0, &stop, NULL, 0);
	else
		return false;
	return true;
}

int
main(int argc, char **argv)
{
	int status = 0;
	char line[128];
	pid_t pid;

	log_init("dialer", LOG_INFO);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (argc < 3)
		log_fatal("usage: dialer PROGRAM KUBECONFIG|HOST:PORT [cert]");
	conf_defaults(&conf);
	conf.node_cert = argc > 3;
	if (argv[2][0] == '/')
		util_copy(conf.kubeconfig, sizeof(conf.kubeconfig), argv[2]);
	else if (sscanf(argv[2], "%255[^:]:%u", conf.api_host, &conf.api_port) != 2)
		log_fatal("host and port");
	pid = start(argv[1]);
	for (;;) {
		struct pollfd p[] = { { .fd = 0, .events = POLLIN }, { .fd = control.fd, .events = POLLIN },
				      { .fd = kube.fd, .events = POLLIN } };

		if (poll(p, 3, -1) < 0)
			log_fatal("poll");
		if (p[1].revents && !print_message(&control))
			break;
		if (p[2].revents && !print_message(&kube))
			wire_close(&kube);
		if (p[0].revents && (!fgets(line, sizeof(line), stdin) || !obey(line)))
			break;
	}
	wire_close(&kube);
	wire_close(&control);
	waitpid(pid, &status, 0);
	printf("END %d\n", status);
	return 0;
}
