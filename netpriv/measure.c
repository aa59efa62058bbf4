/* Counting.
 * Runs in: netpriv.  Trusts: the table of commands. */
#include "netpriv/measure.h"

#include "netpriv/attach.h"
#include "netpriv/journal.h"
#include "netpriv/owed.h"

struct stats_netpriv *measure_page;

void
measure_began(struct measure *m, uint32_t verb)
{
	m->verb = verb;
	m->began = util_boot_ns();
	m->first = m->first ?: m->began;
}

void
measure_ended(struct measure *m, const struct msg_exec_done *done)
{
	static const enum stats_end ends[] = { STATS_FAILED, STATS_SIGNAL, STATS_TIMEOUT, STATS_NOT_STARTED };

	m->ended = util_boot_ns();
	m->spent += m->ended - m->began;
	stats_add(&measure_page->runs[m->verb][done->how == DONE_EXITED && done->status == 0 ? STATS_OK : ends[done->how]]);
	stats_observe(&measure_page->run_time[m->verb], m->ended - m->began);
}

void
measure_command(const struct cmd *c)
{
	struct stats_time *phase = measure_page->phases[c->verb];
	const struct measure *m = &c->at;
	uint64_t now = util_boot_ns();
	size_t code = 0;

	if (!c->verb) /* said nothing, as posternctl does */
		return;
	while (code < ARRAY_LEN(stats_codes) && stats_codes[code] != c->result.code)
		code++;
	stats_add(&measure_page->requests[c->verb][code][c->origin == CMD_SHIM ? STATS_RUNTIME
							 : c->origin == CMD_PLUG ? STATS_HOTPLUG : STATS_INTERNAL]);
	stats_observe(&phase[STATS_TOTAL], now - m->came);
	if (m->turn)
		stats_observe(&phase[STATS_QUEUE], m->turn - m->came);
	if (!m->ended)
		return;
	stats_observe(&phase[STATS_PREPARE], m->first - m->turn);
	stats_observe(&phase[STATS_DELEGATES], m->spent);
	stats_observe(&phase[STATS_FINISH], now - m->ended);
}

void
measure_now(void)
{
	uint64_t queued = 0, running = 0;

	for (const struct cmd *c = attach.cmds; c; c = c->next) {
		queued += c->phase == CMD_QUEUED;
		running += c->phase == CMD_RUN || c->phase == CMD_UNDO;
	}
	stats_set(&measure_page->queued, queued);
	stats_set(&measure_page->running, running);
	stats_set(&measure_page->entries, journal_entries);
	stats_set(&measure_page->owed, owed_entries);
}
