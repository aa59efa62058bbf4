/* The kubelet's answer: which pod has which devices.
 * Runs in: children of devices.  Trusts: nothing that the kubelet says.  Source: kubelet podresources v1; nanopb. */
#include "kubeclient/podres.h"

#include <pb_decode.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "netpriv/util.h"
#include "podresources.pb.h"

/* What is looked for, and what has been seen of it in the message at hand: its fields may come in any order. */
struct find {
	const struct podres_question *q;
	struct podres_answer *a;
	bool same_ns, same_name, same_resource;
};

int
podres_fail(struct podres_answer *a, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	util_escape(a->text, sizeof(a->text), text);
	a->error = err;
	a->len = 0;
	return err;
}

/* Of a field that comes more than once the last one counts. */
static bool
compare(pb_istream_t *stream, const char *want, bool *same)
{
	char text[256];
	size_t len = stream->bytes_left;

	*same = len == strlen(want) && len < sizeof(text);
	if (!*same)
		return pb_read(stream, NULL, len);
	if (!pb_read(stream, (pb_byte_t *)text, len))
		return false;
	*same = memcmp(text, want, len) == 0;
	return true;
}

static bool
read_ns(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	struct find *f = *arg;

	(void)field;
	return compare(stream, f->q->pod_ns, &f->same_ns);
}

static bool
read_name(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	struct find *f = *arg;

	(void)field;
	return compare(stream, f->q->pod_name, &f->same_name);
}

static bool
read_resource(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	struct find *f = *arg;

	(void)field;
	return compare(stream, f->q->resource, &f->same_resource);
}

static bool
read_id(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	struct podres_answer *a = ((struct find *)*arg)->a;
	size_t len = stream->bytes_left;

	(void)field;
	if (len >= sizeof(a->ids) - a->len) {
		podres_fail(a, -E2BIG, "it names devices of more than %u bytes", PODRES_IDS);
		return false;
	}
	if (!pb_read(stream, (pb_byte_t *)a->ids + a->len, len))
		return false;
	if (memchr(a->ids + a->len, '\0', len)) {
		podres_fail(a, -EPROTO, "a device's name holds a NUL");
		return false;
	}
	a->len += (uint32_t)len;
	a->ids[a->len++] = '\0';
	return true;
}

/* Looked at twice: the name of a resource may stand behind its devices, and others' devices need no room. */
static bool
read_devices(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	v1_ContainerDevices which = { .resource_name = { { .decode = read_resource }, *arg } };
	v1_ContainerDevices ids = { .device_ids = { { .decode = read_id }, *arg } };
	pb_istream_t again = *stream;
	struct find *f = *arg;

	(void)field;
	f->same_resource = false;
	return pb_decode(stream, v1_ContainerDevices_fields, &which) &&
	       (!f->same_resource || pb_decode(&again, v1_ContainerDevices_fields, &ids));
}

static bool
read_container(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	v1_ContainerResources c = { .devices = { { .decode = read_devices }, *arg } };

	(void)field;
	return pb_decode(stream, v1_ContainerResources_fields, &c);
}

static bool
read_pod(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
	v1_PodResources who = { .name = { { .decode = read_name }, *arg }, .namespace = { { .decode = read_ns }, *arg } };
	v1_PodResources what = { .containers = { { .decode = read_container }, *arg } };
	pb_istream_t again = *stream;
	struct find *f = *arg;

	(void)field;
	f->same_ns = f->same_name = false;
	return pb_decode(stream, v1_PodResources_fields, &who) &&
	       (!f->same_ns || !f->same_name || pb_decode(&again, v1_PodResources_fields, &what));
}

void
podres_decode(const void *message, size_t len, const struct podres_question *q, struct podres_answer *a)
{
	struct find f = { .q = q, .a = a };
	v1_ListPodResourcesResponse all = { .pod_resources = { { .decode = read_pod }, &f } };
	pb_istream_t stream = pb_istream_from_buffer(message, len);

	a->error = 0;
	a->len = 0;
	a->text[0] = '\0';
	if (!pb_decode(&stream, v1_ListPodResourcesResponse_fields, &all) && a->error == 0)
		podres_fail(a, -EPROTO, "its list of pods is malformed: %s", PB_GET_ERROR(&stream));
}

void
podres_run(int out, const void *arg)
{
	static struct podres_answer a;
	const void *message;
	size_t len;

	signal(SIGPIPE, SIG_IGN); /* a kubelet that hangs up is an error, with words */
	if (grpc_call("/v1.PodResourcesLister/List", &message, &len, &a) == 0)
		podres_decode(message, len, arg, &a);
	util_write_all(out, &a, sizeof(a));
}
