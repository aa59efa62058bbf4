/* The journal's blob. */
#include "broker/plan.h"

#include <string.h>

#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct delegate_list l;
	struct cnierr e = { 0 };
	int ret = plan_read((const char *)data, size, &l, &e);

	fuzz_error(ret, &e);
	if (ret)
		MUST(l.n == 0);
	else
		fuzz_list(&l, true);
	delegate_list_clear(&l);
	return 0;
}
