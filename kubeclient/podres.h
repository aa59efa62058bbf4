/* The kubelet's pod resources service, as far as one resource of one pod goes: a child's whole life.
 * Runs in: children of devices, which hold the connection and a pipe. */
#ifndef KUBECLIENT_PODRES_H
#define KUBECLIENT_PODRES_H

#include <stddef.h>
#include <stdint.h>

#include "netpriv/wire.h"

#define PODRES_MAX (16u << 20) /* bytes; an answer of the kubelet, which is about all pods of the node */
#define PODRES_IDS 16384       /* bytes; the devices of one resource of one pod */

struct podres_question {
	char pod_ns[64], pod_name[256];
	char resource[256];
};

struct podres_answer {
	int32_t error; /* 0 or -errno; -EBUSY: the kubelet wants to be asked later */
	uint32_t len;
	char text[256];        /* when error: what */
	char ids[PODRES_IDS]; /* the first len bytes: names, each with its NUL */
};

/* Asks over the connection at descriptor 0, and writes a struct podres_answer to out. arg: the question. */
void podres_run(int out, const void *arg);

/* One unary call without arguments over that connection (grpc.c): the message, in a buffer that lives as long as the process.
 * 0, or -errno with a's error and text. */
int grpc_call(const char *path, const void **message, size_t *len, struct podres_answer *a);

/* Picks the pod's devices out of a ListPodResourcesResponse. Sets all of a. */
void podres_decode(const void *message, size_t len, const struct podres_question *q, struct podres_answer *a);

/* Sets a's error and text; err. */
__attribute__((format(printf, 3, 4))) int podres_fail(struct podres_answer *a, int err, const char *fmt, ...);

#endif
