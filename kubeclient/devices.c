/* postern-devices: asks the kubelet which devices a pod has, and copies what device plugins left of them. Each worker's channel was
 * bound to one pod and container by the broker. It parses nothing: the kubelet's answers are read by a child for each, which holds
 * that one connection and a pipe and is thrown away.
 * Runs in: devices (uid 0, no capability, no network, an empty root; Landlock, and no way out of four held directories: the kubelet's
 * socket's, its checkpoint's, the device information's).  Trusts: no peer.  It holds no token. */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kubeclient/child.h"
#include "kubeclient/devinfo.h"
#include "kubeclient/podres.h"
#include "kubeclient/serve.h"
#include "netpriv/log.h"
#include "netpriv/util.h"
#include "seccomp/sandbox.h"

#define CALL_S 10
#define AGAIN_MS 200		 /* from a kubelet that is busy to the next try */
#define JOBS SERVE_CHANNELS	 /* one a worker */
#define CHECKPOINT_MAX (1u << 20) /* bytes; what a worker reads */

/* A DEVICES_GET that is not answered yet. */
struct job {
	bool used;
	struct serve_ticket ticket;
	struct podres_question q;
	int64_t next, deadline; /* util_now_ms(): of the next try; of the last */
	char why[WIRE_TEXT];	/* what came of the try before */
};

/* A child that runs: the job is its own until it has answered. */
struct run {
	struct job *job; /* NULL: free */
	struct child child;
	struct podres_answer answer;
};

static struct wire control = WIRE_INIT(FD_CONTROL, ROLE_DEVICES, ROLE_SUPERVISOR);
static const struct conf *conf;
static struct sock_fprog reader;
static struct job jobs[JOBS];
static struct run runs[SERVE_POLLED];
static struct {
	int kubelet, checkpoint, info, cni; /* held directories, -1: not there */
} dirs = { -1, -1, -1, -1 };

/* The last component of a path. */
static const char *
file_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

static void
answer(const struct serve_ticket *t, const struct msg_devices_reply *r, int memfd)
{
	if (r->text[0])
		log_debug("%s", r->text);
	serve_send(t, MSG_DEVICES_REPLY, r, memfd);
}

__attribute__((format(printf, 3, 4))) static void
refuse(struct job *job, int err, const char *fmt, ...)
{
	struct msg_devices_reply r = { .error = err };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r.text, sizeof(r.text), fmt, ap);
	va_end(ap);
	answer(&job->ticket, &r, -1);
	job->used = false;
}

/* Where there is no socket the kubelet keeps a file; the worker reads it. */
static void
send_checkpoint(struct job *job)
{
	struct msg_devices_reply r = { .source = DEVICES_CHECKPOINT };
	cleanup_close int memfd = devinfo_read(dirs.checkpoint, file_name(conf->checkpoint), CHECKPOINT_MAX);

	if (memfd < 0) {
		refuse(job, memfd, "there is no socket %s, and the kubelet's checkpoint file %s cannot be read: %s", conf->pod_resources,
		       conf->checkpoint, strerror(-memfd));
		return;
	}
	snprintf(r.text, sizeof(r.text), "%s", conf->checkpoint);
	answer(&job->ticket, &r, memfd);
	job->used = false;
}

/* By its name alone, in the working directory: no other path leads anywhere. A descriptor or -errno. */
static int
connect_kubelet(void)
{
	cleanup_close int fd = dirs.kubelet < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (dirs.kubelet < 0)
		return -ENOENT;
	if (fd < 0)
		return -errno;
	/* One whose queue is full is not waited for: there are others to be served. */
	if (util_copy(a.sun_path, sizeof(a.sun_path), file_name(conf->pod_resources)) < 0)
		return -ENAMETOOLONG;
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    fcntl(fd, F_SETFL, O_RDWR) < 0)
		return -errno;
	return util_take_fd(&fd);
}

static void
try_later(struct job *job, const char *why)
{
	snprintf(job->why, sizeof(job->why), "%s", why);
	job->next = util_now_ms() + AGAIN_MS;
}

static void
start_run(struct run *run, struct job *job)
{
	int64_t left = job->deadline - util_now_ms();
	cleanup_close int fd = connect_kubelet();
	int err = fd;

	if (fd == -ENOENT) {
		send_checkpoint(job);
		return;
	}
	if (fd == -EAGAIN) {
		try_later(job, "its queue is full");
		return;
	}
	if (fd >= 0)
		err = child_start(&run->child, left < 1000 ? 1 : (unsigned)(left / 1000), fd, &reader, podres_run, &job->q);
	if (err < 0)
		refuse(job, err, "the kubelet at %s: %s", conf->pod_resources, strerror(-err));
	else
		run->job = job;
}

static void
end_run(struct run *run)
{
	struct podres_answer *a = &run->answer;
	struct job *job = run->job;
	struct msg_devices_reply r = { .source = DEVICES_KUBELET };
	cleanup_close int memfd = -1;
	int err = child_read(&run->child, a, sizeof(*a));

	if (err == 0)
		return;
	run->job = NULL;
	if (err < 0) {
		refuse(job, err, "the kubelet at %s %s", conf->pod_resources,
		       err == -ETIMEDOUT ? "does not answer" : "sent what the process that reads it died of");
		return;
	}
	if (a->error > 0 || a->len > sizeof(a->ids) || (a->len > 0 && a->ids[a->len - 1] != '\0') ||
	    !memchr(a->text, '\0', sizeof(a->text)))
		log_fatal("a child answers what it cannot have read");
	if (a->error == -EBUSY) {
		try_later(job, a->text);
	} else if (a->error < 0) {
		refuse(job, a->error, "the kubelet at %s: %s", conf->pod_resources, a->text);
	} else {
		memfd = util_sealed_memfd("postern-devices", a->ids, a->len);
		snprintf(r.text, sizeof(r.text), "%s", conf->pod_resources);
		r.error = memfd < 0 ? memfd : 0;
		answer(&job->ticket, &r, memfd);
		job->used = false;
	}
}

static struct run *
free_run(void)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		if (!runs[i].job)
			return &runs[i];
	return NULL;
}

static bool
is_running(const struct job *job)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		if (runs[i].job == job)
			return true;
	return false;
}

/* Starts what waits, as far as there is room. */
static void
start_jobs(void)
{
	int64_t now = util_now_ms();

	for (struct job *job = jobs; job < jobs + JOBS; job++) {
		struct run *run = free_run();

		if (!job->used || is_running(job))
			continue;
		if (job->deadline <= now)
			refuse(job, -ETIMEDOUT, "the kubelet at %s has no answer yet: %s", conf->pod_resources, job->why);
		else if (run && job->next <= now)
			start_run(run, job);
	}
}

static unsigned
poll_runs(struct pollfd *p, int64_t *due)
{
	int64_t next;

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		p[i] = (struct pollfd){ .fd = runs[i].job ? runs[i].child.out : -1, .events = POLLIN };
		if (runs[i].job && runs[i].child.due < *due)
			*due = runs[i].child.due;
	}
	for (const struct job *job = jobs; job < jobs + JOBS; job++) {
		if (!job->used || is_running(job))
			continue;
		next = free_run() && job->next < job->deadline ? job->next : job->deadline;
		*due = next < *due ? next : *due;
	}
	return ARRAY_LEN(runs);
}

static void
step_runs(const struct pollfd *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (runs[i].job && (p[i].revents || util_now_ms() >= runs[i].child.due))
			end_run(&runs[i]);
	start_jobs();
}

static void
serve_get_devices(const struct serve_ticket *t, const struct msg_devices_bind *who, const struct msg_devices_get *m)
{
	struct job *job = jobs;

	/* A worker that is gone may have left one behind. */
	while (job < jobs + JOBS && job->used)
		job++;
	if (job == jobs + JOBS) {
		const struct msg_devices_reply r = { .error = -EBUSY, .text = "too many questions to the kubelet are under way" };

		answer(t, &r, -1);
		return;
	}
	*job = (struct job){ .used = true, .ticket = *t, .deadline = util_now_ms() + CALL_S * 1000 };
	snprintf(job->why, sizeof(job->why), "too many are under way");
	memcpy(job->q.pod_ns, who->pod.pod_ns, sizeof(job->q.pod_ns));
	memcpy(job->q.pod_name, who->pod.pod_name, sizeof(job->q.pod_name));
	memcpy(job->q.resource, m->resource, sizeof(job->q.resource));
	if (!job->q.pod_ns[0] || !job->q.pod_name[0])
		refuse(job, -EINVAL, "the runtime named no pod that could have devices");
}

static void
serve_request(const struct serve_ticket *t, const struct msg_devices_bind *who, struct wire_msg *m)
{
	struct msg_devices_reply r = { 0 };
	cleanup_close int memfd = -1;

	if (m->head.type == MSG_DEVICES_GET) {
		serve_get_devices(t, who, &m->body.devices_get);
		return;
	}
	devinfo_serve(dirs.info, dirs.cni, who->container_id, &m->body.devinfo, &r, &memfd);
	answer(t, &r, memfd);
}

/* The directory at path, made when mode is not 0, with those above it when parents is set; -1: not there. */
static int
open_dir(const char *path, mode_t mode, bool parents)
{
	char part[CONF_PATH + 8];
	int fd;

	for (const char *end = path; end && mode;) {
		end = strchr(end + 1, '/');
		snprintf(part, sizeof(part), "%.*s", end ? (int)(end - path) : (int)strlen(path), path);
		if (parents || !end)
			mkdir(part, mode); /* it may be there; what else is wrong open() will say */
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Others make theirs so that nobody may enter, and root without its capabilities is nobody. */
	if (fd < 0 && errno == EACCES && parents && chmod(path, mode) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		log_warn("%s: %s: not used until Postern is started again", path, strerror(errno));
	return fd;
}

static int
grant(struct sandbox *s, int fd, uint32_t access)
{
	if (fd >= 0)
		s->paths[s->n_paths++] = (struct sandbox_path){ fd, access };
	return fd;
}

/* The directory that path is in. */
static const char *
directory_of(const char *path, char dir[CONF_PATH])
{
	size_t len = (size_t)(strrchr(path, '/') - path);

	snprintf(dir, CONF_PATH, "%.*s", len ? (int)len : 1, path);
	return dir;
}

static void
hold_directories(struct sandbox *s)
{
	char dir[CONF_PATH], cni[CONF_PATH + 8], dp[CONF_PATH + 8];
	int fd;

	umask(022);
	/* The kubelet makes the first one itself, perhaps later than now. */
	dirs.kubelet = grant(s, open_dir(directory_of(conf->pod_resources, dir), 0750, false), SANDBOX_READ);
	if (conf->checkpoint[0])
		dirs.checkpoint = grant(s, open_dir(directory_of(conf->checkpoint, dir), 0, false), SANDBOX_READ);
	if (!conf->devinfo[0])
		return;
	snprintf(dp, sizeof(dp), "%s/dp", conf->devinfo);
	snprintf(cni, sizeof(cni), "%s/cni", conf->devinfo);
	dirs.info = grant(s, open_dir(conf->devinfo, 0755, true), SANDBOX_READ);
	dirs.cni = grant(s, open_dir(cni, 0755, true), SANDBOX_READ | SANDBOX_WRITE);
	fd = open_dir(dp, 0755, true); /* read beneath the first */
	if (fd >= 0)
		close(fd);
}

int
main(void)
{
	static const struct serve_backend backend = { ROLE_DEVICES, serve_request, poll_runs, step_runs };
	/* Root's descriptors in flight, of all processes, count against it when one is sent. */
	struct sandbox s = { .role = ROLE_DEVICES, .max_fd = 1024 };
	struct sandbox_facts facts;

	sandbox_close_fds(FD_DEVICES_BROKER + 1);
	log_init("devices", LOG_INFO);
	conf = conf_map(FD_CONF);
	log_init("devices", (enum log_level)conf->log_level);
	s.mode = (enum conf_sandbox)conf->sandbox;
	sandbox_compile(ROLE_READER, s.mode, &reader);
	hold_directories(&s);
	sandbox_enter(&s, &facts);
	if (dirs.kubelet >= 0 && fchdir(dirs.kubelet) < 0)
		log_fatal("%s: its directory: %s", conf->pod_resources, strerror(errno));
	sandbox_report(&control, &facts);
	serve_run(conf, &control, &backend);
}
