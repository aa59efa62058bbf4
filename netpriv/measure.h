/* What netpriv counts of its commands, into its page of counters.
 * Runs in: netpriv. */
#ifndef NETPRIV_MEASURE_H
#define NETPRIV_MEASURE_H

#include <stdint.h>

#include "netpriv/stats.h"
#include "netpriv/wire.h"

struct cmd;

/* Moments of one command, util_boot_ns(); 0 = not come to that. */
struct measure {
	uint64_t came, turn, first; /* connected; got its turn; its first delegate began */
	uint64_t began, ended, spent; /* its latest delegate; all of them */
	uint32_t verb; /* of the latest delegate */
};

/* The page; set once by main(). */
extern struct stats_netpriv *measure_page;

void measure_began(struct measure *m, uint32_t verb);
void measure_ended(struct measure *m, const struct msg_exec_done *done);

/* The command's end, with the code of its answer. */
void measure_command(const struct cmd *c);

/* How things stand now. */
void measure_now(void);

#endif
