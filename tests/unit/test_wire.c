/* The wire's validator: every message type, whole and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/evil/evil.h"

struct row {
	unsigned type;
	const char *name;
	enum role from, to;
	const char *fds;
	unsigned states;
	bool once;
	uint32_t length;
};

static const struct row rows[] = {
#define MSG(name, body, from, to, fds, states, once)                                               \
	{ MSG_##name, #name, ROLE_##from, ROLE_##to, fds, (states), (once), sizeof(struct msg_##body) },
#include "netpriv/wire.def"
#undef MSG
};

static unsigned
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A body that passes its checker. */
static void
fill(unsigned type, union wire_body *b)
{
	struct wire_target *t = NULL;

	memset(b, 0, sizeof(*b));
	switch (type) {
	case MSG_ATTACH:
		b->attach.verb = CNI_ADD;
		t = &b->attach.target;
		break;
	case MSG_READY:
		b->ready.role = ROLE_BROKER;
		break;
	case MSG_OFFER:
	case MSG_TASK:
		b->offer.verb = CNI_ADD;
		t = &b->offer.target;
		break;
	case MSG_EXEC_RUN:
		b->exec_run.deadline_ms = 1;
		t = &b->exec_run.target;
		__attribute__((fallthrough));
	case MSG_DELEGATE_RUN:
		b->delegate_run.verb = CNI_ADD;
		strcpy(b->delegate_run.plugin, "bridge");
		strcpy(b->delegate_run.ifname, "eth0");
		break;
	case MSG_EXEC_KILL:
		b->exec_kill.target = 1;
		break;
	case MSG_STATE_PLAN:
	case MSG_LINK_GET:
		strcpy(b->link_get.ifname[0], "eth0");
		break;
	case MSG_ROUTE_DEFAULT:
		b->route_default.family = AF_INET;
		strcpy(b->route_default.ifname, "net1");
		memcpy(b->route_default.gateway, "\x0a\x01\x02\x01", 4);
		break;
	case MSG_GC_VALID:
		strcpy(b->gc_valid.container_id, "abc");
		strcpy(b->gc_valid.ifname, "eth0");
		break;
	case MSG_PLUG:
		b->plug.verb = CNI_ADD;
		strcpy(b->plug.pod_ns, "default");
		strcpy(b->plug.pod_name, "web");
		strcpy(b->plug.ifname, "net7");
		break;
	case MSG_DEVICES_BIND:
		strcpy(b->devices_bind.container_id, "abc");
		break;
	case MSG_DEVICES_GET:
		strcpy(b->devices_get.resource, "example.com/nic");
		break;
	case MSG_DEVINFO:
		strcpy(b->devinfo.network, "default/net1");
		strcpy(b->devinfo.ifname, "net1");
		break;
	case MSG_KUBE_CLAIM:
		strcpy(b->kube_claim.name, "claim");
		break;
	case MSG_KUBE_SLICES:
		strcpy(b->kube_slices.driver, "driver.example.com");
		b->kube_slices.limit = 1;
		break;
	case MSG_KUBE_NAD:
		strcpy(b->kube_nad.ns, "default");
		strcpy(b->kube_nad.name, "net1");
		break;
	case MSG_DIAL:
		b->dial.want = DIAL_CONN;
		break;
	case MSG_SERVER:
		strcpy(b->server.name, "10.0.0.1");
		strcpy(b->server.authority, "10.0.0.1:6443");
		break;
	case MSG_KUBE_REPLY:
		b->kube_reply.code = 200;
		break;
	default:
		break;
	}
	if (t) {
		strcpy(t->container_id, "abc");
		strcpy(t->ifname, "eth0");
	}
}

/* Descriptors of the kinds that the table asks for. */
static unsigned
open_kinds(const char *kinds, int fds[WIRE_MAX_FDS])
{
	unsigned n = 0;

	for (; kinds[n]; n++) {
		int pair[2];

		switch (kinds[n] | 0x20) {
		case 'm':
			fds[n] = util_sealed_memfd("test", "{}", 2);
			continue;
		case 't':
			fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
			continue;
		case 'n':
			fds[n] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
			continue;
		case 's':
			assert_int_equal(util_seqpair(pair, false), 0);
			break;
		default:
			assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
			break;
		}
		fds[n] = kinds[n] == 'R' ? pair[0] : pair[1];
		close(kinds[n] == 'R' ? pair[1] : pair[0]);
	}
	return n;
}

static void
close_all(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static enum role
concrete(enum role r, enum role other)
{
	return r != ROLE_ANY ? r : other;
}

struct channel {
	struct wire tx, rx;
};

static struct channel
channel(const struct row *r)
{
	enum role from = concrete(r->from, ROLE_BROKER), to = concrete(r->to, ROLE_BROKER);
	int pair[2];

	assert_int_equal(util_seqpair(pair, true), 0);
	return (struct channel){ WIRE_INIT(pair[0], from, to), WIRE_INIT(pair[1], to, from) };
}

static void
end_channel(struct channel *c)
{
	wire_close(&c->tx);
	wire_close(&c->rx);
}

static unsigned
any_state(const struct row *r)
{
	return r->states & -r->states;
}

static void
test_whole(void **state)
{
	unsigned before = open_fds();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct channel c = channel(r);
		union wire_body b;
		struct wire_msg m;
		int fds[WIRE_MAX_FDS];
		unsigned n = open_kinds(r->fds, fds);

		fill(r->type, &b);
		assert_int_equal(wire_send(&c.tx, r->type, 42, &b, fds, n), 0);
		assert_int_equal(wire_recv(&c.rx, any_state(r), &m), 1);
		assert_int_equal(m.head.type, r->type);
		assert_int_equal(m.head.serial, 42);
		assert_memory_equal(&m.body, &b, r->length);
		for (unsigned k = 0; k < WIRE_MAX_FDS; k++)
			assert_int_equal(m.fds[k] >= 0, k < n);
		wire_msg_clear(&m);
		/* A second one is refused when the table says once. */
		wire_send(&c.tx, r->type, 43, &b, fds, n);
		assert_int_equal(wire_recv(&c.rx, any_state(r), &m), r->once ? -EPROTO : 1);
		if (!r->once)
			wire_msg_clear(&m);
		close_all(fds, n);
		end_channel(&c);
	}
	assert_int_equal(open_fds(), before);
}

static void
test_broken(void **state)
{
	unsigned before = open_fds();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (unsigned how = EVIL_SHORT; how < EVIL_COUNT; how++) {
			struct channel c = channel(&rows[i]);
			struct wire_msg m;
			int err;

			assert_int_equal(evil_send(c.tx.fd, rows[i].type, (enum evil)how), 0);
			err = wire_recv(&c.rx, any_state(&rows[i]), &m);
			/* EXEC_KILL holds one number, and any is well formed. */
			if (rows[i].type == MSG_EXEC_KILL && how == EVIL_GARBAGE)
				err = -EPROTO;
			if (err == 1 || err != (how == EVIL_VERSION ? -EPROTONOSUPPORT : -EPROTO))
				fail_msg("%s, form %u: %d", rows[i].name, how, err);
			end_channel(&c);
		}
	}
	assert_int_equal(open_fds(), before);
}

static void
test_sender_and_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		for (unsigned from = ROLE_SUPERVISOR; from < ROLE_COUNT; from++) {
			for (unsigned bit = 1; bit <= WS_DONE; bit <<= 1) {
				struct channel c = channel(r);
				struct wire_msg m;
				union wire_body b;
				int fds[WIRE_MAX_FDS];
				unsigned n = open_kinds(r->fds, fds);
				bool ok = (r->from == ROLE_ANY || r->from == from) && (r->states & bit);

				fill(r->type, &b);
				assert_int_equal(wire_send(&c.tx, r->type, 1, &b, fds, n), 0);
				c.rx.peer = from;
				assert_int_equal(wire_recv(&c.rx, bit, &m), ok ? 1 : -EPROTO);
				if (ok)
					wire_msg_clear(&m);
				close_all(fds, n);
				end_channel(&c);
			}
		}
	}
}

/* Every place for a descriptor, filled with every other kind. */
static void
test_fd_kinds(void **state)
{
	static const char kinds[] = "MNRWS";
	unsigned before = open_fds();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		for (size_t place = 0; r->fds[place]; place++) {
			for (const char *k = kinds; *k; k++) {
				struct channel c = channel(r);
				char wanted[8];
				struct wire_msg m;
				union wire_body b;
				int fds[WIRE_MAX_FDS];
				unsigned n;
				bool same = (r->fds[place] & ~0x20) == *k;

				util_copy(wanted, sizeof(wanted), r->fds);
				wanted[place] = *k;
				n = open_kinds(wanted, fds);
				fill(r->type, &b);
				assert_int_equal(wire_send(&c.tx, r->type, 1, &b, fds, n), 0);
				assert_int_equal(wire_recv(&c.rx, any_state(r), &m), same ? 1 : -EPROTO);
				if (same)
					wire_msg_clear(&m);
				close_all(fds, n);
				end_channel(&c);
			}
		}
	}
	assert_int_equal(open_fds(), before);
}

static void
test_memfd_rules(void **state)
{
	const struct row *r = &rows[0]; /* ATTACH */
	struct channel c = channel(r);
	struct wire_msg m;
	union wire_body b;
	static char big[WIRE_STDIN_MAX + 1];
	int unsealed = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int large = util_sealed_memfd("x", big, sizeof(big));
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int bad[] = { unsealed, large, file };

	(void)state;
	fill(MSG_ATTACH, &b);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(wire_send(&c.tx, MSG_ATTACH, 1, &b, &bad[i], 1), 0);
		assert_int_equal(wire_recv(&c.rx, WS_NEW, &m), -EPROTO);
		close(bad[i]);
	}
	end_channel(&c);
}

static void
test_eof_and_empty(void **state)
{
	struct channel c = channel(&rows[0]);
	struct wire_msg m;

	(void)state;
	assert_int_equal(wire_recv(&c.rx, WS_NEW, &m), -EAGAIN);
	assert_int_equal(send(c.tx.fd, "", 0, 0), 0); /* an empty message reads like EOF, and is one to us */
	assert_int_equal(wire_recv(&c.rx, WS_NEW, &m), 0);
	wire_close(&c.tx);
	assert_int_equal(wire_recv(&c.rx, WS_NEW, &m), 0);
	end_channel(&c);
}

/* wire_send() itself refuses what the table does not allow. */
static void
test_send_refuses(void **state)
{
	struct channel c = channel(&rows[0]); /* shim to netpriv */
	union wire_body b;

	(void)state;
	fill(MSG_OFFER, &b);
	assert_int_equal(wire_send(&c.tx, MSG_OFFER, 1, &b, NULL, 0), -EINVAL);
	end_channel(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	      cmocka_unit_test(test_broken),
		cmocka_unit_test(test_sender_and_state), cmocka_unit_test(test_fd_kinds),
		cmocka_unit_test(test_memfd_rules),   cmocka_unit_test(test_eof_and_empty),
		cmocka_unit_test(test_send_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
