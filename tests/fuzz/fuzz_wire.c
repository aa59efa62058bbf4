/* The fields of messages, and the validator in front of them. First line: the message's name. Then lines "@<offset> <bytes>", %XX for
 * any byte: what is there in a body of zeros; or, when the first of them is none, the body as it is. */
#include <string.h>
#include <sys/socket.h>

#include "netpriv/util.h"
#include "netpriv/wire_check.h"
#include "tests/fuzz/fuzz.h"

static const struct row {
	const char *name;
	size_t size;
	enum role from, to;
	const char *fds;
} rows[MSG_COUNT] = {
#define MSG(name, body, from, to, fds, states, once) [MSG_##name] = { #name, sizeof(struct msg_##body), ROLE_##from, ROLE_##to, fds },
#include "netpriv/wire.def"
#undef MSG
};

static bool
check_body(unsigned type, const void *body)
{
	switch (type) {
#define MSG(name, body_, from, to, fds, states, once)                                                                                  \
	case MSG_##name:                                                                                                               \
		return wire_check_##body_(body);
#include "netpriv/wire.def"
#undef MSG
	default:
		MUST(!"a message that the table has");
	}
}

static unsigned
find_type(const uint8_t *data, size_t len)
{
	for (unsigned type = MSG_NONE + 1; type < MSG_COUNT; type++)
		if (strlen(rows[type].name) == len && memcmp(rows[type].name, data, len) == 0)
			return type;
	return len > 0 ? MSG_NONE + 1 + data[0] % (MSG_COUNT - 1) : MSG_ATTACH;
}

/* The body, malloc'd, of exactly the size that it must have: what is read behind it shows. */
static char *
make_body(const uint8_t *data, size_t len, size_t size)
{
	cleanup_free char *text = fuzz_text(data, len);
	char *body = calloc(1, size), *rest = NULL;

	MUST(body);
	if (len == 0 || *data != '@') {
		if (len > 0)
			memcpy(body, data, len < size ? len : size);
		return body;
	}
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *bytes = line + (*line == '@');
		size_t at = strtoul(bytes, &bytes, 10) % size, n;

		bytes += *bytes == ' ';
		n = fuzz_unescape(bytes);
		memcpy(body + at, bytes, n < size - at ? n : size - at);
	}
	return body;
}

/* The whole way, in a channel of those two roles. Without descriptors. */
static void
receive(unsigned type, const void *body, size_t size, bool fine)
{
	const struct row *r = &rows[type];
	const enum role from = r->from == ROLE_ANY ? ROLE_EXEC : r->from, to = r->to == ROLE_ANY ? ROLE_EXEC : r->to;
	struct wire_head head = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = (uint16_t)type, .length = (uint32_t)size };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)body, size } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	static int pair[2] = { -1, -1 };
	struct wire_msg m;
	struct wire w;
	int rc;

	if (pair[0] < 0)
		MUST(util_seqpair(pair, true) == 0);
	w = WIRE_INIT(pair[1], to, from);
	MUST(sendmsg(pair[0], &msg, 0) == (ssize_t)(sizeof(head) + size));
	rc = wire_recv(&w, WS_ANY, &m);
	MUST(rc == 1 || rc == -EPROTO);
	MUST(rc != 1 || fine);
	MUST(rc == 1 || !fine || (r->fds[0] >= 'A' && r->fds[0] <= 'Z'));
	if (rc == 1)
		MUST(m.head.type == type && memcmp(&m.body, body, size) == 0 && m.fds[0] < 0);
}

/* A worker, kube or dial may say what one wants; what a privileged role makes a path or a name of is one. */
static void
check_target(const struct wire_target *t)
{
	MUST(!t->container_id[0] || check_container_id(t->container_id));
	MUST(!t->ifname[0] || check_ifname(t->ifname));
	MUST(!t->netns[0] || t->netns[0] == '/');
	MUST(!strchr(t->pod_ns, '/') && !strchr(t->pod_name, '/') && !strchr(t->pod_uid, '/'));
}

static void
check_promises(unsigned type, const union wire_body *b)
{
	switch (type) {
	case MSG_ATTACH:
		check_target(&b->attach.target);
		break;
	case MSG_EXEC_RUN:
		check_target(&b->exec_run.target);
		MUST(check_plugin(b->exec_run.run.plugin));
		break;
	case MSG_DELEGATE_RUN:
		MUST(check_plugin(b->delegate_run.plugin) && !strchr(b->delegate_run.mac, ';') && !strchr(b->delegate_run.ips, ';'));
		break;
	case MSG_CONF_GET:
		MUST(!strchr(b->conf_get.sub, '/') && strcmp(b->conf_get.sub, "..") != 0);
		break;
	case MSG_SERVER:
		MUST(!strpbrk(b->server.authority, "\r\n ") && !strpbrk(b->server.prefix, "\r\n "));
		break;
	default:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t name = end ? (size_t)(end - data) : size, used = end ? name + 1 : name;
	unsigned type = find_type(data, name);
	cleanup_free char *body = make_body(data + used, size - used, rows[type].size);
	bool fine = check_body(type, body);

	if (fine) {
		union wire_body whole = { 0 };

		memcpy(&whole, body, rows[type].size);
		check_promises(type, &whole);
	}
	receive(type, body, rows[type].size, fine);
	return 0;
}
