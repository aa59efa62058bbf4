/* devices.c, inject.c: which device goes to which network, and what of it reaches the plugin; the kubelet's checkpoint file. A network
 * is written as "<ifname>[=<device>][ <plugins>][ rt=<capability arguments>]"; networks are joined by "; ". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/delegate.h"
#include "broker/devices.h"
#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define NIC "example.com/nic"

static const struct nad {
	const char *name, *config, *resource;
} nads[] = {
	{ "one", "{\"cniVersion\":\"1.0.0\",\"type\":\"sriov\"}", NIC },
	{ "caps", "{\"type\":\"sriov\",\"capabilities\":{\"deviceID\":true}}", NIC },
	{ "list", "{\"name\":\"l\",\"plugins\":[{\"type\":\"a\"},{\"type\":\"b\"}]}", NIC },
	{ "big", "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"type\":\"sriov\",\"x\":9007199254740993}", NIC },
	{ "bigger", "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"type\":\"sriov\",\"x\":12345678901234567890}", NIC },
	{ "sly", "{\"type\":\"a\",\"deviceid\":\"mine\",\"DEVICEID\":\"mine\",\"deviceID\":\"mine\",\"pcibusid\":7}", NIC },
	{ "fpga", "{\"type\":\"a\"}", "example.com/fpga" },
	{ "plain", "{\"type\":\"a\"}", NULL },
	{ "plaincaps", "{\"type\":\"a\",\"capabilities\":{\"deviceID\":true}}", NULL },
	{ "odd", "{\"type\":\"a\"}", "not a name" },
	{ "long", "{\"type\":\"a\"}", "example.com/" /* and 256 more */ },
};

static struct {
	const char *nic, *fpga; /* JSON arrays; NULL: that they are asked for is an error */
	const char *used;
	const char *why;
	unsigned asked;
	size_t wanted;
	char uid[64];
} kubelet;

static json_t *
get_nad(void *ctx, const char *ns, const char *name, bool fresh, struct cnierr *e)
{
	char resource[300] = "";

	(void)ctx;
	(void)fresh;
	(void)e;
	for (size_t i = 0; i < ARRAY_LEN(nads); i++) {
		if (strcmp(nads[i].name, name) != 0)
			continue;
		snprintf(resource, sizeof(resource), "%s%0*d", nads[i].resource ?: "", strcmp(name, "long") ? 0 : 256, 0);
		if (strcmp(name, "long") != 0)
			snprintf(resource, sizeof(resource), "%s", nads[i].resource ?: "");
		return json_pack("{s:s, s:{s:s, s:s, s:{s:s}}, s:{s:s}}", "kind", "NetworkAttachmentDefinition", "metadata", "name",
				 name, "namespace", ns, "annotations", "k8s.v1.cni.cncf.io/resourceName", resource, "spec", "config",
				 nads[i].config);
	}
	return NULL;
}

static json_t *
get_devices(void *ctx, const struct device_request *q, struct cnierr *why, struct cnierr *e)
{
	const char *text = strcmp(q->resource, NIC) == 0 ? kubelet.nic : kubelet.fpga;
	json_t *ids = text ? json_loads(text, 0, NULL) : NULL;

	(void)ctx;
	kubelet.asked++;
	kubelet.wanted = q->wanted;
	util_copy(kubelet.uid, sizeof(kubelet.uid), q->pod_uid);
	if (!ids)
		cnierr_set(e, CNI_ERR_TRY_AGAIN, "the kubelet does not answer");
	else if (kubelet.why)
		cnierr_set(why, CNI_ERR_CONFIG, "%s", kubelet.why);
	return ids;
}

static json_t *
get_used(void *ctx, struct cnierr *e)
{
	(void)ctx;
	(void)e;
	return json_loads(kubelet.used, 0, NULL);
}

struct row {
	const char *id;
	const char *cluster, *defaults[2], *networks, *deflt;
	const char *nic, *fpga, *why;
	bool own, none; /* the pod may choose; the node gives out none */
	const char *used; /* JSON; then networks is the one that is added later */
	const char *want, *error;
};

static void
describe(const struct delegate_list *l, char *out, size_t size)
{
	size_t len = 0;

	*out = '\0';
	for (size_t i = 0; i < l->n; i++) {
		const struct delegate *d = &l->e[i];
		cleanup_free char *plugins = json_text(d->plugins, true);
		cleanup_free char *runtime = d->runtime ? json_text(d->runtime, true) : NULL;

		len += (size_t)snprintf(out + len, size - len, "%s%s%s%s", i ? "; " : "", d->ifname, d->device[0] ? "=" : "", d->device);
		if (d->device[0])
			len += (size_t)snprintf(out + len, size - len, " %s", plugins);
		if (runtime)
			len += (size_t)snprintf(out + len, size - len, " rt=%s", runtime);
	}
}

static void
run_row(const struct row *r)
{
	static struct conf conf;
	static struct delegate_list list;
	const struct delegate_source src = { .nad = get_nad, .devices = get_devices, .used = get_used };
	struct wire_target target = { .pod_name = "p", .container_id = "c1", .ifname = "eth0", .pod_uid = "u-1" };
	struct pod pod = { .known = true, .ns = "test", .name = "p", .uid = "u-2", .annotations = json_object() };
	struct netconf nc = { .root = r->used ? NULL : json_object() };
	struct cnierr e = { 0 };
	char got[8192];
	int ret;

	memset(&conf, 0, sizeof(conf));
	memset(&kubelet, 0, sizeof(kubelet));
	kubelet.nic = r->nic;
	kubelet.fpga = r->fpga;
	kubelet.why = r->why;
	kubelet.used = r->used;
	conf.n_networks = 1;
	util_copy(conf.networks[0], CONF_PATH, r->cluster ? r->cluster : "plain");
	for (size_t i = 0; i < 2 && r->defaults[i]; i++)
		util_copy(conf.networks[conf.n_networks++], CONF_PATH, r->defaults[i]);
	strcpy(conf.multus_namespace, "kube-system");
	strcpy(conf.devinfo, "/run/devinfo");
	if (!r->none)
		strcpy(conf.pod_resources, "/kubelet.sock");
	conf.allow_device_id = r->own;
	if (r->used)
		assert_int_equal(netconf_selection(r->networks, strlen(r->networks), &nc, &e), 0);
	else if (r->networks)
		json_object_set_new(pod.annotations, "k8s.v1.cni.cncf.io/networks", json_string(r->networks));
	if (r->deflt)
		json_object_set_new(pod.annotations, "v1.multus-cni.io/default-network", json_string(r->deflt));
	ret = delegates_build(&conf, &nc, &target, &pod, &src, &list, &e);
	describe(&list, got, sizeof(got));
	if (r->want && (ret || strcmp(got, r->want)))
		fail_msg("%s: got \"%s\" (%s), want \"%s\"", r->id, got, e.msg, r->want);
	if (!r->want && (ret != -1 || list.n || !e.code || !strstr(e.msg, r->error)))
		fail_msg("%s: got %d \"%s\" (%s), want error \"%s\"", r->id, ret, got, e.msg, r->error);
	delegate_list_clear(&list);
	netconf_clear(&nc);
	pod_clear(&pod);
}

#define INFO(net, ifname) "\"CNIDeviceInfoFile\":\"/run/devinfo/cni/" net "-c1_" ifname "\","
#define RT(net, ifname, id) " rt={" INFO(net, ifname) "\"deviceID\":\"" id "\"}"
#define DEV(id) "\"deviceID\":\"" id "\","
#define PCI(id) "\"pciBusID\":\"" id "\","

static void
test_networks(void **state)
{
	static const struct row rows[] = {
		{ "D21", .networks = "one", .nic = "[\"0000:00:00.0\"]",
		  .want = "eth0; net1=0000:00:00.0 [{\"cniVersion\":\"1.0.0\"," DEV("0000:00:00.0") "\"name\":\"one\"," PCI(
		      "0000:00:00.0") "\"type\":\"sriov\"}]" RT("test-one", "net1", "0000:00:00.0") },
		{ "D22", .networks = "list@n0", .nic = "[\"0000:00:00.0\"]",
		  .want = "eth0; n0=0000:00:00.0 [{" DEV("0000:00:00.0") PCI("0000:00:00.0") "\"type\":\"a\"},{" DEV("0000:00:00.0")
		      PCI("0000:00:00.0") "\"type\":\"b\"}]" RT("test-list", "n0", "0000:00:00.0") },
		/* A number that an integer holds stays as it was; one that would be rounded is refused. */
		{ "D23", .networks = "big", .nic = "[\"0000:01:02.3\"]",
		  .want = "eth0; net1=0000:01:02.3 [{\"cniVersion\":\"0.3.1\"," DEV("0000:01:02.3") "\"name\":\"n\"," PCI(
		      "0000:01:02.3") "\"type\":\"sriov\",\"x\":9007199254740993}]" RT("test-big", "net1", "0000:01:02.3") },
		{ "D23b", .networks = "bigger", .nic = "[\"0000:01:02.3\"]", .error = "number out of range" },
		{ "spellings", .networks = "sly", .nic = "[\"yours\"]",
		  .want = "eth0; net1=yours [{" DEV("yours") "\"name\":\"sly\"," PCI("yours") "\"type\":\"a\"}]" RT("test-sly", "net1",
														    "yours") },
		{ "in order", .cluster = "one", .defaults = { "fpga" }, .networks = "caps,fpga,plain", .nic = "[\"a\",\"b\",\"c\"]",
		  .fpga = "[\"0\",\"1\"]",
		  .want = "eth0=a [{\"cniVersion\":\"1.0.0\"," DEV("a") "\"name\":\"one\"," PCI("a") "\"type\":\"sriov\"}]; "
			  "net1=0 [{" DEV("0") "\"name\":\"fpga\"," PCI("0") "\"type\":\"a\"}]" RT("kube-system-fpga", "net1", "0")
			  "; net2=b [{\"capabilities\":{\"deviceID\":true}," DEV("b") "\"name\":\"caps\"," PCI("b")
			  "\"type\":\"sriov\"}]" RT("test-caps", "net2", "b") "; "
			  "net3=1 [{" DEV("1") "\"name\":\"fpga\"," PCI("1") "\"type\":\"a\"}]" RT("test-fpga", "net3", "1") "; net4" },
		{ "default-network", .cluster = "one", .deflt = "one", .networks = "fpga", .nic = "[\"a\"]", .fpga = "[\"0\"]",
		  .want = "eth0=a [{\"cniVersion\":\"1.0.0\"," DEV("a") "\"name\":\"one\"," PCI("a") "\"type\":\"sriov\"}]; "
			  "net1=0 [{" DEV("0") "\"name\":\"fpga\"," PCI("0") "\"type\":\"a\"}]" RT("test-fpga", "net1", "0") },
		{ "too few", .cluster = "one", .networks = "one,one", .nic = "[\"a\",\"b\"]",
		  .error = "devices: network test/one needs a device of " NIC ", but the pod has 2 of these for all its networks" },
		{ "none", .networks = "fpga", .fpga = "[]", .error = "network test/fpga needs a device of example.com/fpga, but the pod has 0" },
		{ "why", .networks = "fpga", .fpga = "[]", .why = "claim x is broken", .error = "for all its networks: claim x is broken" },
		{ "why, but enough", .networks = "fpga@f0", .fpga = "[\"0\"]", .why = "claim x is broken",
		  .want = "eth0; f0=0 [{" DEV("0") "\"name\":\"fpga\"," PCI("0") "\"type\":\"a\"}]" RT("test-fpga", "f0", "0") },
		{ "silent", .networks = "fpga", .error = "devices: the kubelet does not answer" },
		{ "not given out", .networks = "one", .nic = "[\"a\"]", .none = true,
		  .error = "network test/one needs a device of " NIC ", but this node gives out none: set devices.podResources" },
		{ "odd", .networks = "odd", .error = "resourceName is not the name of a resource" },
		{ "long", .networks = "long", .error = "resourceName is not the name of a resource" },
		{ "refused", .networks = "[{\"name\":\"plaincaps\",\"deviceID\":\"x\"}]", .error = "is not allowed by the node's" },
		{ "refused too", .networks = "[{\"name\":\"one\",\"deviceID\":\"x\"}]", .nic = "[\"a\"]",
		  .error = "is not allowed by the node's" },
		{ "own", .networks = "[{\"name\":\"plaincaps\",\"deviceID\":\"x\"}]", .own = true,
		  .want = "eth0; net1=x [{\"capabilities\":{\"deviceID\":true},\"name\":\"plaincaps\",\"type\":\"a\"}]" RT(
		      "test-plaincaps", "net1", "x") },
		{ "own, nobody takes it", .networks = "[{\"name\":\"plain\",\"deviceID\":\"x\"}]", .own = true,
		  .error = "asks for \"deviceID\", but no plugin" },
		{ "own, of the first", .deflt = "[{\"name\":\"plaincaps\",\"deviceID\":\"x\"}]", .own = true,
		  .error = "cannot be asked of the default network" },
		{ "given wins", .networks = "[{\"name\":\"caps\",\"deviceID\":\"x\"}]", .nic = "[\"a\"]", .own = true,
		  .want = "eth0; net1=a [{\"capabilities\":{\"deviceID\":true}," DEV("a") "\"name\":\"caps\"," PCI(
		      "a") "\"type\":\"sriov\"}]" RT("test-caps", "net1", "a") },
		{ "own is another's", .networks = "[{\"name\":\"one\"},{\"name\":\"plaincaps\",\"deviceID\":\"a\"}]", .nic = "[\"a\"]",
		  .own = true, .error = "device a is asked for by network test/one and by network test/plaincaps" },
		{ "own twice", .own = true,
		  .networks = "[{\"name\":\"plaincaps\",\"deviceID\":\"x\"},{\"name\":\"plaincaps\",\"deviceID\":\"x\"}]",
		  .error = "device x is asked for by network test/plaincaps and" },
		/* A network that is added to those that the pod has. */
		{ "later", .networks = "{\"name\":\"caps\"}", .nic = "[\"a\",\"b\",\"c\"]", .used = "[[\"" NIC "\",\"a\"],[\"x\",\"b\"],[\"\",\"q\"]]",
		  .want = "eth0=b [{\"capabilities\":{\"deviceID\":true}," DEV("b") "\"name\":\"caps\"," PCI("b") "\"type\":\"sriov\"}]" RT(
		      "test-caps", "eth0", "b") },
		{ "later, chosen by the pod", .networks = "{\"name\":\"one\"}", .nic = "[\"a\"]", .used = "[[\"\",\"a\"]]",
		  .error = "but the pod has 0 of these for more networks" },
		{ "later, none left", .networks = "{\"name\":\"one\"}", .nic = "[\"a\",\"b\"]", .used = "[[\"" NIC "\",\"b\"],[\"" NIC "\",\"a\"]]",
		  .error = "but the pod has 0 of these for more networks" },
		{ "later, own", .networks = "{\"name\":\"plaincaps\",\"deviceID\":\"a\"}", .own = true, .used = "[[\"" NIC "\",\"a\"]]",
		  .error = "device a is asked for by network test/plaincaps, but another one of the pod has it" },
		/* Names are a resource's own. */
		{ "same name", .networks = "one,fpga", .nic = "[\"0\"]", .fpga = "[\"0\"]",
		  .want = "eth0; net1=0 [{\"cniVersion\":\"1.0.0\"," DEV("0") "\"name\":\"one\"," PCI("0") "\"type\":\"sriov\"}]" RT(
		      "test-one", "net1", "0") "; net2=0 [{" DEV("0") "\"name\":\"fpga\"," PCI("0") "\"type\":\"a\"}]" RT("test-fpga",
														    "net2", "0") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(&rows[i]);
}

/* One question a resource, which says how many are needed. */
static void
test_asked_once(void **state)
{
	static const struct row row = { "asked", .networks = "one,one,fpga", .nic = "[\"a\",\"b\"]", .fpga = "[]", .error = "fpga" };

	(void)state;
	run_row(&row);
	assert_int_equal(kubelet.asked, 2);
	assert_int_equal(kubelet.wanted, 1);
	assert_string_equal(kubelet.uid, "u-1");
}

static void
test_checkpoint(void **state)
{
#define ENTRY(uid, resource, ids) "{\"PodUID\":\"" uid "\",\"ContainerName\":\"c\",\"ResourceName\":\"" resource "\",\"DeviceIDs\":" ids \
	",\"AllocResp\":\"CgA=\"}"
#define FILE_OF(entries) "{\"Data\":{\"PodDeviceEntries\":[" entries "],\"RegisteredDevices\":{\"" NIC "\":[\"zz\"]}},\"Checksum\":1}"
	static const struct {
		const char *id, *file, *uid, *want, *error;
	} rows[] = {
		{ "V1", FILE_OF(ENTRY("u", NIC, "{\"-1\":[\"0000:03:02.3\",\"0000:03:02.0\"]}")), "u", "[\"0000:03:02.0\",\"0000:03:02.3\"]",
		  NULL },
		{ "nodes", FILE_OF(ENTRY("u", NIC, "{\"0\":[\"c\"],\"1\":[\"a\",\"b\"]}") "," ENTRY("v", NIC, "{\"0\":[\"d\"]}") "," ENTRY(
			       "u", "example.com/x", "{\"0\":[\"e\"]}") "," ENTRY("u", NIC, "{\"0\":[\"b\",\"f\"]}")),
		  "u", "[\"a\",\"b\",\"c\",\"f\"]", NULL },
		{ "V3", FILE_OF(ENTRY("u", NIC, "{}")), "other", "[]", NULL },
		{ "empty", FILE_OF(""), "u", "[]", NULL },
		{ "null", "{\"Data\":{\"PodDeviceEntries\":null}}", "u", "[]", NULL },
		{ "V2 uid", FILE_OF(""), "", NULL, "neither the runtime nor the pod names one" },
		{ "V2 json", "[]", "u", NULL, "has no \"Data\"" },
		{ "entries", "{\"Data\":{\"PodDeviceEntries\":{}}}", "u", NULL, "must be an array" },
		{ "ids", FILE_OF(ENTRY("u", NIC, "[\"a\"]")), "u", NULL, "must be an object" },
		{ "number", FILE_OF(ENTRY("u", NIC, "{\"0\":[1]}")), "u", NULL, "is not the name of a device" },
		{ "blank", FILE_OF(ENTRY("u", NIC, "{\"0\":[\"a b\"]}")), "u", NULL, "\"a b\" is not the name of a device" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cnierr e = { 0 };
		cleanup_json json_t *file = json_read(rows[i].file, strlen(rows[i].file), "test", &e);
		cleanup_json json_t *ids = devices_checkpoint(file, rows[i].uid, NIC, &e);
		cleanup_free char *got = NULL;

		assert_non_null(file);
		if (ids && devices_sort(ids, &e) == 0)
			got = json_text(ids, false);
		if (rows[i].want ? !got || strcmp(got, rows[i].want) != 0 : got || !strstr(e.msg, rows[i].error))
			fail_msg("%s: got %s (%s)", rows[i].id, got ? got : "nothing", e.msg);
	}
}

/* In the order that its readers know, without what is empty. */
static void
test_status(void **state)
{
	static const struct {
		const char *info, *want;
	} rows[] = {
		{ "{\"pci\":{\"rdma-device\":\"mlx5\",\"pci-address\":\"0000:00:00.1\",\"vhost-net\":\"\",\"x\":1},\"version\":\"1.1.0\","
		  "\"type\":\"pci\",\"other\":{}}",
		  "\"device-info\":{\"type\":\"pci\",\"version\":\"1.1.0\",\"pci\":{\"pci-address\":\"0000:00:00.1\",\"rdma-device\":\"mlx5\"}}" },
		{ "{\"vhost-user\":{\"path\":\"/p\",\"mode\":\"server\"},\"type\":\"vhost-user\"}",
		  "\"device-info\":{\"type\":\"vhost-user\",\"vhost-user\":{\"mode\":\"server\",\"path\":\"/p\"}}" },
		{ "{\"memif\":{\"mode\":\"ethernet\",\"path\":\"/p\",\"role\":\"slave\"},\"vdpa\":{\"driver\":\"vhost\",\"parent-device\":\"v0\","
		  "\"path\":\"/d\",\"pci-address\":\"a\",\"pf-pci-address\":\"b\",\"representor-device\":\"r\"}}",
		  "\"device-info\":{\"vdpa\":{\"parent-device\":\"v0\",\"driver\":\"vhost\",\"path\":\"/d\",\"pci-address\":\"a\","
		  "\"pf-pci-address\":\"b\",\"representor-device\":\"r\"},\"memif\":{\"role\":\"slave\",\"path\":\"/p\",\"mode\":\"ethernet\"}}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static struct delegate_list l;
		struct cnierr e = { 0 };
		cleanup_free char *text = NULL, *flat = NULL;
		cleanup_json json_t *status = NULL;
		char want[1024];

		l = (struct delegate_list){ .n = 1, .e = { { .display = "a/b", .version = "1.0.0" } } };
		l.e[0].result = json_loads("{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"net1\",\"sandbox\":\"/x\"}],"
					   "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.0.0.1\"}]}", 0, NULL);
		l.e[0].device_info = json_loads(rows[i].info, 0, NULL);
		text = status_text(&l, &e);
		assert_non_null(text);
		status = json_loads(text, 0, NULL);
		flat = json_text(status, false);
		snprintf(want, sizeof(want), "[{\"name\":\"a/b\",\"interface\":\"net1\",\"dns\":{},%s,\"gateway\":[\"10.0.0.1\"]}]", rows[i].want);
		assert_string_equal(flat, want);
		delegate_list_clear(&l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_asked_once),
		cmocka_unit_test(test_checkpoint),
		cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
