/* One network's configuration (a single plugin or a list) into a delegate, every known member
 * checked.
 * Runs in: worker. */
#ifndef BROKER_CHAIN_H
#define BROKER_CHAIN_H

#include "broker/delegate.h"

enum chain_form {
	CHAIN_ANY,    /* inline: "type" makes it a single plugin, else "plugins" */
	CHAIN_SINGLE, /* *.conf, *.json */
	CHAIN_LIST,   /* *.conflist; its plugins may all come from a sub-directory (chain_append) */
};

/* Fills net, display, version, list, disable_* and plugins of the zeroed d. what names the
 * configuration in errors. config is only read. 0, or -1 with e; d may then hold references:
 * delegate_list_clear(). */
int chain_load(const json_t *config, enum chain_form form, const char *what, struct delegate *d,
	       struct cnierr *e);

/* Before chain_load(): the version that the node's configuration forces. */
void chain_force_version(json_t *config, const char *version);

/* Adds one plugin at the end. */
int chain_append(struct delegate *d, const json_t *plugin, const char *what, struct cnierr *e);

/* A boolean that may also be the text "true" or "false". Absent: *out is untouched. */
int chain_flag(const json_t *config, const char *key, const char *what, bool *out,
	       struct cnierr *e);

/* True when a plugin of d declares the capability. */
bool chain_declares(const struct delegate *d, const char *capability);

#endif
