/* A kubeconfig file, YAML or JSON. */
#include "kubeclient/kubeconfig.h"

#include <ctype.h>
#include <string.h>

#include "netpriv/check.h"
#include "tests/fuzz/fuzz.h"

/* Nothing of a file that is refused goes along. */
static void
check_nothing(const struct kubeconfig *k)
{
	MUST(!k->host[0]);
	for (size_t i = 0; i < PART_COUNT; i++)
		MUST(!k->items[i].path[0] && k->items[i].len == 0);
}

static void
check_parts(const struct kubeconfig *k)
{
	for (size_t i = 0; i < PART_COUNT; i++) {
		const struct kubeconfig_item *item = &k->items[i];

		MUST(item->len <= sizeof(item->data) && (item->len == 0 || !item->path[0]));
		MUST(!item->path[0] || item->path[0] == '/');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kubeconfig k;

	kubeconfig_parse((const char *)data, size, &k);
	MUST(memchr(k.error, '\0', sizeof(k.error)));
	for (const char *s = k.error; *s; s++)
		MUST(!iscntrl((unsigned char)*s));
	/* Dial takes nothing from the child that does not pass this. */
	MUST(kubeconfig_check(&k) == 0);
	if (k.error[0]) {
		check_nothing(&k);
		return 0;
	}
	MUST(k.host[0] && check_visible(k.host) && check_visible(k.tls_name));
	MUST(k.port > 0 && k.port <= 65535);
	MUST(!k.prefix[0] || (k.prefix[0] == '/' && check_visible(k.prefix)));
	if (kubeconfig_resolve(&k, "/etc/kubernetes/kubelet.conf") == 0)
		check_parts(&k);
	return 0;
}
