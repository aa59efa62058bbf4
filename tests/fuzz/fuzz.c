/* What the harnesses share. */
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <string.h>

#include "broker/json.h"
#include "broker/plan.h"
#include "broker/result.h"
#include "netpriv/check.h"
#include "netpriv/util.h"

#define NETWORKS "k8s.v1.cni.cncf.io/networks"
#define DEFAULT "v1.multus-cni.io/default-network"

/* jansson's seed is drawn once; the same each time, so that a finding can be found again. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	json_object_seed(1);
	return 0;
}

void
fuzz_broken(const char *file, int line, const char *promise)
{
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
	abort();
}

void
fuzz_error(int ret, const struct cnierr *e)
{
	MUST(ret == (e->code ? -1 : 0));
	if (ret == 0)
		return;
	MUST(e->msg[0] && memchr(e->msg, '\0', sizeof(e->msg)));
	for (const char *s = e->msg; *s; s++)
		MUST(!iscntrl((unsigned char)*s));
}

char *
fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	size_t n = 0;

	MUST(text);
	for (size_t i = 0; i < size; i++)
		if (data[i])
			text[n++] = (char)data[i];
	text[n] = '\0';
	return text;
}

char *
fuzz_cut(char *text)
{
	char *at = strstr(text, "---\n");

	while (at && at > text && at[-1] != '\n')
		at = strstr(at + 1, "---\n");
	if (!at)
		return NULL;
	*at = '\0';
	return at + 4;
}

size_t
fuzz_unescape(char *text)
{
	char *out = text;

	for (const char *s = text; *s; s++) {
		char hex[3] = { 0 };

		if (*s == '%' && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
			memcpy(hex, s + 1, 2);
			*out++ = (char)strtoul(hex, NULL, 16);
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	return (size_t)(out - text);
}

static void
check_delegate(const struct delegate *d, bool named)
{
	json_t *plugin, *gateway;
	size_t i;

	MUST(check_network_name(d->net));
	MUST(named ? check_ifname(d->ifname) : !d->ifname[0]);
	MUST(!d->version[0] || result_version_supported(d->version));
	MUST(check_mac(d->mac) && check_ip_list(d->ips));
	MUST(json_array_size(d->plugins) >= 1 && json_array_size(d->plugins) <= DELEGATE_CHAIN);
	json_array_foreach(d->plugins, i, plugin) {
		const char *type = json_string_value(json_member(plugin, "type"));

		MUST(type && check_plugin(type));
	}
	MUST(!d->runtime || json_is_object(d->runtime));
	json_array_foreach(d->default_route, i, gateway)
		MUST(json_is_string(gateway));
}

/* What ADD writes DEL must be able to read, else nothing is ever undone. ADD itself tries, and refuses what has grown beyond the
 * journal's limits; nothing else may be a reason. */
static void
check_journal(const struct delegate_list *l)
{
	static struct delegate_list back;
	const struct wire_target target = { .container_id = "c", .ifname = "eth0", .pod_ns = "test", .pod_name = "p" };
	cleanup_free char *text = plan_text(l, &target), *again = NULL;
	struct cnierr e = { 0 };

	MUST(text);
	if (plan_read(text, strlen(text), &back, &e)) {
		MUST(strstr(e.msg, "nested deeper than") || strstr(e.msg, "more than"));
		return;
	}
	again = plan_text(&back, &target);
	MUST(again && strcmp(text, again) == 0);
	delegate_list_clear(&back);
}

void
fuzz_list(const struct delegate_list *l, bool named)
{
	MUST(l->n >= 1 && l->n <= DELEGATE_MAX);
	for (size_t i = 0; i < l->n; i++) {
		MUST(l->e[i].master == (i == 0));
		check_delegate(&l->e[i], named);
		for (size_t k = 0; named && k < i; k++)
			MUST(strcmp(l->e[i].ifname, l->e[k].ifname) != 0);
	}
	if (named)
		check_journal(l);
}

int
fuzz_build(const struct delegate_source *src, const char *networks, const char *deflt, struct delegate_list *l)
{
	static const char stdin_text[] = "{\"cniVersion\":\"1.1.0\",\"name\":\"postern\","
					 "\"delegates\":[{\"cniVersion\":\"1.0.0\",\"name\":\"flat\",\"type\":\"macvlan\"}]}";
	static struct conf conf;
	const struct wire_target target = { .ifname = "eth0", .pod_ns = "test", .pod_name = "p" };
	struct pod pod = { .ns = "test", .name = "p", .known = true, .annotations = json_object() };
	struct cnierr e = { 0 };
	struct netconf nc;
	int ret;

	conf_defaults(&conf);
	memset(l, 0, sizeof(*l));
	MUST(netconf_parse(stdin_text, strlen(stdin_text), CNI_ADD, &nc, &e) == 0);
	if (networks)
		json_object_set_new(pod.annotations, NETWORKS, json_string(networks));
	if (deflt)
		json_object_set_new(pod.annotations, DEFAULT, json_string(deflt));
	ret = delegates_build(&conf, &nc, &target, &pod, src, l, &e);
	fuzz_error(ret, &e);
	if (ret == 0)
		fuzz_list(l, true);
	MUST(ret == 0 || l->n == 0);
	for (size_t i = 0; i < l->n; i++)
		MUST(l->e[i].display[0] && (l->e[i].list || json_array_size(l->e[i].plugins) == 1));
	netconf_clear(&nc);
	pod_clear(&pod);
	return ret;
}
