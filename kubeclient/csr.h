/* A certificate of our own from the cluster (perNodeCertificate): asked for with the bootstrap credentials, renewed with itself
 * before it expires. The key is made here and never leaves the process.
 * Runs in: kube.  Trusts: the cluster's signer; its answers are no tenant's to write.
 * Source: Kubernetes certificates.k8s.io/v1, signer kubernetes.io/kube-apiserver-client. */
#ifndef KUBECLIENT_CSR_H
#define KUBECLIENT_CSR_H

#include <stdint.h>

#include "netpriv/conf.h"

void csr_init(const struct conf *conf);

/* What is due; *due: when to come again. Nothing without perNodeCertificate. */
void csr_step(void);
void csr_due(int64_t *due);

/* The certificate is no longer accepted: begin anew with the bootstrap credentials. */
void csr_lost(void);

#endif
