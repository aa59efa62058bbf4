/* postern-netpriv: holds CAP_NET_ADMIN and CAP_SYS_ADMIN and nothing else; parses nothing.
 * Peers: the supervisor (control), shims (door), the broker (offers), workers (one channel each), exec.
 * Trusts: its descriptors and struct conf, both from the supervisor. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "netpriv/attach.h"
#include "netpriv/confdir.h"
#include "netpriv/dispatch.h"
#include "netpriv/door.h"
#include "netpriv/journal.h"
#include "netpriv/log.h"
#include "netpriv/netns.h"
#include "netpriv/spool_read.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

enum { SLOT_CONTROL, SLOT_DOOR, SLOT_PLUG, SLOT_BROKER, SLOT_EXEC, SLOT_FIRST };

struct pollset {
	struct pollfd *fds;
	struct cmd **owner; /* of fds[i], i >= SLOT_FIRST */
	size_t n, room;
};

static struct wire control;
static int64_t stop_at = INT64_MAX;

static void
confine(const struct conf *c)
{
	struct sandbox s = { .role = ROLE_NETPRIV, .mode = (enum conf_sandbox)c->sandbox,
			     .max_fd = 8192 };
	struct sandbox_facts facts;
	int places[CONF_NETS + 1];
	unsigned n = confdir_open_places(c, places, ARRAY_LEN(places));
	/* Where runtimes keep the namespaces that a journal entry may have to be undone in. */
	static const char *const netns_dirs[] = { "/run/netns", "/run/docker/netns" };

	s.paths[s.n_paths++] = (struct sandbox_path){ FD_NETPRIV_STATE, SANDBOX_READ | SANDBOX_WRITE };
	s.paths[s.n_paths++] = (struct sandbox_path){ FD_NETPRIV_SPOOL, SANDBOX_READ | SANDBOX_WRITE };
	for (unsigned i = 0; i < n; i++)
		s.paths[s.n_paths++] = (struct sandbox_path){ places[i], SANDBOX_READ };
	places[0] = c->multus_dir[0] ? open(c->multus_dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (places[0] >= 0)
		s.paths[s.n_paths++] = (struct sandbox_path){ places[0], SANDBOX_READ | SANDBOX_WRITE };
	mkdir(netns_dirs[0], 0755); /* as ip-netns(8) does; there may be no pod yet */
	for (size_t i = 0; i < ARRAY_LEN(netns_dirs); i++) {
		int fd = open(netns_dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			s.paths[s.n_paths++] = (struct sandbox_path){ fd, SANDBOX_READ };
	}
	sandbox_enter(&s, &facts);
	for (unsigned i = 2; i < s.n_paths; i++)
		close(s.paths[i].fd);
	sandbox_report(&control, &facts);
}

static void
add_slot(struct pollset *p, int fd, short events, struct cmd *owner)
{
	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 64;
		p->fds = reallocarray(p->fds, p->room, sizeof(*p->fds));
		p->owner = reallocarray(p->owner, p->room, sizeof(struct cmd *));
		if (!p->fds || !p->owner)
			log_fatal("out of memory");
	}
	p->fds[p->n] = (struct pollfd){ .fd = fd, .events = events };
	p->owner[p->n++] = owner;
}

static void
fill_pollset(struct pollset *p)
{
	p->n = 0;
	add_slot(p, control.fd, POLLIN, NULL);
	add_slot(p, door_open(CMD_SHIM) ? FD_NETPRIV_DOOR : -1, POLLIN, NULL);
	add_slot(p, attach.conf->plug_dir[0] && door_open(CMD_PLUG) ? FD_NETPRIV_PLUG : -1, POLLIN, NULL);
	add_slot(p, attach.broker.fd, 0, NULL); /* POLLHUP only */
	add_slot(p, attach.exec.fd, POLLIN, NULL);
	for (struct cmd *c = attach.cmds; c; c = c->next) {
		if (c->shim.fd >= 0)
			add_slot(p, c->shim.fd, POLLIN, c);
		if (c->worker.fd >= 0)
			add_slot(p, c->worker.fd, POLLIN, c);
	}
}

static void
serve_exec(void)
{
	cleanup_msg struct wire_msg m;
	int err = wire_recv(&attach.exec, WS_ANY, &m);

	if (err == 1)
		attach_exec_done(m.head.serial, &m.body.exec_done);
	else if (err != -EAGAIN)
		log_fatal("exec: %s", err == 0 ? "ended" : strerror(-err));
}

static void
serve_control(void)
{
	cleanup_msg struct wire_msg m;
	int err = wire_recv(&control, WS_ANY, &m);

	if (err == -EAGAIN)
		return;
	if (err != 1)
		log_fatal("supervisor: gone");
	close(FD_NETPRIV_DOOR);
	if (attach.conf->plug_dir[0])
		close(FD_NETPRIV_PLUG);
	stop_at = util_now_ms() + attach.conf->stop_ms;
	attach_stop();
}

static void
serve_slots(struct pollset *p)
{
	if (p->fds[SLOT_CONTROL].revents)
		serve_control();
	if (p->fds[SLOT_BROKER].revents)
		log_fatal("broker: ended");
	if (p->fds[SLOT_EXEC].revents)
		serve_exec();
	/* Commands are freed by attach_schedule() only, so an owner is valid until then; a descriptor that an earlier slot
	 * closed is not: hence the comparison. */
	for (size_t i = SLOT_FIRST; i < p->n; i++) {
		struct cmd *c = p->owner[i];

		if (!p->fds[i].revents || c->phase == CMD_FREE)
			continue;
		if (p->fds[i].fd == c->shim.fd)
			door_read(c);
		else if (p->fds[i].fd == c->worker.fd)
			dispatch_worker(c);
	}
	/* Last, so that a new connection cannot take over the number of a descriptor in this round. */
	if (p->fds[SLOT_DOOR].revents & POLLIN && !attach.stopping)
		door_accept(FD_NETPRIV_DOOR, CMD_SHIM);
	if (p->fds[SLOT_PLUG].revents & POLLIN && !attach.stopping)
		door_accept(FD_NETPRIV_PLUG, CMD_PLUG);
}

/* Stopping: everything is answered, or its time is over; what is left then stays in the journal. */
static bool
stopped(void)
{
	if (!attach.stopping)
		return false;
	if (!attach.cmds)
		return true;
	if (util_now_ms() < stop_at)
		return false;
	for (struct cmd *c = attach.cmds; c; c = c->next)
		if (c->phase != CMD_FREE)
			attach_refuse(c, CNI_ERR_TRY_AGAIN, "postern is stopping; try again later");
	return true;
}

int
main(void)
{
	struct pollset set = { 0 };

	sandbox_close_fds(FD_NETPRIV_STATS + 1);
	attach.conf = conf_map(FD_CONF);
	log_init("netpriv", (enum log_level)attach.conf->log_level);
	control = WIRE_INIT(FD_CONTROL, ROLE_NETPRIV, ROLE_SUPERVISOR);
	attach.broker = WIRE_INIT(FD_NETPRIV_BROKER, ROLE_NETPRIV, ROLE_BROKER);
	attach.exec = WIRE_INIT(FD_NETPRIV_EXEC, ROLE_NETPRIV, ROLE_EXEC);
	fcntl(FD_NETPRIV_DOOR, F_SETFL, O_NONBLOCK);
	fcntl(FD_NETPRIV_PLUG, F_SETFL, O_NONBLOCK);
	/* wire.def has no message from the broker to netpriv: it is not even heard. */
	if (shutdown(FD_NETPRIV_BROKER, SHUT_RD) < 0)
		log_fatal("broker: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	measure_page = stats_map(FD_NETPRIV_STATS, sizeof(*measure_page), PROT_READ | PROT_WRITE);
	netns_init();
	journal_init(FD_NETPRIV_STATE);
	spool_init(FD_NETPRIV_SPOOL);
	confine(attach.conf);
	attach_recover();
	while (!stopped()) {
		int timeout = attach_tick();
		int64_t left = stop_at - util_now_ms();

		measure_now();
		if (stop_at != INT64_MAX && (timeout < 0 || left < timeout))
			timeout = left < 0 ? 0 : (int)left;
		if (attach.stopping && !attach.cmds)
			continue;
		fill_pollset(&set);
		if (poll(set.fds, set.n, timeout) < 0 && errno != EINTR)
			log_fatal("poll: %s", strerror(errno));
		serve_slots(&set);
	}
	return 0;
}
