/* Which of the pod's devices each of its networks gets.
 * Runs in: worker. */
#ifndef BROKER_DEVICES_H
#define BROKER_DEVICES_H

#include "broker/delegate.h"

/* Gives each network of l that needs a device of a resource the next one of those that the pod has, in the order of the list, none
 * twice and none of used ([[resource, device]], NULL = none); and each with a device the file where its plugin finds what is known of it.
 * pod: NULL when it is not known. 0, or -1 with e. */
int devices_allocate(const struct conf *conf, const struct wire_target *target, const struct pod *pod, const struct delegate_source *src,
		     const json_t *used, struct delegate_list *l, struct cnierr *e);

/* Sorted, none twice. Not strings, or not names that can be a device's: -1 with e. */
int devices_sort(json_t *ids, struct cnierr *e);

/* The devices of that resource that the pod has by the kubelet's list in a checkpoint file. New array or NULL with e. */
json_t *devices_checkpoint(const json_t *file, const char *pod_uid, const char *resource, struct cnierr *e);

/* Adds to ids the devices of that resource in the pod's ResourceClaims (dra.c). What is wrong with one of them goes into why. */
void dra_devices(const struct pod *pod, const char *resource, json_t *ids, struct cnierr *why);

/* Around a network's ADD and DEL: what is known of its device is copied to where its plugin looks for it; read back, for the
 * network-status, into d; removed. Nothing where d has no device. 0, or -1 with e. */
int devices_info_copy(const struct delegate *d, struct cnierr *e);
void devices_info_read(struct delegate *d);
int devices_info_remove(const struct delegate *d, struct cnierr *e);

#endif
