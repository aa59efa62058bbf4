/* What is still to be undone.
 * Runs in: netpriv.  Trusts: the journal. */
#include "netpriv/owed.h"

#include "netpriv/attach.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define FIRST_MS 1000
#define LAST_MS 3600000

struct owed {
	struct owed *next;
	struct wire_target target;
	int64_t due;
	int64_t wait;
};

static struct owed *list;
unsigned owed_entries;

static struct owed **
find(const struct wire_target *t)
{
	struct owed **at = &list;

	while (*at && (strcmp((*at)->target.container_id, t->container_id) != 0 ||
		       strcmp((*at)->target.ifname, t->ifname) != 0))
		at = &(*at)->next;
	return at;
}

bool
owed_known(const struct wire_target *t)
{
	return *find(t) != NULL;
}

void
owed_add(const struct wire_target *t)
{
	struct owed **at = find(t);

	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at) {
			log_error("%s: out of memory; it is undone at the next start",
				  t->container_id);
			return;
		}
		(*at)->target = *t;
		owed_entries++;
	}
	(*at)->wait = (*at)->wait == 0 ? FIRST_MS : (*at)->wait * 2;
	if ((*at)->wait > LAST_MS)
		(*at)->wait = LAST_MS;
	(*at)->due = util_now_ms() + (*at)->wait;
	log_warn("%s %s is not undone yet; next try in %lld s", t->container_id, t->ifname,
		 (long long)(*at)->wait / 1000);
}

void
owed_remove(const struct wire_target *t)
{
	struct owed **at = find(t), *gone = *at;

	if (gone) {
		*at = gone->next;
		free(gone);
		owed_entries--;
	}
}

int64_t
owed_tick(int64_t now)
{
	int64_t next = INT64_MAX;

	if (attach.stopping)
		return next;
	for (struct owed **at = &list; *at;) {
		struct owed *o = *at;
		struct journal_entry e;
		int err = o->due <= now ? journal_load(&o->target, false, &e) : -EAGAIN;

		if (err == -ENOENT) {
			*at = o->next;
			free(o);
			owed_entries--;
			continue;
		}
		if (err == 0 && attach_internal(CMD_RETRY, &e))
			/* Until its verdict, which sets a new time or takes it off the list. */
			o->due = INT64_MAX;
		else if (err != -EAGAIN)
			o->due = now + LAST_MS;
		if (o->due < next)
			next = o->due;
		at = &o->next;
	}
	return next;
}
