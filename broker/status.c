/* The network-status annotation: which interface of which network has which addresses.
 * Runs in: worker.  Source: NPWG multi-network 1.3 section 5; the layout is the one that its readers grew up with. */
#include "broker/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

static bool
in_pod(const json_t *interface)
{
	return json_object_get(interface, "sandbox") != NULL;
}

/* Textual gateways of the default routes; a route without one has nothing to show. NULL when there is none. */
static json_t *
collect_gateways(const json_t *result)
{
	json_t *route, *gateways = json_array();
	size_t i;

	json_array_foreach(json_object_get(result, "routes"), i, route) {
		const char *slash = strchr(json_string_value(json_object_get(route, "dst")), '/');
		json_t *gw = json_object_get(route, "gw");

		if (gw && slash && strcmp(slash, "/0") == 0)
			json_array_append(gateways, gw);
	}
	if (json_array_size(gateways))
		return gateways;
	json_decref(gateways);
	return NULL;
}

static json_t *
address_only(const json_t *ip)
{
	const char *s = json_string_value(json_object_get(ip, "address"));

	return json_stringn(s, strcspn(s, "/"));
}

/* Index of the one interface that is the pod's default, -1 for none. */
static long long
pick_default(const json_t *result)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(result, "ips"), i, item) {
		json_t *index = json_object_get(item, "interface");

		if (index && json_object_get(item, "gateway"))
			return json_integer_value(index);
	}
	json_array_foreach(json_object_get(result, "interfaces"), i, item)
		if (in_pod(item))
			return (long long)i;
	return -1;
}

/* Addresses of interface i: those with its index, and for the last one also those without any. alone: all there are. */
static json_t *
collect_ips(const json_t *result, size_t i, bool last, bool alone)
{
	json_t *ip, *ips = json_array();
	size_t k;

	json_array_foreach(json_object_get(result, "ips"), k, ip) {
		json_t *index = json_object_get(ip, "interface");

		if (alone || (index ? (size_t)json_integer_value(index) == i : last))
			json_array_append_new(ips, address_only(ip));
	}
	if (json_array_size(ips))
		return ips;
	json_decref(ips);
	return NULL;
}

static void
set_if(json_t *object, const char *key, json_t *value)
{
	if (value)
		json_object_set_new(object, key, value);
}

/* Members that readers know, in the order that they know, unless empty. NULL when there is none. */
static json_t *
arrange(const json_t *object, const char *const *keys)
{
	json_t *out = json_object(), *v;

	for (; *keys; keys++) {
		v = json_object_get(object, *keys);
		if (json_string_length(v) > 0)
			json_object_set(out, *keys, v);
	}
	if (json_object_size(out))
		return out;
	json_decref(out);
	return NULL;
}

static json_t *
arrange_device(const json_t *info)
{
	static const struct {
		const char *name, *const keys[8];
	} kinds[] = { { "pci", { "pci-address", "vhost-net", "rdma-device", "pf-pci-address", "representor-device" } },
		      { "vdpa", { "parent-device", "driver", "path", "pci-address", "pf-pci-address", "representor-device" } },
		      { "vhost-user", { "mode", "path" } },
		      { "memif", { "role", "path", "mode" } } };
	static const char *const top[] = { "type", "version", NULL };
	json_t *out;

	if (!info)
		return NULL;
	out = arrange(info, top) ?: json_object();
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		set_if(out, kinds[i].name, arrange(json_object_get(info, kinds[i].name), kinds[i].keys));
	return out;
}

static json_t *
make_element(const struct delegate *d, const json_t *result, size_t i, bool last, bool alone)
{
	json_t *element = json_object(), *dns = json_object_get(result, "dns");
	json_t *interface = json_array_get(json_object_get(result, "interfaces"), i);
	bool shown = in_pod(interface);

	json_object_set_new(element, "name", json_string(d->display));
	if (shown)
		json_object_set(element, "interface", json_object_get(interface, "name"));
	set_if(element, "ips", collect_ips(result, i, last, alone));
	if (shown && json_object_get(interface, "mac"))
		json_object_set(element, "mac", json_object_get(interface, "mac"));
	if (shown && json_object_get(interface, "mtu"))
		json_object_set(element, "mtu", json_object_get(interface, "mtu"));
	if (d->master && (alone || pick_default(result) == (long long)i))
		json_object_set_new(element, "default", json_true());
	json_object_set_new(element, "dns", dns ? json_incref(dns) : json_object());
	set_if(element, "device-info", arrange_device(d->device_info));
	set_if(element, "gateway", collect_gateways(result));
	return element;
}

/* One JSON text in the spelling of an HTML-safe encoder: <, >, & and U+2028/9 as \u escapes, hexadecimal in lower case.
 * None of these bytes occurs outside strings. */
static void
print_escaped(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&') {
			fprintf(f, "\\u%04x", (unsigned)*s);
		} else if (memcmp(s, "\xe2\x80", 2) == 0 && (s[2] == '\xa8' || s[2] == '\xa9')) {
			fputs(s[2] == '\xa8' ? "\\u2028" : "\\u2029", f);
			s += 2;
		} else if (*s == '\\') {
			fputc(*s++, f);
			fputc(*s, f);
			for (int n = *s == 'u' ? 4 : 0; n > 0; n--)
				fputc(*++s >= 'A' && *s <= 'F' ? *s - 'A' + 'a' : *s, f);
		} else {
			fputc(*s, f);
		}
	}
}

static size_t
print_network(FILE *f, const struct delegate *d, size_t before, struct cnierr *e)
{
	cleanup_json json_t *result = result_convert(d->result, "1.1.0", e);
	json_t *interface, *interfaces = json_object_get(result, "interfaces");
	size_t i, last = 0, made = 0;
	bool alone = json_array_size(interfaces) == 1;

	json_array_foreach(interfaces, i, interface)
		if (in_pod(interface))
			last = i;
	json_array_foreach(interfaces, i, interface) {
		cleanup_json json_t *element = NULL;
		cleanup_free char *text = NULL;

		if (!alone && !in_pod(interface))
			continue;
		element = make_element(d, result, i, i == last, alone);
		text = json_dumps(element, JSON_INDENT(4));
		fputc(before + made++ ? ',' : '[', f);
		print_escaped(f, text ? text : "");
	}
	return made;
}

char *
status_text(const struct delegate_list *l, struct cnierr *e)
{
	char *text = NULL;
	size_t size, made = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f) {
		cnierr_set(e, CNI_ERR_INTERNAL, "network-status: out of memory");
		return NULL;
	}
	for (size_t i = 0; i < l->n && !e->code; i++)
		if (l->e[i].result)
			made += print_network(f, &l->e[i], made, e);
	fputc(']', f);
	if (fclose(f) != 0)
		cnierr_set(e, CNI_ERR_INTERNAL, "network-status: out of memory");
	if (made && !e->code)
		return text;
	free(text);
	return NULL;
}
