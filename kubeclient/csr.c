/* A certificate of our own from the cluster.
 * Runs in: kube.  Trusts: the cluster's signer. */
#include "kubeclient/csr.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kubeclient/api.h"
#include "kubeclient/identity.h"
#include "kubeclient/link.h"
#include "netpriv/check.h"
#include "netpriv/log.h"
#include "netpriv/util.h"

#define PATH "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define GROUP_NAME "system:multus" /* whom approvers and role bindings for multi-network agents know */
#define POLL_MS 1000
#define REQUEST_MS 30000
#define PATIENCE_MS 900000 /* for an approval; then a new request, with a new key */
#define AGAIN_MS 2000	   /* after a failure, doubling */
#define AGAIN_MAX 64000

enum phase { PHASE_IDLE, PHASE_ASKING, PHASE_WAITING };

static struct {
	const struct conf *conf;
	enum phase phase;
	EVP_PKEY *key; /* of the request under way */
	char name[256]; /* its object */
	uint64_t round;	/* whose answers count: csr_lost() begins a new one while a request is under way */
	int64_t due, patience, again;
	time_t expires; /* of the certificate in use; 0: none */
} csr = { .due = INT64_MAX };

static void read_answer(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len);

void
csr_init(const struct conf *conf)
{
	csr.conf = conf;
	csr.again = AGAIN_MS;
	if (!conf->node_cert)
		return;
	if (!conf->node_name[0])
		log_fatal("perNodeCertificate: the node's name is not known: set \"nodeName\" or the environment's NODE_NAME");
	csr.due = 0;
}

void
csr_due(int64_t *due)
{
	if (csr.due < *due)
		*due = csr.due;
}

static void
begin_later(const char *why)
{
	log_warn("certificate of this node: %s; next try in %lld s", why, (long long)(csr.again / 1000));
	/* What has expired buys no other: back to the bootstrap credentials. */
	if (csr.expires && time(NULL) >= csr.expires) {
		csr.expires = 0;
		identity_forget();
	}
	EVP_PKEY_free(csr.key);
	csr.key = NULL;
	csr.phase = PHASE_IDLE;
	csr.due = util_now_ms() + csr.again;
	csr.again = csr.again * 2 < AGAIN_MAX ? csr.again * 2 : AGAIN_MAX;
}

void
csr_lost(void)
{
	if (!csr.conf->node_cert || !identity_forget())
		return;
	log_warn("certificate of this node: the API server does not accept it any more");
	csr.round++;
	csr.phase = PHASE_IDLE;
	csr.due = util_now_ms();
}

/* What a memory BIO holds, malloc'd. */
static char *
take_text(BIO *b, size_t *len)
{
	char *data, *copy;
	long n = b ? BIO_get_mem_data(b, &data) : 0;

	copy = n > 0 ? strndup(data, (size_t)n) : NULL;
	*len = copy ? (size_t)n : 0;
	BIO_free(b);
	return copy;
}

/* The request for csr.key, PEM; NULL when OpenSSL would not. */
static char *
make_request(size_t *len)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	BIO *out = BIO_new(BIO_s_mem());
	char cn[320];
	bool ok;

	snprintf(cn, sizeof(cn), GROUP_NAME ":%s", csr.conf->node_name);
	ok = req && name && out && csr.key &&
	     X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)GROUP_NAME, -1, -1, 0) &&
	     X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) &&
	     X509_REQ_set_subject_name(req, name) && X509_REQ_set_pubkey(req, csr.key) &&
	     X509_REQ_sign(req, csr.key, EVP_sha256()) && PEM_write_bio_X509_REQ(out, req);
	X509_NAME_free(name);
	X509_REQ_free(req);
	if (ok)
		return take_text(out, len);
	BIO_free(out);
	return NULL;
}

static char *
make_body(void)
{
	size_t len = 0;
	cleanup_free char *pem = make_request(&len);
	cleanup_free char *text = pem ? malloc((len + 2) / 3 * 4 + 1) : NULL;
	json_t *j;
	char *body;

	if (!text)
		return NULL;
	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pem, (int)len);
	j = json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:[s,s], s:i}}", "apiVersion", "certificates.k8s.io/v1", "kind",
		      "CertificateSigningRequest", "metadata", "generateName", "csr-", "spec", "request", text, "signerName",
		      "kubernetes.io/kube-apiserver-client", "usages", "digital signature", "client auth", "expirationSeconds",
		      (int)csr.conf->node_cert_s);
	body = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	return body;
}

static void
request(const char *verb, const char *method, const char *path, char *body)
{
	struct api_request q = { .verb = verb, .resource = "certificatesigningrequests", .group = "certificates.k8s.io",
				 .method = method, .accept = API_JSON, .type = body ? API_JSON : NULL, .body = body,
				 .len = body ? strlen(body) : 0, .bootstrap = true, .urgent = true, .deadline = util_now_ms() + REQUEST_MS,
				 .done = read_answer, .mark = csr.round };

	snprintf(q.path, sizeof(q.path), "%s", path);
	csr.due = INT64_MAX; /* until it is answered */
	if (api_start(&q) < 0)
		begin_later("too many requests are under way");
}

static void
ask(void)
{
	char *body;

	EVP_PKEY_free(csr.key);
	csr.key = EVP_EC_gen("P-256");
	body = make_body();
	csr.phase = PHASE_ASKING;
	csr.patience = util_now_ms() + PATIENCE_MS;
	if (body)
		request("create", "POST", PATH, body);
	else
		begin_later("no key could be made");
}

static void
look(void)
{
	char path[sizeof(PATH) + sizeof(csr.name) + 1];

	snprintf(path, sizeof(path), PATH "/%s", csr.name);
	request("get", "GET", path, NULL);
}

void
csr_step(void)
{
	if (csr.due > util_now_ms())
		return;
	if (csr.phase == PHASE_WAITING)
		look();
	else
		ask();
}

/* Has the condition been set? */
static bool
has_condition(const json_t *object, const char *type)
{
	json_t *c, *all = json_object_get(json_object_get(object, "status"), "conditions");
	size_t i;

	json_array_foreach(all, i, c) {
		const char *is = json_string_value(json_object_get(c, "type"));
		const char *status = json_string_value(json_object_get(c, "status"));

		if (is && strcmp(is, type) == 0 && (!status || strcmp(status, "True") == 0))
			return true;
	}
	return false;
}

/* The certificate's PEM out of status.certificate; malloc'd, NULL when it is not there (yet). */
static char *
read_certificate(const json_t *object, size_t *len)
{
	json_t *field = json_object_get(json_object_get(object, "status"), "certificate");
	size_t n = json_string_length(field);
	char *pem = n > 0 && n <= SERVER_ITEM_MAX ? calloc(1, n + 1) : NULL;
	int got = pem ? EVP_DecodeBlock((unsigned char *)pem, (const unsigned char *)json_string_value(field), (int)n) : -1;

	if (got <= 0) {
		free(pem);
		return NULL;
	}
	*len = strnlen(pem, (size_t)got); /* padding decodes to NULs */
	return pem;
}

/* Milliseconds until three quarters of its life are over, a little more or less; *expires: when all of it is. -1: no certificate, or an
 * expired one. */
static int64_t
renew_in(const char *pem, size_t len, time_t *expires)
{
	BIO *b = BIO_new_mem_buf(pem, (int)len);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	struct tm from = { 0 }, to = { 0 };
	int64_t begin, end, now = time(NULL);

	BIO_free(b);
	if (!x || !ASN1_TIME_to_tm(X509_get0_notBefore(x), &from) || !ASN1_TIME_to_tm(X509_get0_notAfter(x), &to)) {
		X509_free(x);
		return -1;
	}
	X509_free(x);
	begin = timegm(&from);
	end = timegm(&to);
	if (end <= now)
		return -1;
	*expires = (time_t)end;
	end = begin + (end - begin) * (180 + link_dice() / 5) / 256;
	return end > now ? (end - now) * 1000 : 1000;
}

static void
use_certificate(const char *pem, size_t len)
{
	BIO *out = BIO_new(BIO_s_mem());
	size_t key_len = 0;
	char why[WIRE_TEXT];
	time_t expires = 0;
	int64_t ms = renew_in(pem, len, &expires);
	char *key = NULL;

	if (out && PEM_write_bio_PrivateKey(out, csr.key, NULL, NULL, 0, NULL, NULL))
		key = take_text(out, &key_len);
	else
		BIO_free(out);
	if (ms < 0 || !key || identity_set(pem, len, key, key_len, why, sizeof(why)) < 0) {
		begin_later(ms < 0 ? "what was signed is not a valid certificate" : !key ? "out of memory" : why);
	} else {
		log_info("certificate of this node: issued, renewed in %lld s", (long long)(ms / 1000));
		csr.phase = PHASE_IDLE;
		csr.again = AGAIN_MS;
		csr.expires = expires;
		csr.due = util_now_ms() + ms;
	}
	if (key)
		explicit_bzero(key, key_len);
	free(key);
}

static void
read_object(const json_t *object)
{
	const char *name = json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
	size_t len = 0;
	cleanup_free char *pem = NULL;

	if (!name || !check_dns_subdomain(name) || util_copy(csr.name, sizeof(csr.name), name)) {
		begin_later("the answer names no request");
		return;
	}
	if (has_condition(object, "Denied") || has_condition(object, "Failed")) {
		begin_later("the request was denied or failed");
		return;
	}
	pem = has_condition(object, "Approved") ? read_certificate(object, &len) : NULL;
	if (pem) {
		use_certificate(pem, len);
	} else if (util_now_ms() > csr.patience) {
		begin_later("nobody approved the request");
	} else {
		csr.phase = PHASE_WAITING;
		csr.due = util_now_ms() + POLL_MS;
	}
}

static void
read_answer(const struct api_request *q, unsigned code, const char *text, const char *body, size_t len)
{
	json_error_t error;
	json_t *object;

	if (q->mark != csr.round)
		return;
	/* The request is still there, whatever else is not: an approval of it is not to be lost. */
	if (csr.phase == PHASE_WAITING && (code == 429 || code >= 500) && util_now_ms() < csr.patience) {
		csr.due = util_now_ms() + AGAIN_MS;
		return;
	}
	if (code != 200 && code != 201) {
		begin_later(text);
		return;
	}
	object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (object)
		read_object(object);
	else
		begin_later("the answer is not JSON");
	json_decref(object);
}
