/* A pod's manifest, in JSON when it begins with a brace, else in YAML; as the pod test/p, with a uid and without. */
#include <string.h>

#include "broker/json.h"
#include "netpriv/check.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wire_target targets[] = {
		{ .pod_ns = "test", .pod_name = "p" },
		{ .pod_ns = "test", .pod_name = "p", .pod_uid = "1-2" },
	};
	struct cnierr e = { 0 };
	json_t *j = size && *data == '{' ? json_read((const char *)data, size, "pod", &e)
					 : json_read_yaml((const char *)data, size, "pod", &e);

	fuzz_error(j ? 0 : -1, &e);
	for (size_t i = 0; j && i < 2; i++) {
		struct pod p;
		int ret = pod_parse(j, &targets[i], &p, &e);
		const char *key;
		json_t *v;

		fuzz_error(ret, &e);
		e = (struct cnierr){ 0 };
		if (ret) {
			MUST(!p.annotations);
			continue;
		}
		MUST(p.known && strcmp(p.ns, "test") == 0 && strcmp(p.name, "p") == 0 && check_uid(p.uid));
		MUST(i == 0 || p.is_static || !p.uid[0] || strcmp(p.uid, "1-2") == 0);
		json_object_foreach(p.annotations, key, v)
			MUST(json_is_string(v));
		pod_clear(&p);
	}
	json_decref(j);
	return 0;
}
