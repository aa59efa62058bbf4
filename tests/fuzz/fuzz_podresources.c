/* What the kubelet says of the node's pods: read by a child of devices. */
#include "kubeclient/podres.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct podres_question q = { "default", "pod", "example.com/nic" };
	static struct podres_answer a, again;

	podres_decode(data, size, &q, &a);
	MUST(a.error <= 0 && memchr(a.text, '\0', sizeof(a.text)));
	MUST(a.error == 0 || (a.len == 0 && a.text[0]));
	MUST(a.len <= sizeof(a.ids) && (a.len == 0 || a.ids[a.len - 1] == '\0'));
	/* Whole: nothing of an earlier answer is in it. */
	podres_decode(data, size, &q, &again);
	MUST(a.error == again.error && a.len == again.len && memcmp(a.ids, again.ids, a.len) == 0);
	return 0;
}
