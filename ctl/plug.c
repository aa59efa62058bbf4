/* A request to attach a network to a pod that runs, or to detach it: the caller names the pod, the network and the interface; all else is
 * the service's.
 * Runs in: posternctl.  Source: NPWG multi-network 1.3 section 4 (the network selection). */
#include "ctl/plug.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "netpriv/util.h"
#include "netpriv/wire.h"

const char plug_usage[] =
    "attach   NAMESPACE/POD --network [NAMESPACE/]NAME --interface IFNAME [--ip ADDRESS]... [--mac MAC]\n"
    "         [--default-route GATEWAY]... [--selection JSON] [--uid UID] [--socket PATH]:\n"
    "         attach a network to a pod that runs and print the CNI result; --selection takes further members\n"
    "         of a network selection element\n"
    "detach   NAMESPACE/POD --interface IFNAME [--uid UID] [--socket PATH]: take it away again\n"
    "         --socket: the hot-plug door (" PLUG_SOCKET "); the node configuration's \"hotplug\" opens it\n";

struct request {
	struct msg_plug m;
	json_t *selection;
	const char *socket;
};

static int
usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "posternctl: %s%s%s\n%s", what, arg ? ": " : "", arg ? arg : "", plug_usage);
	return 2;
}

/* "<before>/<after>" into two fields; without a slash all of it into the second. */
static bool
split(const char *text, char *before, size_t before_size, char *after, size_t after_size)
{
	const char *slash = strchr(text, '/');

	if (slash && (size_t)(slash - text) >= before_size)
		return false;
	if (slash)
		memcpy(before, text, (size_t)(slash - text));
	return util_copy(after, after_size, slash ? slash + 1 : text) == 0;
}

static int
take_network(struct request *r, const char *text)
{
	char ns[64] = "", name[256];

	if (!split(text, ns, sizeof(ns), name, sizeof(name)))
		return usage_error("--network", text);
	json_object_set_new(r->selection, "name", json_string(name));
	if (ns[0])
		json_object_set_new(r->selection, "namespace", json_string(ns));
	return 0;
}

static void
append(struct request *r, const char *key, const char *text)
{
	json_t *list = json_object_get(r->selection, key);

	if (!list) {
		list = json_array();
		json_object_set_new(r->selection, key, list);
	}
	json_array_append_new(list, json_string(text));
}

static int
take_selection(struct request *r, const char *text)
{
	json_error_t error;
	json_t *more = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!json_is_object(more)) {
		json_decref(more);
		return usage_error("--selection: not a JSON object", more ? NULL : error.text);
	}
	json_object_update_missing(r->selection, more);
	json_decref(more);
	return 0;
}

static int
take_option(struct request *r, int option, const char *text)
{
	switch (option) {
	case 'n':
		return take_network(r, text);
	case 'i':
		return util_copy(r->m.ifname, sizeof(r->m.ifname), text) ? usage_error("--interface", text) : 0;
	case 'a':
		append(r, "ips", text);
		return 0;
	case 'm':
		json_object_set_new(r->selection, "mac", json_string(text));
		return 0;
	case 'g':
		append(r, "default-route", text);
		return 0;
	case 's':
		return take_selection(r, text);
	case 'u':
		return util_copy(r->m.pod_uid, sizeof(r->m.pod_uid), text) ? usage_error("--uid", text) : 0;
	case 'd':
		r->socket = text;
		return 0;
	default:
		return usage_error("see above", NULL);
	}
}

static int
parse(struct request *r, int argc, char **argv)
{
	static const struct option known[] = {
		{ "network", required_argument, NULL, 'n' }, { "interface", required_argument, NULL, 'i' },
		{ "ip", required_argument, NULL, 'a' },	     { "mac", required_argument, NULL, 'm' },
		{ "default-route", required_argument, NULL, 'g' }, { "selection", required_argument, NULL, 's' },
		{ "uid", required_argument, NULL, 'u' },     { "socket", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	int option, wrong = 0;

	while (!wrong && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
		wrong = take_option(r, option, optarg);
	if (wrong)
		return wrong;
	if (optind != argc - 1 || !split(argv[optind], r->m.pod_ns, sizeof(r->m.pod_ns), r->m.pod_name, sizeof(r->m.pod_name)))
		return usage_error("name one pod, NAMESPACE/POD", NULL);
	if (!r->m.ifname[0])
		return usage_error("--interface is missing", NULL);
	if (r->m.verb == CNI_ADD && !json_object_get(r->selection, "name"))
		return usage_error("--network is missing", NULL);
	return 0;
}

static int
connect_door(const char *path)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (fd < 0 || util_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		return -ENAMETOOLONG;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0)
		return -EPERM;
	return util_take_fd(&fd);
}

/* The service's answer on the terminal; the exit status. */
static int
print_answer(struct wire_msg *m)
{
	const struct msg_result *r = &m->body.result;
	void *map = NULL;
	size_t len = 0;

	if (m->fds[0] >= 0 && util_map_memfd(m->fds[0], WIRE_MEMFD_MAX, &map, &len) == 0 && map) {
		fwrite(map, 1, len, r->code ? stderr : stdout);
		fputc('\n', r->code ? stderr : stdout);
		munmap(map, len);
	} else if (r->code) {
		fprintf(stderr, "posternctl: code %u: %s\n", r->code, r->text);
	}
	return r->code != 0;
}

static int
ask(const struct request *r)
{
	char *text = json_dumps(r->selection, JSON_COMPACT);
	cleanup_close int memfd = text ? util_sealed_memfd("selection", text, strlen(text)) : -ENOMEM;
	cleanup_close int fd = connect_door(r->socket);
	cleanup_msg struct wire_msg m = { .fds = { -1, -1, -1, -1 } };
	struct wire w = WIRE_INIT(fd, ROLE_SHIM, ROLE_NETPRIV);
	int err;

	free(text);
	if (fd < 0) {
		fprintf(stderr, "posternctl: hot-plug door %s: %s; \"hotplug\" in the node configuration opens it, for one user\n",
			r->socket, strerror(-fd));
		return 1;
	}
	err = memfd < 0 ? memfd : wire_send(&w, MSG_PLUG, 1, &r->m, &memfd, 1);
	if (err == 0)
		err = wire_recv(&w, WS_ANY, &m);
	if (err == 1 && m.head.type == MSG_RESULT)
		return print_answer(&m);
	fprintf(stderr, "posternctl: %s\n", err == 0 ? "the service did not accept the request: is it well formed?" : strerror(-err));
	return 1;
}

int
plug_run(enum cni_verb verb, int argc, char **argv)
{
	struct request r = { .m.verb = verb, .selection = json_object(), .socket = PLUG_SOCKET };
	int status = parse(&r, argc, argv);

	if (status == 0)
		status = ask(&r);
	json_decref(r.selection);
	return status;
}
