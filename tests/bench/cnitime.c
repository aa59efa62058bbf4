/* Runs a CNI binary as a container runtime does and times each run.
 *   cnitime [-n RUNS] [-j AT-ONCE] [-p POD-PREFIX] [-i IFNAMES] [-b CNI_PATH] VERB CONF[,CONF...] BINARY[,BINARY...]
 * Run k is for pod PREFIX<k> in namespace default, with the netns /run/netns/PREFIX<k>. More than one BINARY: all are run one
 * after the other and timed as one, each with its CONF and its interface name (what a meta plugin would do at the least).
 * Prints one line: "VERB runs failures p50 p90 max wall", times in milliseconds.
 * Runs in: benchmark. */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTS 8
#define JOBS 64

static const char *verb, *prefix = "bench", *cni_path = "/usr/lib/cni";
static char *ifnames[PARTS] = { (char[]){ "eth0" } }, *files[PARTS], *binaries[PARTS], *confs[PARTS];
static unsigned n_parts;
static int runs = 1;
static atomic_int next_run, failures;
static double *took;

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

static unsigned
split(char *list, char **out)
{
	unsigned n = 0;

	for (char *p = strtok(list, ","); p && n < PARTS; p = strtok(NULL, ","))
		out[n++] = p;
	return n;
}

static char *
read_file(const char *path)
{
	char *buf = calloc(1, 65536);
	FILE *f = fopen(path, "re");

	if (!buf || !f || fread(buf, 1, 65535, f) == 0)
		die(path);
	fclose(f);
	return buf;
}

/* One process; 0 when it exits with 0. Its output is read to the end, as a runtime does. */
static int
run_part(int run, unsigned part)
{
	char env[6][512], out[65536], *argv[] = { binaries[part], NULL };
	char *envp[] = { env[0], env[1], env[2], env[3], env[4], env[5], NULL };
	int in_pipe[2], out_pipe[2], status = 0;
	posix_spawn_file_actions_t fa;
	size_t len = strlen(confs[part]);
	ssize_t n, used = 0;
	pid_t pid;

	snprintf(env[0], sizeof(env[0]), "CNI_COMMAND=%s", verb);
	snprintf(env[1], sizeof(env[1]), "CNI_CONTAINERID=%s%d", prefix, run);
	snprintf(env[2], sizeof(env[2]), "CNI_NETNS=/run/netns/%s%d", prefix, run);
	snprintf(env[3], sizeof(env[3]), "CNI_IFNAME=%s", ifnames[part]);
	snprintf(env[4], sizeof(env[4]), "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=%s%d", prefix, run);
	snprintf(env[5], sizeof(env[5]), "CNI_PATH=%s", cni_path);
	if (pipe2(in_pipe, O_CLOEXEC) < 0 || pipe2(out_pipe, O_CLOEXEC) < 0)
		die("pipe2");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in_pipe[0], 0);
	posix_spawn_file_actions_adddup2(&fa, out_pipe[1], 1);
	if (posix_spawn(&pid, binaries[part], &fa, NULL, argv, envp) != 0)
		die(binaries[part]);
	posix_spawn_file_actions_destroy(&fa);
	close(in_pipe[0]);
	close(out_pipe[1]);
	if (write(in_pipe[1], confs[part], len) != (ssize_t)len)
		die("write");
	close(in_pipe[1]);
	while ((n = read(out_pipe[0], out + used, sizeof(out) - 1 - (size_t)used)) > 0)
		used += n;
	out[used] = '\0';
	close(out_pipe[0]);
	waitpid(pid, &status, 0);
	if (status != 0 && atomic_fetch_add(&failures, 1) == 0)
		fprintf(stderr, "%s of %s%d: status %#x: %.400s\n", verb, prefix, run, status, out);
	return status;
}

static void *
run_some(void *arg)
{
	int run;

	(void)arg;
	while ((run = atomic_fetch_add(&next_run, 1)) < runs) {
		double start = now_ms();

		for (unsigned i = 0; i < n_parts; i++)
			if (run_part(run, i) != 0)
				break;
		took[run] = now_ms() - start;
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	pthread_t thread[JOBS];
	int jobs = 1, opt;
	double start;

	while ((opt = getopt(argc, argv, "n:j:p:i:b:")) > 0) {
		if (opt == 'n')
			runs = atoi(optarg);
		else if (opt == 'j')
			jobs = atoi(optarg);
		else if (opt == 'p')
			prefix = optarg;
		else if (opt == 'i')
			split(optarg, ifnames);
		else if (opt == 'b')
			cni_path = optarg;
		else
			return 2;
	}
	if (argc - optind != 3 || runs < 1 || jobs < 1 || jobs > JOBS) {
		fputs("usage: cnitime [-n RUNS] [-j JOBS] [-p PREFIX] [-i IFNAMES] [-b CNI_PATH] VERB CONFS BINARIES\n", stderr);
		return 2;
	}
	verb = argv[optind];
	n_parts = split(argv[optind + 2], binaries);
	if (split(argv[optind + 1], files) != n_parts)
		return 2;
	for (unsigned i = 0; i < n_parts; i++)
		confs[i] = read_file(files[i]);
	took = calloc((size_t)runs, sizeof(*took));
	if (!took)
		die("calloc");
	start = now_ms();
	for (int i = 0; i < jobs; i++)
		if (pthread_create(&thread[i], NULL, run_some, NULL) != 0)
			die("pthread_create");
	for (int i = 0; i < jobs; i++)
		pthread_join(thread[i], NULL);
	start = now_ms() - start;
	qsort(took, (size_t)runs, sizeof(*took), compare);
	printf("%s %d %d %.2f %.2f %.2f %.1f\n", verb, runs, failures, took[runs / 2], took[runs * 9 / 10], took[runs - 1], start);
	return failures != 0;
}
