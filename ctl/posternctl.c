/* posternctl: what an administrator asks of a running Postern.
 * Runs in: posternctl, as root; never part of the service.  Trusts: its arguments,
 * /etc/postern/door when root's alone. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl/list.h"
#include "ctl/plug.h"
#include "ctl/verify.h"
#include "netpriv/check.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define DOOR_FILE "/etc/postern/door"
#define DOOR_MAX  108 /* sun_path */

static const char usage[] =
    "usage: posternctl verify [--json] [--door PATH]\n"
    "       posternctl list [--json] [--journal DIR]\n"
    "       posternctl attach|detach NAMESPACE/POD ...\n"
    "       posternctl --help | --version\n"
    "\n"
    "verify   compare how each role of the running service is confined with what this build "
    "expects:\n"
    "         a table, or a JSON array with --json; exit status 1 on any difference\n"
    "list     what the journal holds: attachments, and what is still to be undone\n"
    "\n"
    "--door   the service's socket (default: the line in " DOOR_FILE ", else\n"
    "         " DOOR_DEFAULT ")\n";

static int
usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "posternctl: %s%s%s\n%s", what, arg ? ": " : "", arg ? arg : "", usage);
	return 2;
}

/* The socket's path: the one line of DOOR_FILE when there is such a file. */
static void
read_door(char door[DOOR_MAX])
{
	cleanup_close int fd = open(DOOR_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	char line[256];
	struct stat st;
	ssize_t n;

	util_copy(door, DOOR_MAX, DOOR_DEFAULT);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || fstat(fd, &st) < 0)
		log_fatal(DOOR_FILE ": %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0)
		log_fatal(DOOR_FILE ": must be a file of root's that nobody else can write to");
	n = util_read_full(fd, line, sizeof(line) - 1);
	if (n < 0)
		log_fatal(DOOR_FILE ": %s", strerror((int)-n));
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (!check_abs_path(line, DOOR_MAX) || util_copy(door, DOOR_MAX, line) < 0)
		log_fatal(DOOR_FILE ": must hold one line, the socket's absolute path");
}

static int
run_verify(int argc, char **argv)
{
	char door[DOOR_MAX] = "";
	bool json = false;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--door") != 0)
			return usage_error("unknown argument", argv[i]);
		else if (++i == argc)
			return usage_error("--door needs a path", NULL);
		else if (argv[i][0] == '\0' || util_copy(door, sizeof(door), argv[i]) < 0)
			return usage_error("--door: not a socket's path", argv[i]);
	}
	if (door[0] == '\0')
		read_door(door);
	return verify_run(door, json);
}

int
main(int argc, char **argv)
{
	log_init("posternctl", LOG_INFO);
	if (argc < 2)
		return usage_error("a command is missing", NULL);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		printf("%s\n%s", usage, plug_usage);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("posternctl " POSTERN_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "verify") == 0)
		return run_verify(argc - 2, argv + 2);
	if (strcmp(argv[1], "list") == 0)
		return list_run(argc - 1, argv + 1);
	if (strcmp(argv[1], "attach") == 0)
		return plug_run(CNI_ADD, argc - 1, argv + 1);
	if (strcmp(argv[1], "detach") == 0)
		return plug_run(CNI_DEL, argc - 1, argv + 1);
	return usage_error("unknown command", argv[1]);
}
