/* The filter tables and what builds a BPF program of them. One row is one rule: a call's name,
 * at most FILTER_ARGS conditions that must all hold, and why the role needs it. Rows on one call
 * are alternatives.
 * Runs in: every confined process, before it is confined.  Source: seccomp(2),
 * seccomp_rule_add(3). */
#ifndef SECCOMP_FILTER_H
#define SECCOMP_FILTER_H

#include <seccomp.h>
#include <stddef.h>

#include "netpriv/role.h"

#define FILTER_ARGS 2
#define FILTER_PARTS 5

struct filter_row {
	const char *call;
	const char *why;
	int deny;      /* 0: allowed; else the errno that it answers in every mode */
	unsigned args; /* conditions in use */
	struct scmp_arg_cmp arg[FILTER_ARGS];
};

/* Rows that several roles share stand once; a role's table is the sum of its parts. */
struct filter_part {
	const struct filter_row *rows;
	size_t n;
};

struct filter_table {
	enum role role;
	int deny; /* a call without a row, when enforced: 0 kills the process, else the errno */
	const struct filter_part *part[FILTER_PARTS];
};

/* Conditions: argument i equals v; argument i has none of the bits b; argument i has no bit
 * outside b. */
#define ARG_IS(i, v) { (i), SCMP_CMP_EQ, (scmp_datum_t)(v), 0 }
#define ARG_LACKS(i, b) { (i), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(b), 0 }
#define ARG_WITHIN(i, b) { (i), SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(b), 0 }

#define ALLOW(call, why) { call, why, 0, 0, { { 0, 0, 0, 0 } } }
#define ALLOW_IF(call, why, a) { call, why, 0, 1, { a } }
#define ALLOW_IF2(call, why, a, b) { call, why, 0, 2, { a, b } }
#define DENY_IF(call, why, errnum, a) { call, why, errnum, 1, { a } }
#define DENY(call, why, errnum) { call, why, errnum, 0, { { 0, 0, 0, 0 } } }

/* The table of a role, NULL when it has none. */
const struct filter_table *filter_table(enum role role);

/* The row-th row of a table counted over its parts; NULL behind the last. */
const struct filter_row *filter_row(const struct filter_table *t, size_t row);

/* NULL when the table is sound, else what is wrong with it (a constant) and *where, the call.
 * Wrong is: no reason, a row that can never matter (the same row twice, or conditions beside a
 * row of the same call without any), no such call. */
const char *filter_lint(const struct filter_table *t, const char **where);

/* The plugins' part, table_delegate.c; and what exec's table has beyond it. */
extern const struct filter_part filter_delegate, filter_exec;

#endif
