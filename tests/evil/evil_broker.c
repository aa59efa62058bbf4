/* A hostile broker, and hostile workers: stands in for postern-broker (postern --libexec). Which attack: the pod's name,
 * "evil-<type>-<form>-<when>"; when 0 = at once, 1 = behind a plan, 2 = behind the verdict, 3 = while a delegate runs. Other
 * names: "flood" never reads its answers; "mute" says nothing and stays; "chatter" talks to netpriv on the broker's own
 * channel; "steal" asks for what its verb does not allow; "boast" reports success without results, before and behind a plan ("boast2");
 * "hold" journals a plan and keeps it; "peek" looks for other containers' entries; "cache" asks what Multus kept. "del-..." are the
 * same in a DEL of a container that nobody knows: "del-plan", "del-run", "del-peek". It logs one line an attack: "evil: <name>: closed|open". */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "netpriv/log.h"
#include "seccomp/sandbox.h"
#include "tests/evil/evil.h"

static struct wire worker;

static void
send_plain(enum msg_type type, const void *body, const int *fds, unsigned n)
{
	wire_send(&worker, type, 7, body, fds, n);
}

static void
plan(void)
{
	struct msg_state_plan m = { .ifname = { "evil0" } };
	int fd = util_sealed_memfd("plan", "{}", 2);
	struct wire_msg answer;

	send_plain(MSG_STATE_PLAN, &m, &fd, 1);
	wire_recv(&worker, WS_ANY, &answer);
}

static void
run_delegate(uint32_t verb)
{
	struct msg_delegate_run m = { .verb = verb, .plugin = "misbehave", .ifname = "eth0" };
	static const char conf[] = "{\"cniVersion\":\"1.0.0\",\"name\":\"x\",\"type\":\"misbehave\",\"mode\":\"hang\"}";
	int out[2], fds[3];

	if (pipe2(out, O_CLOEXEC) < 0)
		return;
	fds[0] = util_sealed_memfd("stdin", conf, sizeof(conf) - 1);
	fds[1] = fds[2] = out[1];
	send_plain(MSG_DELEGATE_RUN, &m, fds, 3);
}

static void
verdict(void)
{
	struct msg_verdict m = { .code = CNI_ERR_INTERNAL, .text = "evil" };

	send_plain(MSG_VERDICT, &m, NULL, 0);
}

static void
flood(void)
{
	struct msg_conf_get m = { .net = CONF_NET_DIR };

	fcntl(worker.fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 200000; i++)
		if (wire_send(&worker, MSG_CONF_GET, 1, &m, NULL, 0) == -EPIPE)
			return;
}

/* What an ADD's worker has no right to. */
static void
steal(void)
{
	struct msg_gc_sweep sweep = { 0 };

	send_plain(MSG_GC_SWEEP, &sweep, NULL, 0);
}

/* Entries of other containers are not for this one. */
static void
peek(void)
{
	struct msg_state_next m = { 0 };
	struct wire_msg answer;

	send_plain(MSG_STATE_NEXT, &m, NULL, 0);
	if (wire_recv(&worker, WS_ANY, &answer) == 1 && answer.body.state.kind != STATE_NONE)
		log_error("evil: saw the entry of %s", answer.body.state.container_id);
	verdict();
}

static void
ask_cache(void)
{
	struct msg_cache_get m = { 0 };

	send_plain(MSG_CACHE_GET, &m, NULL, 0);
}

static void
boast(void)
{
	struct msg_verdict m = { 0 };
	int fd = util_sealed_memfd("verdict", "{}", 2);

	send_plain(MSG_VERDICT, &m, &fd, 1);
}

static void
chatter(void)
{
	for (unsigned type = 0; type <= MSG_COUNT; type++)
		for (unsigned how = 0; how < EVIL_COUNT; how++)
			if (evil_send(FD_BROKER_NETPRIV, type, (enum evil)how) == 0)
				log_error("evil: netpriv hears the broker");
	verdict();
}

static void
attack(const char *name)
{
	unsigned type, how, when;

	if (strcmp(name, "flood") == 0) {
		flood();
	} else if (strcmp(name, "steal") == 0) {
		steal();
	} else if (strcmp(name, "boast") == 0) {
		boast();
	} else if (strcmp(name, "boast2") == 0) {
		plan();
		boast();
	} else if (strcmp(name, "hold") == 0 || strcmp(name, "del-plan") == 0) {
		plan();
	} else if (strcmp(name, "peek") == 0 || strcmp(name, "del-peek") == 0) {
		peek();
	} else if (strcmp(name, "cache") == 0) {
		ask_cache();
	} else if (strcmp(name, "del-run") == 0) {
		run_delegate(CNI_DEL);
	} else if (strcmp(name, "chatter") == 0) {
		chatter();
	} else if (sscanf(name, "evil-%u-%u-%u", &type, &how, &when) == 3) {
		if (when == 1 || when == 3)
			plan();
		if (when == 3)
			run_delegate(CNI_ADD);
		if (when == 2)
			verdict();
		evil_send(worker.fd, type, (enum evil)how);
	}
}

static void
serve(const struct msg_offer *m, int fd)
{
	worker = WIRE_INIT(fd, ROLE_WORKER, ROLE_NETPRIV);
	if (m->verb == CNI_DEL && strncmp(m->target.pod_name, "del-", 4) != 0) { /* let the undoing through, or nothing would ever be clean again */
		struct msg_verdict v = { .flags = VERDICT_CLEAN };

		send_plain(MSG_VERDICT, &v, NULL, 0);
	} else {
		attack(m->target.pod_name);
	}
	log_info("evil: %s: %s", m->target.pod_name, evil_closed(fd, 20000) ? "closed" : "open");
}

int
main(void)
{
	struct wire control = WIRE_INIT(FD_CONTROL, ROLE_BROKER, ROLE_SUPERVISOR);
	struct wire netpriv = WIRE_INIT(FD_BROKER_NETPRIV, ROLE_BROKER, ROLE_NETPRIV);
	struct msg_ready ready = { .role = ROLE_BROKER };
	struct wire_msg m;

	log_init("broker", LOG_DEBUG);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	fcntl(FD_BROKER_NETPRIV, F_SETFL, 0);
	wire_send(&control, MSG_READY, 0, &ready, NULL, 0);
	while (wire_recv(&netpriv, WS_ANY, &m) == 1) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(&m.body.offer, m.fds[0]);
			_exit(0);
		}
		wire_msg_clear(&m);
	}
	return 0;
}
