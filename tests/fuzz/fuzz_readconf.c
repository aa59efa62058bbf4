/* The node configuration's file into struct conf. */
int readconf_main(void);
#define main readconf_main
#include "broker/readconf.c"
#undef main

#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf c;
	cleanup_free char *text = fuzz_text(data, size);
	char why[256] = "";

	memset(&c, 0xa5, sizeof(c));
	read_config(&c, text, strlen(text));
	MUST(check_field(c.error, sizeof(c.error)));
	MUST(c.n_warnings <= CONF_WARNINGS);
	for (uint32_t i = 0; i < c.n_warnings; i++)
		MUST(check_field(c.warnings[i], sizeof(c.warnings[i])) && c.warnings[i][0]);
	/* What the reader finds no fault with may still be refused, for what only the whole can show; then it says what. */
	if (conf_check(&c, why, sizeof(why)) < 0)
		MUST(why[0] && strlen(why) < sizeof(why));
	else if (!c.error[0])
		MUST(c.n_networks >= 1 && c.n_networks <= CONF_NETS && c.n_plugins <= CONF_PLUGINS && c.broker_uid && c.kube_uid);
	return 0;
}
