/* A primary CNI configuration into what the runtime reads. */
#include <string.h>

#include "broker/json.h"
#include "broker/primary.h"
#include "netpriv/check.h"
#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "a.conf", "a.conflist" };
	static struct conf conf;

	conf_defaults(&conf);
	util_copy(conf.autoconf_dir, sizeof(conf.autoconf_dir), "/d");
	util_copy(conf.cni_version, sizeof(conf.cni_version), "1.0.0");
	util_copy(conf.autoconf_base, sizeof(conf.autoconf_base), "{\"capabilities\":{\"a\":true},\"cniVersion\":\"1.0.0\"}");
	for (unsigned i = 0; i < 8; i++) {
		struct cnierr e = { 0 };
		cleanup_json json_t *made = NULL;
		cleanup_free char *text = NULL;
		int ret;

		conf.force_version = i >> 1 & 1;
		conf.autoconf_name = i >> 2;
		ret = primary_generate(&conf, files[i & 1], (const char *)data, size, &text, &e);
		fuzz_error(ret, &e);
		MUST((ret == 0) == (text != NULL));
		if (!text)
			continue;
		made = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		MUST(json_is_object(made) && check_network_name(json_string_value(json_object_get(made, "name"))));
		MUST(json_object_size(json_object_get(made, "capabilities")) > 0);
	}
	return 0;
}
