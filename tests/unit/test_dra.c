/* dra.c: the devices in a pod's ResourceClaims. The API server is a table; what was asked of it is written down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/devices.h"
#include "broker/json.h"
#include "broker/priv.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define A "example.com/a"
#define ID(id) "\"k8s.cni.cncf.io/deviceID\":{\"string\":\"" id "\"}"
#define NAME(name) "\"k8s.cni.cncf.io/resourceName\":{\"string\":\"" name "\"}"
#define DEVICE(name, attributes) "{\"name\":\"" name "\",\"attributes\":{" attributes "}}"
#define SLICE(driver, pool, generation, devices)                                                                               \
	"{\"spec\":{\"driver\":\"" driver "\",\"pool\":{\"name\":\"" pool "\",\"generation\":" #generation "},\"devices\":[" devices "]}}"
#define RESULT(request, device)                                                                                                \
	"{\"request\":\"" request "\",\"driver\":\"d.io\",\"pool\":\"p\",\"device\":\"" device "\"}"
#define CLAIM(results) "{\"status\":{\"allocation\":{\"devices\":{\"results\":[" results "]}}}}"
#define POD(status) "{\"metadata\":{\"uid\":\"u\"},\"spec\":{\"nodeName\":\"n1\"},\"status\":{" status "}}"
#define CLAIMS(...) "\"resourceClaimStatuses\":[" __VA_ARGS__ "]"
#define REF(claim) "{\"name\":\"x\",\"resourceClaimName\":\"" claim "\"}"
#define EXTENDED(...) "\"extendedResourceClaimStatus\":{\"resourceClaimName\":\"c1\",\"requestMappings\":[" __VA_ARGS__ "]}"
#define MAPPING(resource, request) "{\"containerName\":\"c\",\"resourceName\":\"" resource "\",\"requestName\":\"" request "\"}"

struct row {
	const char *id, *pod, *claim[2]; /* c1, c2 */
	const char *own[3], *shared;	 /* pages of the node's slices of d.io; those of no node */
	const char *kubelet;		 /* what is there already */
	const char *want, *why, *asked;
};

static const struct row *row;
static char asked[512];
static bool page_too_large;

json_t *
kube_get_pod(bool full, char *where, struct cnierr *e)
{
	(void)e;
	strcpy(where, "nowhere");
	assert_true(full);
	return row->pod ? json_loads(row->pod, 0, NULL) : NULL;
}

static void
write_down(const char *what, const char *a, const char *b)
{
	size_t len = strlen(asked);

	snprintf(asked + len, sizeof(asked) - len, "%s%s %s%s%s", len ? "; " : "", what, a, *b ? " " : "", b);
}

json_t *
kube_get_claim(const char *name, char *where, struct cnierr *e)
{
	const char *text = row->claim[name[1] - '1'];

	(void)e;
	write_down("claim", name, "");
	snprintf(where, 512, "api");
	return text ? json_loads(text, 0, NULL) : NULL;
}

json_t *
kube_get_slices(const char *driver, const char *node, const char *more, unsigned limit, char *where, struct cnierr *e)
{
	unsigned page = *more ? (unsigned)(*more - '0') : 0;
	const char *items = *node ? row->own[page] : row->shared;
	char text[4096], next[2] = "";

	write_down("slices", driver, *node ? node : "-");
	snprintf(where, 512, "api");
	if (page_too_large && limit > 1) {
		cnierr_set(e, CNI_ERR_TRY_AGAIN, "is longer than 1 MiB");
		return NULL;
	}
	if (*node && page < 2 && row->own[page + 1])
		snprintf(next, sizeof(next), "%u", page + 1);
	snprintf(text, sizeof(text), "{\"metadata\":{\"continue\":\"%s\"},\"items\":[%s]}", next, items ? items : "");
	return json_loads(text, 0, NULL);
}

int
kubelet_devinfo(unsigned op, const struct delegate *d, char **text, size_t *len, struct cnierr *e)
{
	(void)op;
	(void)d;
	(void)text;
	(void)len;
	(void)e;
	return 0;
}

static void
run_row(const struct row *r)
{
	const struct pod pod = { .ns = "default", .name = "p", .uid = "u", .known = true };
	cleanup_json json_t *ids = json_loads(r->kubelet ? r->kubelet : "[]", 0, NULL);
	struct cnierr why = { 0 }, e = { 0 };
	cleanup_free char *got = NULL;

	row = r;
	asked[0] = '\0';
	dra_devices(&pod, A, ids, &why);
	assert_int_equal(devices_sort(ids, &e), 0);
	got = json_text(ids, false);
	if (strcmp(got, r->want) != 0 || (r->why ? !strstr(why.msg, r->why) : why.code != 0))
		fail_msg("%s: got %s (%s), want %s (%s)", r->id, got, why.msg, r->want, r->why ? r->why : "");
	if (r->asked && strcmp(asked, r->asked) != 0)
		fail_msg("%s: asked \"%s\", want \"%s\"", r->id, asked, r->asked);
}

static const char one[] = CLAIM(RESULT("r", "dev0"));
static const char two[] = CLAIM(RESULT("r", "dev0") "," RESULT("s", "dev1"));
static const char both[] = SLICE("d.io", "p", 1, DEVICE("dev0", ID("0000:01:00.0") "," NAME(A)) "," DEVICE("dev1", ID("0000:01:00.1") "," NAME(A)));

static void
test_claims(void **state)
{
	static const struct row rows[] = {
		{ "V5", POD(""), .want = "[]", .asked = "" },
		{ "V6", POD(CLAIMS(REF("c1"))), { one }, { both }, .want = "[\"0000:01:00.0\"]", .asked = "claim c1; slices d.io n1" },
		{ "V7", POD(CLAIMS(REF("c1"))), { two }, { both }, .want = "[\"0000:01:00.0\",\"0000:01:00.1\"]" },
		{ "V8", POD(CLAIMS(REF("c1"))), { two },
		  { SLICE("d.io", "p", 1, DEVICE("dev0", ID("x") "," NAME("example.com/b")) "," DEVICE("dev1", ID("y") "," NAME(A))) },
		  .want = "[\"y\"]" },
		{ "V9", POD(EXTENDED(MAPPING(A, "r") "," MAPPING(A, "s"))), { two }, { both },
		  .want = "[\"0000:01:00.0\",\"0000:01:00.1\"]" },
		{ "V10", POD(EXTENDED(MAPPING(A, "r"))), { one }, { SLICE("d.io", "p", 1, DEVICE("dev0", ID("x") "," NAME("example.com/b"))) },
		  .want = "[]", .why = "its attribute k8s.cni.cncf.io/resourceName is \"example.com/b\", not \"" A "\"" },
		{ "V10, of no network", POD(EXTENDED(MAPPING("example.com/b", "r"))), { one },
		  { SLICE("d.io", "p", 1, DEVICE("dev0", ID("x") "," NAME("example.com/c"))) }, .want = "[]" },
		{ "request", POD(EXTENDED(MAPPING(A, "other"))), { one }, { both }, .want = "[]", .why = "request other not found in the claim" },
		{ "V11", POD(CLAIMS(REF("c1"))), { NULL }, .want = "[]", .why = "ResourceClaim c1 not found" },
		{ "V11, another is well", POD(CLAIMS(REF("c2") "," REF("c1"))), { one, NULL }, { both }, .want = "[\"0000:01:00.0\"]",
		  .why = "ResourceClaim c2 not found" },
		{ "not allocated", POD(CLAIMS(REF("c1"))), { "{\"status\":{}}" }, .want = "[]", .why = "c1 has no device allocation" },
		{ "no claim yet", POD(CLAIMS("{\"name\":\"x\"}")), .want = "[]", .asked = "" },
		{ "V12 no slice", POD(CLAIMS(REF("c1"))), { one }, .kubelet = "[\"k\"]", .want = "[\"k\"]",
		  .asked = "claim c1; slices d.io n1; slices d.io -" },
		{ "V12 no id", POD(CLAIMS(REF("c1"))), { one }, { SLICE("d.io", "p", 1, DEVICE("dev0", NAME(A))) }, .want = "[]" },
		{ "V12 no name", POD(CLAIMS(REF("c1"))), { one }, { SLICE("d.io", "p", 1, DEVICE("dev0", ID("x"))) }, .want = "[]" },
		{ "V12 unknown", POD(CLAIMS(REF("c1"))), { one }, { SLICE("d.io", "p", 1, DEVICE("dev7", ID("x") "," NAME(A))) }, .want = "[]" },
		{ "V12 number", POD(CLAIMS(REF("c1"))), { one },
		  { SLICE("d.io", "p", 1, DEVICE("dev0", "\"k8s.cni.cncf.io/deviceID\":{\"int\":1}" "," NAME(A))) }, .want = "[]" },
		{ "V14", POD(CLAIMS(REF("c1") "," REF("c2"))), { one, CLAIM(RESULT("r", "dev1")) }, { both },
		  .want = "[\"0000:01:00.0\",\"0000:01:00.1\"]", .asked = "claim c1; claim c2; slices d.io n1" },
		{ "V15", POD(CLAIMS(REF("c1"))), { one }, { both }, .kubelet = "[\"0000:01:00.7\",\"0000:00:00.0\"]",
		  .want = "[\"0000:00:00.0\",\"0000:01:00.0\",\"0000:01:00.7\"]" },
		{ "same", POD(CLAIMS(REF("c1"))), { one }, { both }, .kubelet = "[\"0000:01:00.0\"]", .want = "[\"0000:01:00.0\"]" },
		{ "V16", POD(CLAIMS(REF("c1"))), { one }, { SLICE("d.io", "p", 1, DEVICE("dev0", "\"model\":{\"string\":\"gpu\"}")) },
		  .kubelet = "[\"0000:03:02.0\"]", .want = "[\"0000:03:02.0\"]" },
		/* Devices that several nodes can reach are in slices of no node. */
		{ "network", POD(CLAIMS(REF("c1"))), { one }, { NULL }, both, .want = "[\"0000:01:00.0\"]",
		  .asked = "claim c1; slices d.io n1; slices d.io -" },
		{ "pages", POD(CLAIMS(REF("c1"))), { one }, { SLICE("d.io", "q", 1, ""), SLICE("e.io", "p", 1, DEVICE("dev0", ID("no") "," NAME(A))),
							     both },
		  .want = "[\"0000:01:00.0\"]", .asked = "claim c1; slices d.io n1; slices d.io n1; slices d.io n1" },
		{ "generations", POD(CLAIMS(REF("c1"))), { one },
		  { SLICE("d.io", "p", 2, DEVICE("dev0", ID("new") "," NAME(A))) "," SLICE("d.io", "p", 1, DEVICE("dev0", ID("old") "," NAME(A))) },
		  .want = "[\"new\"]" },
		{ "newer", POD(CLAIMS(REF("c1"))), { one },
		  { SLICE("d.io", "p", 1, DEVICE("dev0", ID("old") "," NAME(A))) "," SLICE("d.io", "p", 2, DEVICE("dev0", ID("new") "," NAME(A))) },
		  .want = "[\"new\"]" },
		{ "gone", NULL, .want = "[]", .why = "pod not found" },
		{ "replaced", "{\"metadata\":{\"uid\":\"v\"}}", .want = "[]", .why = "was replaced" },
		{ "odd claim", POD(CLAIMS(REF("c1"))), { "{\"status\":{\"allocation\":{\"devices\":{\"results\":{}}}}}" }, .want = "[]",
		  .why = "must be an array" },
		{ "odd result", POD(CLAIMS(REF("c1"))), { CLAIM("{\"driver\":7}") }, .want = "[]", .why = "must be a string" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_row(&rows[i]);
}

/* Many large slices come one by one. */
static void
test_large_pages(void **state)
{
	static const struct row r = { "large", POD(CLAIMS(REF("c1"))), { one }, { both }, .want = "[\"0000:01:00.0\"]",
				      .asked = "claim c1; slices d.io n1; slices d.io n1" };

	(void)state;
	page_too_large = true;
	run_row(&r);
	page_too_large = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_claims), cmocka_unit_test(test_large_pages) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
