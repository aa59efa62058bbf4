/* The journal for people. Nothing is locked: an entry that changes meanwhile is seen as it was or as it is.
 * Runs in: posternctl, as nobody once it is collected.  Trusts: the journal's directory, which only root can write to. */
#include "ctl/list.h"

#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <jansson.h>
#include <stdio.h>

#include "netpriv/journal.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define TEXT 1024
#define NOBODY 65534

struct item {
	struct journal_entry e;
	void *plan;
	size_t len;
};

/* All of the journal, unread. Never freed: the process ends with it. */
static struct item *
collect(size_t *n)
{
	char id[WIRE_ID] = "", ifname[16] = "";
	struct journal_entry e = { 0 };
	struct item *items = NULL;

	for (*n = 0; journal_next("", id, ifname, &e) == 0; close(e.blob)) {
		util_copy(id, sizeof(id), e.head.target.container_id);
		util_copy(ifname, sizeof(ifname), e.head.target.ifname);
		items = reallocarray(items, *n + 1, sizeof(*items));
		if (!items)
			log_fatal("out of memory");
		items[*n] = (struct item){ .e = e };
		if (util_map_memfd(e.blob, WIRE_MEMFD_MAX, &items[*n].plan, &items[*n].len) < 0)
			log_fatal("journal entry of %s: cannot be read", id);
		(*n)++;
	}
	return items;
}

/* The plans are texts of workers: they are parsed as nobody. */
static void
become_nobody(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		log_fatal("cannot give up root: %s", strerror(errno));
}

static const char *
state_of(const struct journal_entry *e)
{
	return e->owed ? "to be undone" : e->stale ? "of an earlier boot" : e->live ? "attached" : "being attached";
}

static json_t *
describe(const struct item *item)
{
	const struct journal_entry *e = &item->e;
	const struct wire_target *t = &e->head.target;
	json_t *plan = item->plan ? json_loadb(item->plan, item->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_t *networks = json_array(), *network;
	size_t i;

	json_array_foreach(json_object_get(plan, "networks"), i, network)
		json_array_append_new(networks, json_pack("{s:O?, s:O?}", "network", json_object_get(network, "display"), "interface",
							  json_object_get(network, "ifname")));
	json_decref(plan);
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "pod_namespace", t->pod_ns, "pod", t->pod_name, "container", t->container_id,
			 "state", state_of(e), "hotplugged", e->head.main[0] != '\0', "networks", networks);
}

/* The text is a worker's. */
static const char *
escape(char out[TEXT], const json_t *text)
{
	util_escape(out, TEXT, json_string_value(text) ?: "?");
	return out;
}

static void
print_entry(const json_t *entry)
{
	char interface[TEXT], name[TEXT];
	json_t *network;
	size_t i;

	printf("%s/%s  %.13s  %s:", json_string_value(json_object_get(entry, "pod_namespace")),
	       json_string_value(json_object_get(entry, "pod")), json_string_value(json_object_get(entry, "container")),
	       json_string_value(json_object_get(entry, "state")));
	json_array_foreach(json_object_get(entry, "networks"), i, network)
		printf("%s %s %s", i ? "," : "", escape(interface, json_object_get(network, "interface")),
		       escape(name, json_object_get(network, "network")));
	printf("%s\n", json_is_true(json_object_get(entry, "hotplugged")) ? " (while it ran)" : "");
}

int
list_run(int argc, char **argv)
{
	static const struct option known[] = { { "json", no_argument, NULL, 'j' }, { "journal", required_argument, NULL, 'd' },
					       { NULL, 0, NULL, 0 } };
	const char *dir = LIST_JOURNAL;
	json_t *all = json_array(), *entry;
	struct item *items;
	bool json = false;
	size_t i, n;
	int option, fd;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == '?')
			return 2;
		json = json || option == 'j';
		dir = option == 'd' ? optarg : dir;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		log_fatal("%s: %s; --journal names another directory (<cniDir>/journal)", dir, strerror(errno));
	journal_init(fd);
	items = collect(&n);
	become_nobody();
	for (i = 0; i < n; i++)
		json_array_append_new(all, describe(&items[i]));
	if (json)
		json_dumpf(all, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	else
		json_array_foreach(all, i, entry)
			print_entry(entry);
	if (json)
		putchar('\n');
	json_decref(all);
	return 0;
}
