/* Handing an API answer on to the worker that asked.  Runs in: kube. */
#ifndef KUBECLIENT_ANSWER_H
#define KUBECLIENT_ANSWER_H

#include "kubeclient/api.h"

/* As api_request's done: the body, an object or the server's Status, goes along as bytes. */
void answer_object(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len);

#endif
