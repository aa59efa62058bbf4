/* Field checks: what may become part of a path, an environment or a netlink call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "netpriv/util.h"
#include "netpriv/wire_check.h"

struct row {
	bool (*check)(const char *);
	const char *text;
	bool ok;
};

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A120 A60 A60

static const struct row rows[] = {
	{ check_container_id, "a", true },
	{ check_container_id, "0a.B_c-d", true },
	{ check_container_id, A120 "12345678", true },
	{ check_container_id, A120 "123456789", false },
	{ check_container_id, "", false },
	{ check_container_id, ".", false },
	{ check_container_id, "..", false },
	{ check_container_id, "-a", false },
	{ check_container_id, "a/b", false },
	{ check_container_id, "a:b", false },
	{ check_container_id, "a b", false },
	{ check_container_id, "a\n", false },
	{ check_network_name, "my.net_1", true },
	{ check_network_name, "../x", false },
	{ check_ifname, "eth0", true },
	{ check_ifname, "123456789012345", true },
	{ check_ifname, "1234567890123456", false },
	{ check_ifname, "eth0.100@x", true },
	{ check_ifname, "n\xc3\xa9t", true },
	{ check_ifname, "", false },
	{ check_ifname, ".", false },
	{ check_ifname, "..", false },
	{ check_ifname, "lo", false },
	{ check_ifname, "a/b", false },
	{ check_ifname, "a:b", false },
	{ check_ifname, "a b", false },
	{ check_ifname, "a\tb", false },
	{ check_ifname, "a\x01", false },
	{ check_ifname, "a\x7f", false },
	{ check_ifname, "a%d", false },
	{ check_ifname, "a\xc2\xa0", false },     /* NBSP */
	{ check_ifname, "a\xe3\x80\x80", false }, /* ideographic space */
	{ check_ifname, "a\xff", false },         /* not UTF-8 */
	{ check_ifname, "a\xc0\xaf", false },     /* overlong '/' */
	{ check_ifname, "a\xed\xa0\x80", false }, /* surrogate */
	{ check_plugin, "host-local", true },
	{ check_plugin, "a.b_c", true },
	{ check_plugin, "Bridge", false },
	{ check_plugin, "a/b", false },
	{ check_plugin, "../bridge", false },
	{ check_plugin, ".bridge", false },
	{ check_plugin, "", false },
	{ check_plugin, A60 "123", true },
	{ check_plugin, A60 "1234", false },
	{ check_dns_label, "kube-system", true },
	{ check_dns_label, "a.b", false },
	{ check_dns_label, "-a", false },
	{ check_dns_label, "a-", false },
	{ check_dns_label, "A", false },
	{ check_dns_subdomain, "a.b-c.d", true },
	{ check_dns_subdomain, "a..b", false },
	{ check_dns_subdomain, "a.", false },
	{ check_dns_subdomain, "..", false },
	{ check_dns_subdomain, A120 ".b", true }, /* pods may be named so */
	{ check_dns_subdomain, A120 A120 "01234567890123", false },
	{ check_dns_label, A60 "1234", false },
	{ check_dns_subdomain, "a/b", false },
	{ check_uid, "", true },
	{ check_uid, "3f2504e0-4f89-11d3-9a0c-0305e82c3301", true },
	{ check_uid, "a/b", false },
	{ check_uid, A60 "1234", false },
	{ check_file_name, "10-a.conf", true },
	{ check_file_name, "..", false },
	{ check_file_name, "a/b", false },
	{ check_file_name, "a\nb", false },
	{ check_mac, "", true },
	{ check_mac, "02:00:00:aa:BB:cc", true },
	{ check_mac, "02:00;IP=1", false },
	{ check_ip_list, "10.1.2.3/24,fd00::1", true },
	{ check_ip_list, "10.1.2.3;X=1", false },
	{ check_ip_list, "10.1.2.3 ", false },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].check(rows[i].text) != rows[i].ok)
			fail_msg("row %zu \"%s\": %s", i, rows[i].text, rows[i].ok ? "refused" : "accepted");
}

static void
test_paths(void **state)
{
	static const struct {
		const char *path;
		bool ok;
	} paths[] = {
		{ "/run/netns/a", true }, { "/", true },       { "/a/", true },	  { "a/b", false },
		{ "", false },		  { "/a/../b", false }, { "/a/./b", false }, { "/a//b", false },
		{ "/..", false },	  { "/a\nb", false },  { "/...", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (check_abs_path(paths[i].path, 64) != paths[i].ok)
			fail_msg("\"%s\"", paths[i].path);
	assert_true(check_abs_path("/abc", 5));
	assert_false(check_abs_path("/abcd", 5));
}

static void
test_fields(void **state)
{
	char f[8] = "abc";

	(void)state;
	assert_true(check_field(f, sizeof(f)));
	f[6] = 'x'; /* behind the NUL: stale memory, or somebody's message */
	assert_false(check_field(f, sizeof(f)));
	memset(f, 'x', sizeof(f));
	assert_false(check_field(f, sizeof(f)));
}

static void
test_gateways(void **state)
{
	static const struct {
		unsigned family;
		uint8_t a[16];
		bool ok;
	} gw[] = {
		{ AF_INET, { 10, 1, 2, 1 }, true },	 { AF_INET, { 0, 0, 0, 0 }, false },
		{ AF_INET, { 127, 0, 0, 1 }, false },	 { AF_INET, { 224, 0, 0, 1 }, false },
		{ AF_INET, { 255, 255, 255, 255 }, false }, { AF_INET, { 10, 1, 2, 1, 9 }, false },
		{ AF_INET6, { 0xfd, [15] = 1 }, true },	 { AF_INET6, { 0xfe, 0x80, [15] = 1 }, true },
		{ AF_INET6, { 0xff, 2, [15] = 1 }, false }, { AF_INET6, { [15] = 1 }, false },
		{ AF_INET6, { 0 }, false },		 { AF_UNIX, { 10, 1, 2, 1 }, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(gw); i++) {
		struct msg_route_default m = { .family = gw[i].family, .ifname = "net1" };

		memcpy(m.gateway, gw[i].a, sizeof(m.gateway));
		if (wire_check_route_default(&m) != gw[i].ok)
			fail_msg("gateway %zu", i);
	}
}

static void
test_targets(void **state)
{
	struct wire_target t = { .container_id = "abc", .ifname = "eth0" };

	(void)state;
	assert_true(wire_check_target(&t, CNI_ADD));
	assert_false(wire_check_target(&t, CNI_GC)); /* a GC that names a container would be bound to it */
	t.ifname[0] = '\0';
	assert_false(wire_check_target(&t, CNI_DEL));
	memset(&t, 0, sizeof(t));
	assert_true(wire_check_target(&t, CNI_STATUS));
	assert_false(wire_check_target(&t, CNI_ADD));
	strcpy(t.netns, "/run/netns/x");
	assert_false(wire_check_target(&t, CNI_STATUS));
}

static void
test_plugin_table(void **state)
{
	struct conf c;
	uint64_t caps;
	uint32_t ms;
	const char *sha;

	(void)state;
	conf_defaults(&c);
	assert_true(conf_plugin(&c, "bridge", &caps, &ms, &sha));
	assert_int_equal(caps, 1ull << 12 | 1ull << 21);
	assert_int_equal(ms, c.delegate_ms);
	assert_false(conf_plugin(&c, "evil", &caps, &ms, &sha));
	assert_false(conf_plugin(&c, "*", &caps, &ms, &sha));
	c.n_plugins = 2;
	strcpy(c.plugins[0].name, "*");
	strcpy(c.plugins[1].name, "own");
	c.plugins[1].caps = 1u << 13;
	c.plugins[1].deadline_ms = 5;
	strcpy(c.plugins[1].sha256, "ab");
	assert_true(conf_plugin(&c, "own", &caps, &ms, &sha));
	assert_int_equal(caps, 1ull << 12 | 1ull << 13 | 1ull << 21);
	assert_int_equal(ms, 5);
	assert_string_equal(sha, "ab");
	assert_true(conf_plugin(&c, "other", &caps, &ms, &sha));
	assert_string_equal(sha, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	 cmocka_unit_test(test_paths),
		cmocka_unit_test(test_fields),	 cmocka_unit_test(test_gateways),
		cmocka_unit_test(test_targets),	 cmocka_unit_test(test_plugin_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
