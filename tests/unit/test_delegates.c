/* delegates.c, resolve.c, chain.c, inject.c: from the node's configuration, annotations, NADs and
 * files to the networks of a pod. A network is written as
 * "<display>[=<net>]@<ifname>:<type>[+<type>...][ v<version>][ ...]"; networks are joined by "; ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/delegate.h"
#include "broker/json.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

struct nad {
	const char *ns, *name;
	const char *config; /* NULL: no spec */
	const char *resource;
};

struct file {
	unsigned net;
	const char *sub, *name, *text;
};

#define CONF(name) "{\"cniVersion\":\"1.0.0\",\"name\":\"" name "\",\"type\":\"macvlan\"}"
#define CAPS                                                                                       \
	"\"capabilities\":{\"portMappings\":true,\"bandwidth\":true,\"ips\":true,\"mac\":true,"    \
	"\"infinibandGUID\":true}"

static const struct nad nads[] = {
    {"kube-system", "cluster", CONF("flat"), NULL},
    {"kube-system", "second", CONF("second"), NULL},
    {"test", "net1", "{\"type\":\"mynet\"}", NULL},
    {"test", "net2",
     "{\"cniVersion\":\"0.4.0\",\"name\":\"two\",\"plugins\":[{\"type\":\"bridge\"},{\"type\":"
     "\"tuning\"}]}",
     NULL},
    {"test", "caps", "{\"name\":\"caps\",\"plugins\":[{\"type\":\"a\"},{\"type\":\"b\"," CAPS "}]}",
     NULL},
    {"test", "args",
     "{\"type\":\"a\",\"args\":{\"x\":1,\"cni\":{\"args0\":\"old\",\"args1\":\"old\"}}}", NULL},
    {"test", "dev", "{\"type\":\"sriov\"}", "intel.com/sriov"},
    {"kube-system", "garbled", CONF("whole"), NULL},
    {"test", "from-dir", NULL, NULL},
    {"test", "not-in-dir", "", NULL},
    {"test", "other", CONF("other"), NULL},
    {"kube-system", "net1", CONF("sys1"), NULL},
    {"other", "net1", CONF("o1"), NULL},
    {"default", "net1", CONF("d1"), NULL},
};

static const struct file files[] = {
    {CONF_NET_DIR, "", "05-anonymous.conf", "{\"type\":\"loopback\"}"},
    {CONF_NET_DIR, "", "10-dir.conf", CONF("from-dir")},
    {CONF_NET_DIR, "", "20-list.conflist",
     "{\"cniVersion\":\"1.0.0\",\"name\":\"mylist\",\"plugins\":[{\"type\":\"bridge\"}]}"},
    {CONF_NET_DIR, "", "30-shy.conflist",
     "{\"name\":\"shy\",\"loadOnlyInlinedPlugins\":\"True\",\"plugins\":[{\"type\":\"bridge\"}]}"},
    {CONF_NET_DIR, "", "40-file.conf", CONF("my_file")},
    {CONF_NET_DIR, "", "50-untyped.conf",
     "{\"name\":\"untyped\",\"plugins\":[{\"type\":\"bridge\"}]}"},
    {CONF_NET_DIR, "", "60-bare.conflist", "{\"name\":\"bare\"}"},
    {CONF_NET_DIR, "", "70-subonly.conflist", "{\"name\":\"subonly\"}"},
    {CONF_NET_DIR, "", "80-broken.conf", "asdf"},
    {CONF_NET_DIR, "", "90-late.conf", CONF("late")},
    {CONF_NET_DIR, "mylist", "a.conf", "{\"type\":\"tuning\"}"},
    {CONF_NET_DIR, "mylist", "b.conf", "{\"type\":\"portmap\"}"},
    {CONF_NET_DIR, "shy", "a.conf", "{\"type\":\"tuning\"}"},
    {CONF_NET_DIR, "subonly", "a.conf", "{\"type\":\"tuning\"}"},
    {0, "", "00-multus.conf", CONF("first")},
    {0, "", "05-mine.conf", ""},
    {0, "", "07-x.json", CONF("json")},
    {0, "", "10-main.conflist", "{\"name\":\"main\",\"plugins\":[{\"type\":\"ptp\"}]}"},
    {0, "", "20-other.conf", CONF("other")},
    {0, "", "30-broken.conf", "{"},
    {0, "main", "x.conf", "{\"type\":\"tuning\"}"},
    {1, "", "99-extra.json", CONF("extra")},
    {2, "", "bad-sub.conflist", "{\"name\":\"../x\",\"plugins\":[{\"type\":\"ptp\"}]}"},
};

static json_t *
get_file(void *ctx, unsigned net, const char *sub, unsigned index, char *name, struct cnierr *e)
{
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const struct file *f = &files[i];

		if (f->net != net || strcmp(f->sub, sub) || index-- > 0)
			continue;
		snprintf(name, 256, "%s", f->name);
		return json_read(f->text, strlen(f->text), f->name, e);
	}
	return NULL;
}

/* ctx, when set, is the spec.config of test/ad-hoc. */
static json_t *
get_nad(void *ctx, const char *ns, const char *name, bool fresh, struct cnierr *e)
{
	const struct nad ad_hoc = {"test", "ad-hoc", ctx, NULL}, *n = NULL;
	json_t *j;

	if (strcmp(name, "garbled") == 0 && !fresh)
		return json_string("not what a well server says");
	if (strcmp(name, "unreachable") == 0) {
		cnierr_set(e, CNI_ERR_TRY_AGAIN, "the API server does not answer");
		return NULL;
	}
	if (ctx && strcmp(name, "ad-hoc") == 0)
		n = &ad_hoc;
	for (size_t i = 0; i < ARRAY_LEN(nads) && !n; i++)
		if (strcmp(nads[i].ns, ns) == 0 && strcmp(nads[i].name, name) == 0)
			n = &nads[i];
	if (!n)
		return NULL;
	j = json_pack("{s:s, s:{s:s, s:s, s:{}}}", "kind", "NetworkAttachmentDefinition",
		      "metadata", "name", name, "namespace", ns, "annotations");
	if (n->resource)
		json_object_set_new(json_object_get(json_object_get(j, "metadata"), "annotations"),
				    "k8s.v1.cni.cncf.io/resourceName", json_string(n->resource));
	if (n->config)
		json_object_set_new(j, "spec", json_pack("{s:s}", "config", n->config));
	return j;
}

struct row {
	const char *id;
	const char *cluster, *defaults[2]; /* node configuration */
	const char *netconf;		   /* further members of stdin */
	const char *networks, *deflt;	   /* annotations */
	const char *ns;			   /* of the pod; NULL = test, "" = no pod */
	const char *ifname;		   /* NULL = eth0 */
	const char *config;		   /* spec.config of test/ad-hoc */
	bool isolation;
	const char *forced; /* cniVersion */
	const char *want, *error;
};

static void
put(char *out, size_t size, const char *label, const char *text)
{
	size_t len = strlen(out);

	if (text && *text)
		snprintf(out + len, size - len, "%s%s", label, text);
}

static void
put_json(char *out, size_t size, const char *label, const json_t *j)
{
	cleanup_free char *text = j ? json_text(j, false) : NULL;

	put(out, size, label, text);
}

static void
describe(const struct delegate_list *l, char *out, size_t size)
{
	*out = '\0';
	for (size_t i = 0; i < l->n; i++) {
		const struct delegate *d = &l->e[i];
		json_t *plugin;
		size_t k;

		put(out, size, i ? "; " : "", d->display);
		put(out, size, "=", strcmp(d->display, d->net) ? d->net : NULL);
		put(out, size, "@", d->ifname);
		json_array_foreach(d->plugins, k, plugin)
		{
			put(out, size, k ? "+" : ":",
			    json_string_value(json_object_get(plugin, "type")));
			put_json(out, size, "", json_object_get(plugin, "args"));
		}
		put(out, size, " v", d->version);
		put(out, size, " ", d->disable_check ? "nocheck" : NULL);
		put(out, size, " ", d->disable_gc ? "nogc" : NULL);
		put(out, size, " mac=", d->mac);
		put(out, size, " ips=", d->ips);
		put_json(out, size, " rt=", d->runtime);
		put_json(out, size, " gw=", d->default_route);
		assert_int_equal(d->master, i == 0);
		assert_true(d->list || json_array_size(d->plugins) == 1);
		assert_null(d->result);
	}
}

static void
run_row(const struct row *r)
{
	static struct conf conf;
	static struct delegate_list list;
	const struct delegate_source src = {(void *)(uintptr_t)r->config, get_file, get_nad, NULL, NULL, NULL };
	struct wire_target target = {.pod_name = "p"};
	struct pod pod = {.known = true, .name = "p", .annotations = json_object()};
	struct netconf nc = {.root = NULL};
	struct cnierr e = {0};
	char text[2048], got[8192];
	int ret;

	memset(&conf, 0, sizeof(conf));
	conf.n_networks = 1;
	util_copy(conf.networks[0], CONF_PATH, r->cluster ? r->cluster : "");
	for (size_t i = 0; i < 2 && r->defaults[i]; i++)
		util_copy(conf.networks[conf.n_networks++], CONF_PATH, r->defaults[i]);
	conf.namespace_isolation = r->isolation;
	if (r->cluster && strcmp(r->cluster, "/auto") == 0) {
		strcpy(conf.autoconf_dir, "/auto");
		strcpy(conf.autoconf_file, "05-mine.conf");
		strcpy(conf.autoconf_base, "{}");
		strcpy(conf.networks[0], "/auto");
	}
	conf.force_version = r->forced != NULL;
	util_copy(conf.cni_version, sizeof(conf.cni_version), r->forced ? r->forced : "");
	strcpy(conf.multus_namespace, "kube-system");
	strcpy(conf.system_namespaces[conf.n_system_namespaces++], "kube-system");
	strcpy(conf.global_namespaces[conf.n_global_namespaces++], "default");
	util_copy(pod.ns, sizeof(pod.ns), r->ns ? r->ns : "test");
	if (!r->ns || *r->ns) {
		util_copy(target.ifname, sizeof(target.ifname), r->ifname ? r->ifname : "eth0");
		strcpy(target.container_id, "c1");
	}
	if (r->networks)
		json_object_set_new(pod.annotations, "k8s.v1.cni.cncf.io/networks",
				    json_string(r->networks));
	if (r->deflt)
		json_object_set_new(pod.annotations, "v1.multus-cni.io/default-network",
				    json_string(r->deflt));
	snprintf(text, sizeof(text), "{\"cniVersion\":\"1.1.0\",\"name\":\"postern\"%s%s}",
		 r->netconf ? "," : "", r->netconf ? r->netconf : "");
	assert_int_equal(netconf_parse(text, strlen(text), CNI_ADD, &nc, &e), 0);

	ret = delegates_build(&conf, &nc, &target, r->ns && !*r->ns ? NULL : &pod, &src, &list, &e);
	describe(&list, got, sizeof(got));
	if (r->want && (ret || strcmp(got, r->want)))
		fail_msg("%s: got \"%s\" (%s), want \"%s\"", r->id, got, e.msg, r->want);
	if (!r->want && (ret != -1 || list.n || !e.code || !strstr(e.msg, r->error)))
		fail_msg("%s: got %d \"%s\" (%s), want error \"%s\"", r->id, ret, got, e.msg,
			 r->error);
	delegate_list_clear(&list);
	netconf_clear(&nc);
	pod_clear(&pod);
}

static void
run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_row(&rows[i]);
}

#define CLUSTER "kube-system/cluster=flat@eth0:macvlan v1.0.0"
#define WITH	.cluster = "cluster"

static void
test_sources(void **state)
{
	static const struct row rows[] = {
	    {"D5", WITH, .want = CLUSTER},
	    {"D6", WITH, .defaults = {"second"},
	     .want = CLUSTER "; kube-system/second=second@net1:macvlan v1.0.0"},
	    {"D6b", WITH, .defaults = {"second", "from-dir"}, .networks = "net1",
	     .want = CLUSTER
	     "; kube-system/second=second@net1:macvlan v1.0.0; from-dir@net2:macvlan v1.0.0; "
	     "test/net1=net1@net3:mynet"},
	    {"D7", WITH, .defaults = {"second"}, .ns = "kube-system", .want = CLUSTER},
	    {"GC", WITH, .defaults = {"second"}, .networks = "net1", .ns = "",
	     .want = "kube-system/cluster=flat:macvlan v1.0.0"},
	    {"D8", .cluster = "my_file", .want = "my_file@eth0:macvlan v1.0.0"},
	    {"D9", .cluster = "/etc/cni/net.d", .want = "first@eth0:macvlan v1.0.0"},
	    {"auto", .cluster = "/auto", .want = "main@eth0:ptp+tuning"},
	    {"auto, named", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"/auto/20-other.conf\"",
	     .want = "other@eth0:macvlan v1.0.0"},
	    {"auto, forced", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"/auto/20-other.conf\"", .forced = "0.4.0",
	     .want = "other@eth0:macvlan v0.4.0"},
	    {"auto, broken", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"/auto/30-broken.conf\"",
	     .error = "clusterNetwork: 30-broken.conf: line 1"},
	    {"auto, gone", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"/auto/15-gone.conf\"",
	     .error = "/auto/15-gone.conf, the primary configuration, is not there"},
	    {"auto, itself", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"/auto/05-mine.conf\"",
	     .error = "\"clusterNetwork\" must be a file of /auto"},
	    {"auto, elsewhere", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"/autos/10-main.conflist\"",
	     .error = "\"clusterNetwork\" must be a file of /auto"},
	    {"auto, a name", .cluster = "/auto", .netconf = "\"clusterNetwork\":\"cluster\"",
	     .error = "\"clusterNetwork\" must be a file of /auto"},
	    {"not auto", .cluster = "/etc/cni/net.d", .netconf = "\"clusterNetwork\":\"/auto/20-other.conf\"",
	     .want = "first@eth0:macvlan v1.0.0"},
	    {"D9b", WITH, .defaults = {"/etc/extra.json"},
	     .want = CLUSTER "; extra@net1:macvlan v1.0.0"},
	    {"D9c", WITH, .defaults = {"second", "/x/y"},
	     .error = "defaultNetworks: configuration file bad-sub.conflist: \"name\": \"../x\""},
	    {"D10", .cluster = "none", .error = "80-broken.conf"}, /* it might have been meant */
	    {"D10b", WITH, .defaults = {"second", NULL}, .networks = "none",
	     .error = "annotation k8s.v1.cni.cncf.io/networks: there is no "
		      "NetworkAttachmentDefinition none in "
		      "namespace test"},
	    {"late", .cluster = "late",
	     .error = "looking for network late in confDir: 80-broken.conf: line 1"},
	    {"list", .cluster = "mylist", .want = "mylist@eth0:bridge+tuning+portmap v1.0.0"},
	    {"inlined only", .cluster = "shy", .want = "shy@eth0:bridge"},
	    {"sub only", .cluster = "subonly", .want = "subonly@eth0:tuning"},
	    {"bare", .cluster = "bare", .error = "60-bare.conflist: no plugin"},
	    {"untyped", .cluster = "untyped", .error = "50-untyped.conf: missing \"type\""},
	    {"garbled when it was kept", .cluster = "garbled", .want = "kube-system/garbled=whole@eth0:macvlan v1.0.0"},
    {"API", .cluster = "unreachable", .error = "the API server does not answer"},
	    {"twice", WITH, .defaults = {"second", "second"},
	     .want = CLUSTER "; kube-system/second=second@net1:macvlan v1.0.0; "
			     "kube-system/second=second@net2:macvlan v1.0.0"},
	    /* stdin */
	    {"N1",
	     .netconf = "\"delegates\":[{\"name\":\"w\",\"type\":\"weave-net\"}],"
			"\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":1}]}",
	     .want = "w@eth0:weave-net rt={\"portMappings\":[{\"hostPort\":1}]}"},
	    {"N3",
	     .netconf =
		 "\"delegates\":[{\"name\":\"a\",\"type\":\"a\"},{\"name\":\"b\",\"type\":\"b\"}]",
	     .networks = "net1", .want = "a@eth0:a; b@net1:b; test/net1=net1@net2:mynet"},
	    {"N3 GC",
	     .netconf =
		 "\"delegates\":[{\"name\":\"a\",\"type\":\"a\"},{\"name\":\"b\",\"type\":\"b\"}]",
	     .ns = "", .want = "a:a"},
	    {"N4", .error = "at least one delegate/clusterNetwork must be specified"},
	    {"N4b", .netconf = "\"delegates\":[]", .error = "at least one delegate"},
	    {"N4c", .netconf = "\"delegates\":{}", .error = "\"delegates\" must be an array"},
	    {"N5", .netconf = "\"delegates\":[{\"name\":\"n\",\"_not_type\":\"x\"}]",
	     .error = "delegates[0]: needs \"type\""},
	    {"N15", .netconf = "\"clusterNetwork\":\"cluster\",\"delegates\":[{\"type\":\"a\"}]",
	     .want = CLUSTER},
	    {"N15b", WITH, .netconf = "\"clusterNetwork\":\"/x\",\"delegates\":[7]",
	     .want = CLUSTER},
	    /* a path on stdin would name files of the node past its configuration */
	    {"path", .netconf = "\"clusterNetwork\":\"/etc/x\"",
	     .error = "set clusterNetwork in the node configuration"},
	    {"N16",
	     .netconf =
		 "\"delegates\":[{\"name\":\"weave-list\",\"plugins\":[{\"type\":\"weave\"}]}]",
	     .want = "weave-list@eth0:weave"},
	    /* only the node's configuration isolates: a key elsewhere must not look as if it did */
	    {"isolation", WITH, .netconf = "\"namespaceIsolation\":true",
	     .error = "set namespaceIsolation in the node configuration"},
	    {"defaults", WITH, .netconf = "\"defaultNetworks\":[\"second\"]",
	     .error = "set defaultNetworks in the node configuration"},
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

#define AD_HOC WITH, .networks = "ad-hoc"
#define WANT   CLUSTER "; test/ad-hoc="

static void
test_configs(void **state)
{
	static const struct row rows[] = {
	    {"D2", WITH, .networks = "from-dir",
	     .want = CLUSTER "; test/from-dir=from-dir@net1:macvlan v1.0.0"},
	    {"D3", WITH, .networks = "not-in-dir",
	     .error = "NetworkAttachmentDefinition test/not-in-dir: looking for"},
	    {"D4", WITH, .networks = "net1", .want = CLUSTER "; test/net1=net1@net1:mynet"},
	    {"D4b", AD_HOC, .config = "{\"name\":\"\",\"type\":\"a\"}",
	     .want = WANT "ad-hoc@net1:a"},
	    {"D16a", AD_HOC, .config = "{}",
	     .error = "NetworkAttachmentDefinition test/ad-hoc, spec.config: needs \"type\""},
	    {"D16b", AD_HOC, .config = "{\"type\":\"\"}", .error = "needs \"type\""},
	    {"D16c", AD_HOC, .config = "{\"plugins\":null}", .error = "needs \"type\""},
	    {"D17", AD_HOC,
	     .config = "{\"name\":\"n\",\"type\":\"a\",\"plugins\":[{\"type\":\"b\"}]}",
	     .want = WANT "n@net1:a"},
	    /* said at once, not after the first plugin ran */
	    {"D18", AD_HOC,
	     .config = "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},{\"type\":\"\"}]}",
	     .error = "plugins[1]: missing \"type\""},
	    {"D19", AD_HOC, .config = "{\"Type\":\"x\"}", .want = WANT "ad-hoc@net1:x"},
	    {"D20a", AD_HOC, .config = "{\"name\":7,\"type\":\"a\"}",
	     .error = "\"name\" must be a string"},
	    {"D20b", AD_HOC, .config = "{\"type\":5}", .error = "\"type\" must be a string"},
	    {"D20c", AD_HOC, .config = "{\"type\":\"a\",\"ipam\":\"s\"}",
	     .error = "\"ipam\" must be an object"},
	    {"D20d", AD_HOC, .config = "{\"type\":\"a\",\"capabilities\":{\"a\":\"b\"}}",
	     .error = "capability \"a\" must be true or false"},
	    {"D20e", AD_HOC, .config = "{\"type\":\"a\",\"dns\":[]}",
	     .error = "\"dns\" must be an object"},
	    {"D20f", AD_HOC, .config = "{\"type\":\"a\",\"args\":[]}",
	     .error = "\"args\" must be an object"},
	    {"D20g", AD_HOC, .config = "{\"type\":\"a\",\"args\":{\"cni\":[]}}",
	     .error = "\"cni\" must be an object"},
	    {"D20h", AD_HOC, .config = "{\"type\":\"a\",\"cniVersion\":1}",
	     .error = "\"cniVersion\" must be a string"},
	    {"D20i", AD_HOC, .config = "{\"type\":\"a\",\"ipam\":{\"type\":\"../x\"}}",
	     .error = "spec.config, ipam: \"type\": \"../x\""},
	    {"D29a", AD_HOC, .config = " ", .error = "test/ad-hoc, spec.config: line 1"},
	    {"D29b", AD_HOC, .config = "[]", .error = "must be a JSON object"},
	    {"D29c", AD_HOC, .config = "\"x\"", .error = "must be a JSON object"},
	    {"D29d", AD_HOC, .config = "null", .error = "must be a JSON object"},
	    /* what plugins cannot read is refused here */
	    {"D30", AD_HOC, .config = "{\"name\":null,\"type\":\"a\"}",
	     .error = "\"name\" must be a string"},
	    {"plugins []", AD_HOC, .config = "{\"plugins\":[]}", .error = "\"plugins\" is empty"},
	    {"plugins [null]", AD_HOC, .config = "{\"plugins\":[null]}",
	     .error = "plugins[0] must be an object"},
	    {"plugins {}", AD_HOC, .config = "{\"plugins\":{}}",
	     .error = "\"plugins\" must be an array"},
	    {"name", AD_HOC, .config = "{\"name\":\"../../x\",\"type\":\"a\"}",
	     .error = "\"../../x\""},
	    {"type", AD_HOC, .config = "{\"type\":\"../bin/sh\"}",
	     .error = "\"type\": \"../bin/sh\" is not a plugin"},
	    {"type 2", AD_HOC, .config = "{\"plugins\":[{\"type\":\"a/b\"}]}",
	     .error = "plugins[0]: \"type\": \"a/b\""},
	    /* Go takes the last spelling, so two are one too many */
	    {"two names", AD_HOC, .config = "{\"name\":\"a\",\"type\":\"a\",\"Name\":\"../x\"}",
	     .error = "\"name\" is there twice"},
	    {"two ipam", AD_HOC,
	     .config = "{\"type\":\"a\",\"ipam\":{\"type\":\"x\",\"TYPE\":\"/y\"}}",
	     .error = "\"type\" is there twice"},
	    {"long s", AD_HOC,
	     .config = "{\"type\":\"a\",\"cniVersion\":\"1.0.0\",\"cniVer\u017fion\":\"0.2.0\"}",
	     .error = "\"cniVersion\" is there twice"},
	    {"long s alone", AD_HOC, .config = "{\"type\":\"a\",\"arg\u017f\":7}",
	     .error = "\"args\" must be an object"},
	    {"duplicate", AD_HOC, .config = "{\"type\":\"a\",\"type\":\"b\"}",
	     .error = "duplicate key"},
	    {"versions", AD_HOC,
	     .config =
		 "{\"type\":\"a\",\"cniVersion\":\"0.4.0\",\"cniVersions\":[\"1.0.0\",\"9.0.0\"]}",
	     .want = WANT "ad-hoc@net1:a v1.0.0"},
	    {"version", AD_HOC, .config = "{\"type\":\"a\",\"cniVersion\":\"9.0.0\"}",
	     .error = "\"9.0.0\" is not supported"},
	    {"flags", AD_HOC,
	     .config =
		 "{\"plugins\":[{\"type\":\"a\"}],\"disableCheck\":\"TRUE\",\"disableGC\":true}",
	     .want = WANT "ad-hoc@net1:a nocheck nogc"},
	    {"flag", AD_HOC, .config = "{\"plugins\":[{\"type\":\"a\"}],\"disableCheck\":\"1\"}",
	     .error = "\"disableCheck\" must be true or false"},
	    {"17 plugins", AD_HOC,
	     .config = "{\"plugins\":[{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":"
		       "\"a\"},{\"type\":\"a\"},"
		       "{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{"
		       "\"type\":\"a\"},"
		       "{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{"
		       "\"type\":\"a\"},"
		       "{\"type\":\"a\"},{\"type\":\"a\"}]}",
	     .error = "more than 16 plugins"},
	    {"resource", WITH, .networks = "dev",
	     .error = "network test/dev needs a device of intel.com/sriov, but this node gives out none"},
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_annotations(void **state)
{
	static const struct row rows[] = {
	    {"none", WITH, .networks = "", .want = CLUSTER},
	    {"two", WITH, .networks = "net1,net2",
	     .want =
		 CLUSTER "; test/net1=net1@net1:mynet; test/net2=two@net2:bridge+tuning v0.4.0"},
	    {"twice", WITH, .networks = "net1,net1",
	     .want = CLUSTER "; test/net1=net1@net1:mynet; test/net1=net1@net2:mynet"},
	    {"third missing", WITH, .networks = "net1,net2,net9",
	     .error = "NetworkAttachmentDefinition net9 in namespace test"},
	    {"named", WITH, .networks = "net1@if0,net2",
	     .want = CLUSTER "; test/net1=net1@if0:mynet; test/net2=two@net2:bridge+tuning v0.4.0"},
	    {"same name", WITH, .networks = "net1@a,net2@a",
	     .error = "interface a is asked for by network test/net1 and by network test/net2"},
	    {"master's name", WITH, .networks = "net1@eth0",
	     .error = "interface eth0 is asked for by network kube-system/cluster"},
	    {"given name", WITH, .networks = "net1@net2,net2",
	     .error = "interface net2 is asked for by network test/net1"},
	    {"bad CNI_IFNAME", WITH, .ifname = "a/b", .error = "\"a/b\" is not an interface name"},
	    /* default-network */
	    {"D11", .cluster = "second", .deflt = "cluster", .want = CLUSTER},
	    {"D11b", WITH, .deflt = "test/net1@main0", .networks = "net2",
	     .want = "test/net1=net1@main0:mynet; test/net2=two@net1:bridge+tuning v0.4.0"},
	    {"D11c", WITH, .deflt = "my_file",
	     .error = "annotation v1.multus-cni.io/default-network: element 1"},
	    {"D11d", WITH, .deflt = "from-dir",
	     .error = "no NetworkAttachmentDefinition from-dir in namespace kube-system"},
	    {"D15a", WITH, .deflt = "net1,net2", .error = "must name exactly one network, not 2"},
	    {"D15b", WITH, .deflt = "", .error = "must name exactly one network, not 0"},
	    {"D15c", WITH, .deflt = "[]", .error = "must name exactly one network, not 0"},
	    {"runtime", WITH, .deflt = "net1",
	     .netconf = "\"runtimeConfig\":{\"dns\":{\"servers\":[]}}",
	     .want = "kube-system/net1=sys1@eth0:macvlan v1.0.0 rt={\"dns\":{\"servers\":[]}}"},
	    /* isolation */
	    {"D12", WITH, .networks = "kube-system/net1", .isolation = true,
	     .error =
		 "the pod is in namespace test but asks for network net1 in namespace kube-system"},
	    {"D12b", WITH, .networks = "other/net1",
	     .want = CLUSTER "; other/net1=o1@net1:macvlan v1.0.0"},
	    {"D12c", WITH, .networks = "test/net1", .isolation = true,
	     .want = CLUSTER "; test/net1=net1@net1:mynet"},
	    {"D13", WITH, .networks = "default/net1", .isolation = true,
	     .want = CLUSTER "; default/net1=d1@net1:macvlan v1.0.0"},
	    /* isolation covers the default network too; multusNamespace stays allowed there */
	    {"D14", WITH, .deflt = "other/net1", .isolation = true,
	     .error = "namespace isolation is enabled"},
	    {"D14b", WITH, .deflt = "net1", .isolation = true,
	     .want = "kube-system/net1=sys1@eth0:macvlan v1.0.0"},
	    /* gateways */
	    {"one of each", WITH,
	     .networks = "[{\"name\":\"net1\",\"default-route\":[\"10.0.0.1\",\"fd00::1\"]},{"
			 "\"name\":\"net2\",\"default-route\":[]}]",
	     .want = CLUSTER "; test/net1=net1@net1:mynet gw=[\"10.0.0.1\",\"fd00::1\"]; "
			     "test/net2=two@net2:bridge+tuning v0.4.0 gw=[]"},
	    {"two gateways", WITH,
	     .networks = "[{\"name\":\"net1\",\"default-route\":[\"fd00::1\"]},{\"name\":\"net2\","
			 "\"default-route\":[\"fd00::2\"]}]",
	     .error = "network test/net1 and network test/net2 each give an IPv6 gateway"},
	    {"two in one", WITH,
	     .networks = "[{\"name\":\"net1\",\"default-route\":[\"10.0.0.1\",\"10.0.0.2\"]}]",
	     .error = "IPv4 gateway"},
	    {"with default", WITH,
	     .deflt = "[{\"name\":\"net1\",\"default-route\":[\"10.0.0.1\"]}]",
	     .networks = "[{\"name\":\"net1\",\"default-route\":[\"10.0.0.2\"]}]",
	     .error = "IPv4 gateway"},
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

#define PM "\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80,\"protocol\":\"tcp\"}]"

static void
test_requests(void **state)
{
	static const struct row rows[] = {
	    {"R7", WITH,
	     .netconf = "\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":1}],\"dns\":{}}",
	     .networks =
		 "[{\"name\":\"caps\"," PM
		 ",\"bandwidth\":{\"ingressRate\":1},\"ips\":[\"10.9.9.9/24\",\"fd00::9\"],"
		 "\"mac\":\"02:00:00:00:00:01\",\"infiniband-guid\":\"24:8a:07:03:00:8d:ae:2e\"}]",
	     .want = CLUSTER
	     " rt={\"portMappings\":[{\"hostPort\":1}],\"dns\":{}}; test/caps=caps@net1:a+b"
	     " mac=02:00:00:00:00:01 ips=10.9.9.9/24,fd00::9 rt={" PM
	     ",\"bandwidth\":{\"ingressRate\":1,\"ingressBurst\":0,\"egressRate\":0,"
	     "\"egressBurst\":0},"
	     "\"infinibandGUID\":\"24:8a:07:03:00:8d:ae:2e\",\"ips\":[\"10.9.9.9/24\",\"fd00::9\"],"
	     "\"mac\":\"02:00:00:00:00:01\"}"},
	    /* the runtime's host ports are the cluster network's alone */
	    {"R3", WITH, .netconf = "\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":1}]}",
	     .networks = "caps",
	     .want = CLUSTER " rt={\"portMappings\":[{\"hostPort\":1}]}; test/caps=caps@net1:a+b"},
	    /* what else it passes is every network's that declares it */
	    {"R3b", WITH, .netconf = "\"runtimeConfig\":{\"bandwidth\":{},\"mac\":\"x\",\"dns\":{}}",
	     .networks = "[{\"name\":\"caps\",\"mac\":\"02:00:00:00:00:01\"}]",
	     .want = CLUSTER " rt={\"bandwidth\":{},\"mac\":\"x\",\"dns\":{}}; test/caps=caps@net1:a+b"
		     " mac=02:00:00:00:00:01 rt={\"mac\":\"02:00:00:00:00:01\",\"bandwidth\":{}}"},
	    {"R11", WITH,
	     .networks =
		 "[{\"name\":\"net1\",\"ips\":[\"10.9.9.9/24\"],\"mac\":\"02:00:00:00:00:01\"}]",
	     .want = CLUSTER "; test/net1=net1@net1:mynet mac=02:00:00:00:00:01 ips=10.9.9.9/24 "
			     "rt={\"ips\":[\"10.9.9.9/24\"],\"mac\":\"02:00:00:00:00:01\"}"},
	    {"no ports", WITH, .networks = "[{\"name\":\"net1\"," PM "}]",
	     .error = "network test/net1: the pod asks for \"portMappings\", but no plugin"},
	    {"no bandwidth", WITH,
	     .networks = "[{\"name\":\"net1\",\"bandwidth\":{\"egressRate\":1}}]",
	     .error = "asks for \"bandwidth\""},
	    {"no guid", WITH,
	     .networks = "[{\"name\":\"net1\",\"infiniband-guid\":\"24:8a:07:03:00:8d:ae:2e\"}]",
	     .error = "asks for \"infiniband-guid\""},
	    {"device", WITH, .networks = "[{\"name\":\"net1\",\"deviceID\":\"0000:00:00.0\"}]",
	     .error = "network test/net1: \"deviceID\" in the annotation is not allowed by the "
		      "node's configuration"},
	    {"R2", WITH,
	     .deflt =
		 "[{\"name\":\"net1\",\"ips\":[\"10.9.9.9/24\"],\"mac\":\"02:00:00:00:00:01\"}]",
	     .netconf = "\"runtimeConfig\":{\"x\":1}",
	     .want = "kube-system/net1=sys1@eth0:macvlan v1.0.0 mac=02:00:00:00:00:01 "
		     "ips=10.9.9.9/24 rt={\"x\":1}"},
	    {"R2b", WITH, .deflt = "[{\"name\":\"test/caps\"}]",
	     .error = "\"test/caps\" is not a network's name"},
	    {"R2c", WITH, .deflt = "[{\"name\":\"caps\",\"namespace\":\"test\"," PM "}]",
	     .error = "\"portMappings\" cannot be asked of the default network"},
	    {"D24", WITH,
	     .networks =
		 "[{\"name\":\"net1\",\"cni-args\":{\"args1\":\"val1\",\"i\":12345678901234567}}]",
	     .want = CLUSTER
	     "; test/net1=net1@net1:mynet{\"cni\":{\"args1\":\"val1\",\"i\":12345678901234567}}"},
	    {"D25", WITH, .networks = "[{\"name\":\"args\",\"cni-args\":{\"args1\":\"val1a\"}}]",
	     .want = CLUSTER
	     "; test/args=args@net1:a{\"x\":1,\"cni\":{\"args0\":\"old\",\"args1\":\"val1a\"}}"},
	    {"D26", WITH, .networks = "[{\"name\":\"net2\",\"cni-args\":{\"a\":1}}]",
	     .want = CLUSTER
	     "; test/net2=two@net1:bridge{\"cni\":{\"a\":1}}+tuning{\"cni\":{\"a\":1}} v0.4.0"},
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* What does not fit is refused, never cut. */
static void
test_limits(void **state)
{
	static char many[4096];
	char text[8192], *p = text;
	struct row r = {"long ips", WITH, .networks = text,
			.error = "\"ips\" are more than fit into 1023 bytes"};

	(void)state;
	p += sprintf(p, "[{\"name\":\"net1\",\"ips\":[\"::1\"");
	for (int i = 0; i < 30; i++)
		p += sprintf(p, ",\"fd00:1111:2222:3333:4444:5555:6666:7777/64\"");
	sprintf(p, "]}]");
	run_row(&r);

	p = many + sprintf(many, "\"delegates\":[{\"name\":\"a\",\"type\":\"a\"}");
	for (int i = 0; i < DELEGATE_MAX; i++)
		p += sprintf(p, ",{\"name\":\"a\",\"type\":\"a\"}");
	sprintf(p, "]");
	r = (struct row){"41 networks", .netconf = many, .error = "more than 40 networks"};
	run_row(&r);
}

/* Unknown keys and numbers reach the plugin as they were written; stdin's own values stay as they
 * were. */
static void
test_kept(void **state)
{
	static const char text[] = "{\"name\":\"n\",\"delegates\":[{\"name\":\"a\",\"Type\":\"a\","
				   "\"big\":9007199254740993,"
				   "\"keep\":{\"X\":null}}]}";
	static struct delegate_list list;
	static struct conf conf;
	const struct wire_target target = {.ifname = "eth0"};
	const struct delegate_source src = {NULL, get_file, get_nad, NULL, NULL, NULL };
	struct netconf nc;
	struct cnierr e = {0};
	cleanup_free char *before = NULL, *after = NULL, *plugin = NULL;

	(void)state;
	assert_int_equal(netconf_parse(text, strlen(text), CNI_ADD, &nc, &e), 0);
	before = json_text(nc.root, false);
	assert_int_equal(delegates_build(&conf, &nc, &target, NULL, &src, &list, &e), 0);
	after = json_text(nc.root, false);
	assert_string_equal(before, after);
	plugin = json_text(json_array_get(list.e[0].plugins, 0), true);
	assert_string_equal(
	    plugin,
	    "{\"big\":9007199254740993,\"keep\":{\"X\":null},\"name\":\"a\",\"type\":\"a\"}");
	delegate_list_clear(&list);
	netconf_clear(&nc);
}

/* A pod that the API does not know may have the cluster network, and nothing that is asked for. */
static void
test_selection_without_a_pod(void **state)
{
	static const char text[] = "{\"name\":\"net1\"}";
	static struct delegate_list list;
	static struct conf conf;
	const struct wire_target target = {.ifname = "net7"};
	const struct delegate_source src = {NULL, get_file, get_nad, NULL, NULL, NULL };
	const struct pod pod = {.ns = "test", .name = "p"};
	struct netconf nc = {0};
	struct cnierr e = {0};

	(void)state;
	assert_int_equal(netconf_selection(text, strlen(text), &nc, &e), 0);
	assert_int_equal(delegates_build(&conf, &nc, &target, &pod, &src, &list, &e), -1);
	assert_non_null(strstr(e.msg, "the pod is not known any more"));
	assert_int_equal(list.n, 0);
	netconf_clear(&nc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_selection_without_a_pod),
	    cmocka_unit_test(test_sources),	cmocka_unit_test(test_configs),
	    cmocka_unit_test(test_annotations), cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_limits),	cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
