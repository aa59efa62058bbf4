/* What Multus kept: a scratch file and, behind a line "---", the cached result of each of its networks. */
#include "broker/takeover.h"

#include <string.h>

#include "broker/priv.h"
#include "netpriv/check.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "tests/fuzz/fuzz.h"

static const char *scratch, *cached;

/* In place of log.c: what is left out is said each time. */
void
log_line(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

void
log_fatal(const char *fmt, ...)
{
	fuzz_broken(fmt, 0, "nothing here ends the process");
}

/* In place of the wall's. */
int
priv_copy_memfd(const struct wire_msg *m, const char *what, char **text, size_t *len, struct cnierr *e)
{
	(void)m, (void)text, (void)len;
	return cnierr_set(e, 5, "%s", what);
}

int
priv_cache_get(const char *net, const char *ifname, char **text, size_t *len, struct cnierr *e)
{
	const char *from = *net ? cached : scratch;

	(void)e;
	MUST(!*net == !*ifname && (!*net || (check_network_name(net) && check_ifname(ifname))));
	if (!from)
		return 0;
	*text = strdup(from);
	*len = strlen(from);
	return 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct wire_target target = { .container_id = "c1", .ifname = "eth0" };
	static struct conf conf;
	static struct delegate_list l;
	cleanup_free char *text = fuzz_text(data, size);
	struct netconf nc = { .version = "1.0.0" };
	struct cnierr e = { 0 };
	int ret;

	conf_defaults(&conf);
	cached = fuzz_cut(text);
	scratch = text;
	memset(&l, 0, sizeof(l));
	ret = takeover_load(&conf, &target, &nc, &l, &e);
	MUST(ret != 0);
	fuzz_error(ret == 1 ? 0 : -1, &e);
	if (ret == 1)
		fuzz_list(&l, true);
	else
		MUST(l.n == 0);
	delegate_list_clear(&l);
	return 0;
}
