/* Filters: from a table to a BPF program, and from a program to the kernel.
 * Runs in: every confined process.  Trusts: the tables.
 * Source: seccomp_init(3), seccomp_export_bpf(3), seccomp(2). */
#include "seccomp/filter.h"

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

const struct filter_row *
filter_row(const struct filter_table *t, size_t row)
{
	for (unsigned i = 0; i < FILTER_PARTS && t->part[i] != NULL; i++) {
		if (row < t->part[i]->n)
			return &t->part[i]->rows[row];
		row -= t->part[i]->n;
	}
	return NULL;
}

static bool
same_conditions(const struct filter_row *a, const struct filter_row *b)
{
	if (a->args != b->args)
		return false;
	for (unsigned i = 0; i < a->args; i++) {
		const struct scmp_arg_cmp *x = &a->arg[i], *y = &b->arg[i];

		if (x->arg != y->arg || x->op != y->op || x->datum_a != y->datum_a ||
		    x->datum_b != y->datum_b)
			return false;
	}
	return true;
}

const char *
filter_lint(const struct filter_table *t, const char **where)
{
	const struct filter_row *a, *b;

	for (size_t i = 0; (a = filter_row(t, i)) != NULL; i++) {
		*where = a->call;
		if (a->why == NULL || a->why[0] == '\0')
			return "the row has no reason";
		if (seccomp_syscall_resolve_name(a->call) == __NR_SCMP_ERROR)
			return "there is no such system call";
		for (unsigned n = 0; n + 1 < a->args; n++)
			if (a->arg[n].arg == a->arg[n + 1].arg)
				return "two conditions on one argument";
		for (size_t j = 0; j < i; j++) {
			b = filter_row(t, j);
			if (strcmp(a->call, b->call) != 0)
				continue;
			if (a->args == 0 || b->args == 0)
				return "a row beside one without conditions is dead";
			if (same_conditions(a, b))
				return "the same row twice";
		}
	}
	*where = NULL;
	return NULL;
}

unsigned
sandbox_syscalls(enum role role)
{
	const struct filter_table *t = filter_table(role);
	const struct filter_row *a;
	unsigned count = 0;

	if (t == NULL)
		return 0;
	for (size_t i = 0; (a = filter_row(t, i)) != NULL; i++) {
		bool seen = a->deny != 0 || seccomp_syscall_resolve_name(a->call) < 0;

		for (size_t j = 0; j < i && !seen; j++)
			seen = strcmp(a->call, filter_row(t, j)->call) == 0;
		count += !seen;
	}
	return count;
}

static uint32_t
default_action(const struct filter_table *t, enum conf_sandbox mode)
{
	if (mode == CONF_LOG)
		return SCMP_ACT_LOG;
	if (mode == CONF_TRAP)
		return SCMP_ACT_TRAP;
	return t->deny ? SCMP_ACT_ERRNO((uint32_t)t->deny) : SCMP_ACT_KILL_PROCESS;
}

static int
add_rows(scmp_filter_ctx ctx, const struct filter_table *t)
{
	const struct filter_row *r;

	for (size_t i = 0; (r = filter_row(t, i)) != NULL; i++) {
		int nr = seccomp_syscall_resolve_name(r->call), err;
		uint32_t action = r->deny ? SCMP_ACT_ERRNO((uint32_t)r->deny) : SCMP_ACT_ALLOW;

		if (nr < 0) /* this machine has no such call: nothing to allow */
			continue;
		err = seccomp_rule_add_array(ctx, action, nr, r->args, r->arg);
		if (err < 0) {
			log_error("filter of %s, row %s: %s", role_name(t->role), r->call,
				  strerror(-err));
			return err;
		}
	}
	return 0;
}

/* A plugin runs under exec's filter already: its own takes away what exec's has beyond the plugins' table, and no more. A whole table
 * again would be looked through at each of its calls, and compiled by the kernel for each plugin that starts. */
static int
add_difference(scmp_filter_ctx ctx, enum conf_sandbox mode)
{
	uint32_t action = mode == CONF_LOG    ? SCMP_ACT_LOG
			  : mode == CONF_TRAP ? SCMP_ACT_TRAP
					      : SCMP_ACT_ERRNO(EPERM);

	for (size_t i = 0; i < filter_exec.n; i++) {
		int nr = seccomp_syscall_resolve_name(filter_exec.rows[i].call), err;

		for (size_t j = 0; j < filter_delegate.n; j++)
			if (strcmp(filter_delegate.rows[j].call, filter_exec.rows[i].call) == 0)
				return -EEXIST;
		err = nr < 0 ? 0 : seccomp_rule_add(ctx, action, nr, 0);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The program, out of the library into memory of our own. */
static int
export_program(scmp_filter_ctx ctx, struct sock_fprog *prog)
{
	cleanup_close int fd = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter *code;
	off_t size;
	int err;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	if (err < 0)
		return err;
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || (size_t)size % sizeof(*code) != 0 ||
	    (size_t)size / sizeof(*code) > BPF_MAXINSNS)
		return -EFBIG;
	code = malloc((size_t)size);
	if (code == NULL)
		return -ENOMEM;
	if (pread(fd, code, (size_t)size, 0) != size) {
		free(code);
		return -EIO;
	}
	prog->filter = code;
	prog->len = (unsigned short)((size_t)size / sizeof(*code));
	return 0;
}

void
sandbox_compile(enum role role, enum conf_sandbox mode, struct sock_fprog *prog)
{
	const struct filter_table *t = filter_table(role);
	const char *where, *wrong;
	scmp_filter_ctx ctx;
	int err;

	if (t == NULL)
		log_fatal("sandbox: role %s has no filter table", role_name(role));
	wrong = filter_lint(t, &where);
	if (wrong != NULL)
		log_fatal("sandbox: filter table of %s, %s: %s", role_name(role), where, wrong);
	ctx = seccomp_init(role == ROLE_DELEGATE ? SCMP_ACT_ALLOW : default_action(t, mode));
	if (ctx == NULL)
		log_fatal(
		    "sandbox: libseccomp cannot start a filter; is its kernel support there?");
	/* A foreign architecture's calls (x32, 32 bit) have other numbers: no table speaks of them.
	 * The tree keeps a long table at a few comparisons a call. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (err == 0)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (err == 0)
		err = role == ROLE_DELEGATE ? add_difference(ctx, mode) : add_rows(ctx, t);
	if (err == 0)
		err = export_program(ctx, prog);
	if (err < 0)
		log_fatal("sandbox: filter of %s cannot be built: %s", role_name(role),
			  strerror(-err));
	seccomp_release(ctx);
}

int
sandbox_load(const struct sock_fprog *prog)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, prog) < 0)
		return -errno;
	return 0;
}
