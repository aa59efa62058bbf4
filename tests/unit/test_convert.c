/* Converting results: every pair of versions, and what each direction keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "broker/json.h"
#include "broker/result.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define NEW_BODY                                                                                   \
	"\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"aa\",\"mtu\":1400,\"sandbox\":\"/"           \
	"s\",\"pciID\":\"p\"}],"                                                                   \
	"\"ips\":[{\"interface\":0,\"address\":\"10.1.1.2/"                                        \
	"24\",\"gateway\":\"10.1.1.1\"},{\"address\":\"10.1.2.2/24\"},"                            \
	"{\"address\":\"fd00::2/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/"                            \
	"0\",\"gw\":\"10.1.1.1\",\"mtu\":1300},"                                                   \
	"{\"dst\":\"::/0\"}],\"dns\":{\"domain\":\"d\"}"
#define MID_BODY                                                                                   \
	"\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"aa\",\"sandbox\":\"/"                        \
	"s\"}],\"ips\":[{\"version\":\"4\",\"interface\":0,"                                       \
	"\"address\":\"10.1.1.2/"                                                                  \
	"24\",\"gateway\":\"10.1.1.1\"},{\"version\":\"4\",\"address\":\"10.1.2.2/24\"},"          \
	"{\"version\":\"6\",\"address\":\"fd00::2/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/"          \
	"0\",\"gw\":\"10.1.1.1\",\"mtu\":1300},"                                                   \
	"{\"dst\":\"::/0\"}],\"dns\":{\"domain\":\"d\"}"
#define OLD_BODY                                                                                   \
	"\"ip4\":{\"ip\":\"10.1.1.2/24\",\"gateway\":\"10.1.1.1\",\"routes\":[{\"dst\":\"0.0.0.0/" \
	"0\",\"gw\":\"10.1.1.1\"}]},"                                                              \
	"\"ip6\":{\"ip\":\"fd00::2/64\",\"routes\":[{\"dst\":\"::/"                                \
	"0\"}]},\"dns\":{\"domain\":\"d\"}"

static char *
convert(const char *body, const char *from, const char *to, struct cnierr *e)
{
	char text[2048];
	json_t *j, *out;
	char *got;

	memset(e, 0, sizeof(*e));
	snprintf(text, sizeof(text), "{\"cniVersion\":\"%s\"%s%s}", from, *body ? "," : "", body);
	j = result_read(text, strlen(text), from, "t", e);
	assert_non_null(j);
	out = result_convert(j, to, e);
	got = out ? json_text(out, false) : NULL;
	json_decref(j);
	json_decref(out);
	return got;
}

static void
expect(const char *body, const char *from, const char *to, const char *wanted)
{
	struct cnierr e;
	char text[2048];
	cleanup_free char *got = convert(body, from, to, &e);

	snprintf(text, sizeof(text), "{\"cniVersion\":\"%s\"%s%s}", to, *wanted ? "," : "", wanted);
	if (!got)
		fail_msg("%s to %s: %s", from, to, e.msg);
	assert_string_equal(got, text);
}

static void
every_pair(void **state)
{
	static const char *const bodies[] = { OLD_BODY, MID_BODY, NEW_BODY };

	(void)state;
	for (size_t i = 0; result_versions[i]; i++)
		for (size_t k = 0; result_versions[k]; k++) {
			const char *from = result_versions[i], *to = result_versions[k];
			int a = result_family(from), b = result_family(to);

			if (a >= b && !(a == 2 && b == 0) && !(a == 1 && b == 0))
				expect(bodies[a], from, to, a == b ? bodies[a] : bodies[b]);
			else if (a > b)
				expect(bodies[a], from, to, OLD_BODY);
		}
}

static void
upwards(void **state)
{
	(void)state;
	expect(OLD_BODY, "0.2.0", "0.4.0",
	       "\"ips\":[{\"version\":\"4\",\"address\":\"10.1.1.2/"
	       "24\",\"gateway\":\"10.1.1.1\"},{\"version\":\"6\","
	       "\"address\":\"fd00::2/64\"}],\"routes\":[{\"dst\":\"0.0.0.0/"
	       "0\",\"gw\":\"10.1.1.1\"},{\"dst\":\"::/0\"}],"
	       "\"dns\":{\"domain\":\"d\"}");
	expect(OLD_BODY, "0.1.0", "1.1.0",
	       "\"ips\":[{\"address\":\"10.1.1.2/"
	       "24\",\"gateway\":\"10.1.1.1\"},{\"address\":\"fd00::2/64\"}],"
	       "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.1.1\"},{\"dst\":\"::/"
	       "0\"}],\"dns\":{\"domain\":\"d\"}");
	expect("\"interfaces\":[{\"name\":\"e\",\"mac\":\"aa\"}],\"ips\":[{\"version\":\"6\","
	       "\"address\":\"10.1.1.2/24\"}]",
	       "0.3.1", "1.0.0",
	       "\"interfaces\":[{\"name\":\"e\",\"mac\":\"aa\"}],\"ips\":[{\"address\":\"10.1.1.2/"
	       "24\"}]");
}

static void
nothing_in_it(void **state)
{
	struct cnierr e;

	(void)state;
	expect("", "1.0.0", "0.4.0", "\"dns\":{}");
	expect("", "0.2.0", "1.1.0", "");
	expect("", "0.2.0", "0.1.0", "\"dns\":{}");
	assert_null(convert("\"interfaces\":[{\"name\":\"e\"}]", "1.0.0", "0.2.0", &e));
	assert_non_null(strstr(e.msg, "cannot convert: no valid IP addresses"));
	assert_null(convert("", "1.0.0", "1.2.0", &e));
	assert_int_equal(e.code, CNI_ERR_VERSION);
	assert_string_equal(e.msg, "no converter for CNI result version 1.0.0 to 1.2.0");
}

/* Routes of a family that has no address have nowhere to go in the oldest type. */
static void
orphan_routes(void **state)
{
	(void)state;
	expect("\"ips\":[{\"address\":\"10.1.1.2/24\"}],\"routes\":[{\"dst\":\"::/"
	       "0\",\"gw\":\"fd00::1\"}]",
	       "1.1.0", "0.2.0", "\"ip4\":{\"ip\":\"10.1.1.2/24\"},\"dns\":{}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair),
		cmocka_unit_test(upwards),
		cmocka_unit_test(nothing_in_it),
		cmocka_unit_test(orphan_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
