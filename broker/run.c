/* Running one network: what each plugin gets on stdin, what its answer means.
 * Runs in: worker.  Trusts: nothing that a plugin prints.  Source: CNI spec 1.1.0 sections 3 and 4. */
#include "broker/run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/priv.h"
#include "broker/result.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define TAIL 200 /* bytes of a plugin's stderr that an error quotes */

struct call {
	enum cni_verb verb;
	const struct msg_offer *offer;
	const json_t *valid;
	const char *version; /* the network's, never "" */
	char type[64];
	bool ran; /* the plugin was executed, whatever came of it */
};

/* The capability arguments that this plugin declares as true, or NULL when there is none. */
static json_t *
filter_runtime(const json_t *plugin, const json_t *runtime)
{
	json_t *declared, *value, *out = json_object();
	const char *name;

	json_object_foreach(json_member(plugin, "capabilities"), name, declared) {
		value = json_object_get(runtime, name);
		if (value && json_is_true(declared))
			json_object_set(out, name, value);
	}
	if (json_object_size(out))
		return out;
	json_decref(out);
	return NULL;
}

static json_t *
make_prev(const json_t *result, const struct call *c)
{
	json_t *prev = json_deep_copy(result);

	if (c->offer->flags & OFFER_ALIAS)
		result_sandbox(prev, c->offer->target.netns, WIRE_NETNS_ALIAS);
	return prev;
}

static char *
make_stdin(const struct delegate *d, const json_t *plugin, const json_t *prev, const struct call *c)
{
	cleanup_json json_t *j = json_copy((json_t *)(uintptr_t)plugin);

	json_set_key(j, "cniVersion", json_string(c->version));
	json_set_key(j, "name", json_string(d->net));
	if (c->verb == CNI_GC) {
		json_t *valid = c->valid ? json_deep_copy(c->valid) : json_array();

		/* The key was renamed after plugins had been built for the first name. */
		json_set_key(j, "cni.dev/valid-attachments", valid);
		json_set_key(j, "cni.dev/attachments", json_incref(valid));
	} else if (c->verb != CNI_STATUS) {
		json_t *runtime = filter_runtime(plugin, d->runtime);

		if (runtime)
			json_set_key(j, "runtimeConfig", runtime);
		if (prev)
			json_set_key(j, "prevResult", make_prev(prev, c));
	}
	return json_text(j, true);
}

/* The end of what was printed, without trailing white space and NULs: enough to say what went wrong. */
static const char *
cut_tail(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	while (len > 0 && strchr(" \r\n\t", text[len - 1]))
		text[--len] = '\0';
	return text + (len > TAIL ? len - TAIL : 0);
}

/* A CNI error object on stdout becomes the error, code and all. */
static bool
take_error_object(const struct priv_run *r, struct cnierr *e)
{
	struct cnierr ignored = { 0 }, details = { 0 };
	cleanup_json json_t *j =
	    r->overflow ? NULL : json_read(r->out, r->out_len, "error", &ignored);
	const char *msg = json_string_value(json_member(j, "msg"));
	const char *more = json_string_value(json_member(j, "details"));
	json_int_t code = json_integer_value(json_member(j, "code"));

	if (!json_is_object(j) || (!msg && !json_is_integer(json_member(j, "code"))))
		return false;
	cnierr_set(e, code > 0 && code <= INT_MAX ? (uint32_t)code : CNI_ERR_INTERNAL, "%s",
		   msg && *msg ? msg : "(no message)");
	if (more && *more) {
		cnierr_set(&details, CNI_ERR_INTERNAL, "%s", more);
		snprintf(e->details, sizeof(e->details), "%.*s", (int)sizeof(e->details) - 1,
			 details.msg);
	}
	return true;
}

static int
explain_exit(const struct priv_run *r, struct cnierr *e)
{
	const char *err = cut_tail(r->err, r->err_len), *out;

	if (take_error_object(r, e))
		return -1;
	out = cut_tail(r->out, r->out_len);
	if (!*err && !*out)
		return cnierr_set(e, CNI_ERR_INTERNAL,
				  "netplugin failed with exit status %u and printed nothing",
				  r->done.status);
	return cnierr_set(e, CNI_ERR_INTERNAL,
			  "netplugin failed with exit status %u and no CNI error object: \"%s\"",
			  r->done.status, *err ? err : out);
}

/* What came of one plugin: 0, or -1 with e. */
static int
judge(const struct priv_run *r, struct cnierr *e)
{
	const struct msg_delegate_done *done = &r->done;
	const char *err;

	switch (done->how) {
	case DONE_EXITED:
		return done->status == 0 ? 0 : explain_exit(r, e);
	case DONE_SIGNALED:
		err = cut_tail(r->err, r->err_len);
		return cnierr_set(e, CNI_ERR_INTERNAL, "netplugin failed: killed by signal %u%s%s",
				  done->status, *err ? ": " : "", err);
	case DONE_TIMEOUT:
		return cnierr_set(e, CNI_ERR_INTERNAL, "netplugin failed: timed out after %u ms",
				  done->status);
	default:
		return cnierr_set(e, CNI_ERR_INTERNAL, "could not be started: %s", done->text);
	}
}

static int
run_plugin(const struct delegate *d, const json_t *plugin, const json_t *prev, struct call *c,
	   struct priv_run *r, struct cnierr *e)
{
	struct msg_delegate_run run = { .verb = c->verb };
	cleanup_free char *text = make_stdin(d, plugin, prev, c);
	size_t len = text ? strlen(text) : 0;
	const char *type = json_string_value(json_member(plugin, "type"));

	if (!type || !check_plugin(type) || util_copy(run.plugin, sizeof(run.plugin), type))
		return cnierr_set(e, CNI_ERR_CONFIG, "a plugin lacks a valid \"type\"");
	util_copy(c->type, sizeof(c->type), type);
	if (c->verb != CNI_GC && c->verb != CNI_STATUS) {
		util_copy(run.ifname, sizeof(run.ifname), d->ifname);
		util_copy(run.mac, sizeof(run.mac), d->mac);
		util_copy(run.ips, sizeof(run.ips), d->ips);
	}
	if (!text || len > WIRE_STDIN_MAX)
		return cnierr_set(e, CNI_ERR_CONFIG,
				  "its configuration of %zu bytes is longer than %u bytes", len,
				  WIRE_STDIN_MAX);
	if (priv_delegate_run(&run, text, len, r, e))
		return -1;
	c->ran = r->done.how != DONE_FAILED;
	if (judge(r, e))
		return -1;
	if (r->err_len)
		log_info("network \"%s\", interface \"%s\": plugin \"%s\" (%s) said: %s", d->net,
			 run.ifname, type, cni_verb_name(c->verb), cut_tail(r->err, r->err_len));
	return 0;
}

/* Takes a plugin's ADD result into d, in the network's version and with the pod's netns path as the runtime spells it. */
static int
take_result(struct delegate *d, const struct priv_run *r, const struct call *c, struct cnierr *e)
{
	cleanup_json json_t *result = NULL;
	json_t *converted;

	if (r->overflow)
		return cnierr_set(e, CNI_ERR_DECODE, "printed more than 1 MiB");
	if (r->out_len == 0)
		return cnierr_set(e, CNI_ERR_DECODE, "printed nothing where a result was due");
	result = result_read(r->out, r->out_len, c->version, "its output", e);
	converted = result ? result_convert(result, c->version, e) : NULL;
	if (!converted)
		return -1;
	if (c->offer->flags & OFFER_ALIAS)
		result_sandbox(converted, WIRE_NETNS_ALIAS, c->offer->target.netns);
	json_decref(d->result);
	d->result = converted;
	return 0;
}

static int
run_one(struct delegate *d, const json_t *plugin, struct call *c, struct cnierr *e)
{
	static const char *const how[] = { [CNI_ADD] = "add",
					   [CNI_DEL] = "delete",
					   [CNI_CHECK] = "check",
					   [CNI_GC] = "gc",
					   [CNI_STATUS] = "status" };
	bool with_prev = c->verb == CNI_ADD || result_version_cmp(c->version, "0.4.0") >= 0;
	struct priv_run r = { 0 };
	int err = run_plugin(d, plugin, with_prev ? d->result : NULL, c, &r, e);

	if (err == 0 && c->verb == CNI_ADD)
		err = take_result(d, &r, c, e);
	free(r.out);
	free(r.err);
	return err ? cnierr_prefix(e, "plugin type=\"%s\" failed (%s)", c->type, how[c->verb]) : 0;
}

/* sbr opens the namespace's path for its lock, and makes a file of it when there is none: every later DEL then fails. Its
 * rules went with the namespace. */
static bool
skip_plugin(const json_t *plugin, const struct call *c)
{
	const char *type = json_string_value(json_member(plugin, "type"));

	return c->verb == CNI_DEL && !(c->offer->flags & OFFER_NETNS) && type &&
	       strcmp(type, "sbr") == 0;
}

static bool
has_verb(const struct delegate *d, const struct call *c)
{
	switch (c->verb) {
	case CNI_CHECK:
		return !d->disable_check && result_version_cmp(c->version, "0.4.0") >= 0;
	case CNI_GC:
		return !d->disable_gc && result_version_cmp(c->version, "1.1.0") >= 0;
	case CNI_STATUS:
		return result_version_cmp(c->version, "1.1.0") >= 0;
	default:
		return true;
	}
}

static int
prefix_network(const struct delegate *d, const struct call *c, struct cnierr *e)
{
	if (c->verb == CNI_GC || c->verb == CNI_STATUS)
		return cnierr_prefix(e, "network \"%s\"", d->net);
	if (c->verb != CNI_ADD)
		return cnierr_prefix(e, "network \"%s\": interface \"%s\"", d->net, d->ifname);
	return cnierr_prefix(e, "error adding container to network \"%s\": interface \"%s\"",
			     d->net, d->ifname);
}

int
run_network(struct delegate *d, enum cni_verb verb, const struct msg_offer *offer,
	    const json_t *valid, struct cnierr *e)
{
	struct call c = { .verb = verb,
			  .offer = offer,
			  .valid = valid,
			  .version = d->version[0] ? d->version : "0.1.0" };
	size_t n = json_array_size(d->plugins);

	if (!has_verb(d, &c))
		return 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *plugin = json_array_get(d->plugins, verb == CNI_DEL ? n - 1 - i : i);
		struct cnierr one = { 0 };

		if (skip_plugin(plugin, &c)) {
			log_info("network \"%s\", interface \"%s\": plugin \"sbr\" skipped, the "
				 "namespace is gone",
				 d->net, d->ifname);
			continue;
		}
		c.ran = false;
		if (run_one(d, plugin, &c, &one) == 0)
			continue;
		prefix_network(d, &c, &one);
		/* What never ran is not to be undone; asked to, it could fail for ever. */
		while (verb == CNI_ADD && json_array_size(d->plugins) > i + c.ran)
			json_array_remove(d->plugins, json_array_size(d->plugins) - 1);
		if (e->code == 0)
			*e = one;
		if (verb != CNI_GC)
			return -1;
		log_warn("%s", one.msg);
	}
	return e->code ? -1 : 0;
}
