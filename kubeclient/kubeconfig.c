/* Reading a kubeconfig.  Runs in: dial's throw-away child, under the readers' filter.  Trusts: nothing that it is given.
 * An error names the field and never what stands in it: that may be a secret. */
#include "kubeclient/kubeconfig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <strings.h>

#include "broker/json.h"
#include "netpriv/check.h"
#include "netpriv/role.h"
#include "netpriv/util.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* The field that names a file, the one that holds the bytes, and whether those are base64. */
static const struct part {
	const char *file, *data;
	bool base64;
} parts[PART_COUNT] = {
	[PART_CA] = { "certificate-authority", "certificate-authority-data", true },
	[PART_CERT] = { "client-certificate", "client-certificate-data", true },
	[PART_KEY] = { "client-key", "client-key-data", true },
	[PART_TOKEN] = { "tokenFile", "token", false },
};

static const struct refused {
	const char *field, *what;
} refused_cluster[] = {
	{ "insecure-skip-tls-verify", "is not done: give certificate-authority instead" },
	{ "proxy-url", "is not supported: Postern connects to the server itself; remove it" },
}, refused_user[] = {
	{ "exec", "is not supported: Postern runs no programs for credentials; use tokenFile or a client certificate" },
	{ "auth-provider", "is not supported: use tokenFile or a client certificate" },
	{ "username", "is not supported: the server takes no passwords; use tokenFile or a client certificate" },
	{ "password", "is not supported: the server takes no passwords; use tokenFile or a client certificate" },
	{ "as", "is not supported: give the identity its own credentials instead" },
	{ "as-uid", "is not supported: give the identity its own credentials instead" },
	{ "as-groups", "is not supported: give the identity its own credentials instead" },
	{ "as-user-extra", "is not supported: give the identity its own credentials instead" },
};

void
kubeconfig_init(void)
{
	json_object_seed(0);
}

const char *
kubeconfig_name(enum kubeconfig_part part)
{
	return parts[part].file;
}

static int
refuse(struct cnierr *e, const char *field, const char *what)
{
	return cnierr_set(e, CNI_ERR_CONFIG, "%s: %s", field, what);
}

/* Is something asked for, as opposed to null, "", false, [] and {}? */
static bool
is_set(const json_t *v)
{
	if (json_is_string(v))
		return json_string_length(v) > 0;
	if (json_is_array(v) || json_is_object(v))
		return json_array_size(v) + json_object_size(v) > 0;
	return v && !json_is_null(v) && !json_is_false(v);
}

static int
refuse_fields(const json_t *obj, const char *where, const struct refused *list, size_t n, struct cnierr *e)
{
	for (size_t i = 0; i < n; i++)
		if (is_set(json_member(obj, list[i].field))) {
			refuse(e, list[i].field, list[i].what);
			return cnierr_prefix(e, "%s", where);
		}
	return 0;
}

/* The object kind beneath the one entry of list that is called name. */
static const json_t *
find_named(const json_t *root, const char *list, const char *kind, const char *name, struct cnierr *e)
{
	const json_t *found = NULL;
	json_t *all = NULL, *entry;
	size_t i;

	if (json_member_array(root, list, "kubeconfig", &all, e))
		return NULL;
	json_array_foreach(all, i, entry) {
		const char *its = "";
		json_t *value = NULL;

		if (!json_is_object(entry)) {
			refuse(e, list, "must hold objects");
			return NULL;
		}
		if (json_member_string(entry, "name", list, &its, e))
			return NULL;
		if (strcmp(its, name) != 0)
			continue;
		if (found) {
			refuse(e, list, "two entries have the name that is asked for");
			return NULL;
		}
		if (json_member_object(entry, kind, list, &value, e))
			return NULL;
		found = value;
	}
	if (!found)
		cnierr_set(e, CNI_ERR_CONFIG, "%s: no entry with a \"%s\" has the name that is asked for", list, kind);
	return found;
}

/* A DNS name as certificates have it, or an address. */
static bool
is_host(const char *s)
{
	unsigned char address[16];

	if (strchr(s, ':'))
		return inet_pton(AF_INET6, s, address) == 1;
	return s[0] && s[0] != '-' && s[0] != '.' && !s[strspn(s, LETTERS "-._")];
}

/* host[:port] as in a URL. */
static int
read_authority(const char *s, size_t len, struct kubeconfig *k, struct cnierr *e)
{
	char text[300], *host = text, *port, *end;
	unsigned long n = 443;

	if (len >= sizeof(text))
		return refuse(e, "server", "the host is too long");
	memcpy(text, s, len);
	text[len] = '\0';
	if (text[0] == '[') {
		host++;
		port = host + strcspn(host, "]");
		if (*port != ']')
			return refuse(e, "server", "a bracket is not closed");
		*port++ = '\0';
		if (!strchr(host, ':'))
			return refuse(e, "server", "brackets must hold an IPv6 address");
	} else {
		port = text + strcspn(text, ":");
		if (strchr(port, ':') != strrchr(port, ':'))
			return refuse(e, "server", "an IPv6 address needs brackets, as in https://[::1]:6443");
	}
	if (*port) {
		if (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1) || strlen(port + 1) > 5)
			return refuse(e, "server", "the port must be a number");
		*port = '\0';
		n = port[1] ? strtoul(port + 1, &end, 10) : 0;
		if (n < 1 || n > 65535)
			return refuse(e, "server", "the port must be 1 to 65535");
	}
	if (!is_host(host) || util_copy(k->host, sizeof(k->host), host))
		return refuse(e, "server", "the host must be a DNS name or an address, and nothing beside it");
	k->port = (uint32_t)n;
	return 0;
}

static int
read_server(const char *url, struct kubeconfig *k, struct cnierr *e)
{
	const char *path;
	size_t len;

	if (!url || !url[0])
		return refuse(e, "server", "is missing");
	if (strncasecmp(url, "http://", 7) == 0)
		return refuse(e, "server", "http is refused: credentials go over https only");
	if (strncasecmp(url, "https://", 8) != 0)
		return refuse(e, "server", "must be a URL: https://host[:port][/prefix]");
	url += 8;
	path = url + strcspn(url, "/");
	if (path[strspn(path, LETTERS "-._~/:")] || strstr(path, "//") || strstr(path, "/.."))
		return refuse(e, "server", "the prefix must be a plain path: no query, fragment, escape or ..");
	for (len = strlen(path); len > 0 && path[len - 1] == '/'; len--)
		;
	if (len >= sizeof(k->prefix))
		return refuse(e, "server", "the prefix is too long");
	memcpy(k->prefix, path, len);
	return read_authority(url, (size_t)(path - url), k, e);
}

static int
read_data(const struct part *p, const char *text, struct kubeconfig_item *item, struct cnierr *e)
{
	size_t len = strlen(text);

	if (p->base64) {
		/* Line ends are passed over: block scalars bring them. */
		int n = b64_pton(text, (unsigned char *)item->data, sizeof(item->data));

		len = n > 0 ? (size_t)n : 0;
		if (!len || !memmem(item->data, len, "-----BEGIN", 10))
			return refuse(e, p->data, "must be base64 of PEM, at most 64 KiB");
	} else if (len > sizeof(item->data)) {
		return refuse(e, p->data, "is longer than 64 KiB");
	} else {
		memcpy(item->data, text, len);
	}
	item->len = (uint32_t)len;
	return 0;
}

static int
read_part(const json_t *obj, enum kubeconfig_part part, struct kubeconfig *k, struct cnierr *e)
{
	const struct part *p = &parts[part];
	struct kubeconfig_item *item = &k->items[part];
	const char *file = "", *data = "";

	if (json_member_string(obj, p->file, "kubeconfig", &file, e) ||
	    json_member_string(obj, p->data, "kubeconfig", &data, e))
		return -1;
	/* Of the two forms of a token, the file is the one that is kept up to date. */
	if (file[0] && data[0] && part != PART_TOKEN)
		return cnierr_set(e, CNI_ERR_CONFIG, "%s and %s: only one of them may be given", p->file, p->data);
	if (file[0])
		return util_copy(item->path, sizeof(item->path), file) ? refuse(e, p->file, "the path is too long") : 0;
	return data[0] ? read_data(p, data, item, e) : 0;
}

static bool
has(const struct kubeconfig *k, enum kubeconfig_part part)
{
	return k->items[part].path[0] || k->items[part].len;
}

static int
read_cluster(const json_t *cluster, struct kubeconfig *k, struct cnierr *e)
{
	const char *server = NULL, *name = "";

	if (refuse_fields(cluster, "clusters", refused_cluster, ARRAY_LEN(refused_cluster), e) ||
	    json_member_string(cluster, "server", "clusters", &server, e) || read_server(server, k, e) ||
	    json_member_string(cluster, "tls-server-name", "clusters", &name, e) ||
	    read_part(cluster, PART_CA, k, e))
		return -1;
	if (name[0] && (!is_host(name) || util_copy(k->tls_name, sizeof(k->tls_name), name)))
		return refuse(e, "tls-server-name", "must be a DNS name or an address");
	if (!has(k, PART_CA))
		return refuse(e, "certificate-authority", "is missing: Postern trusts no system roots");
	return 0;
}

static int
read_user(const json_t *user, struct kubeconfig *k, struct cnierr *e)
{
	if (refuse_fields(user, "users", refused_user, ARRAY_LEN(refused_user), e) || read_part(user, PART_CERT, k, e) ||
	    read_part(user, PART_KEY, k, e) || read_part(user, PART_TOKEN, k, e))
		return -1;
	if (has(k, PART_CERT) != has(k, PART_KEY))
		return refuse(e, has(k, PART_CERT) ? "client-key" : "client-certificate",
			      "is missing: certificate and key belong together");
	if (!has(k, PART_CERT) && !has(k, PART_TOKEN))
		return refuse(e, "users", "the user has neither tokenFile, token nor client-certificate");
	return 0;
}

static int
read_root(const json_t *root, struct kubeconfig *k, struct cnierr *e)
{
	const char *current = "", *cluster = "", *user = "";
	const json_t *context, *found;

	if (!json_is_object(root))
		return cnierr_set(e, CNI_ERR_CONFIG, "must be an object");
	if (json_member_string(root, "current-context", "kubeconfig", &current, e))
		return -1;
	if (!current[0])
		return refuse(e, "current-context", "is not set");
	context = find_named(root, "contexts", "context", current, e);
	if (!context || json_member_string(context, "cluster", "contexts", &cluster, e) ||
	    json_member_string(context, "user", "contexts", &user, e))
		return -1;
	found = find_named(root, "clusters", "cluster", cluster, e);
	if (!found || read_cluster(found, k, e))
		return -1;
	found = find_named(root, "users", "user", user, e);
	return found ? read_user(found, k, e) : -1;
}

void
kubeconfig_parse(const char *text, size_t len, struct kubeconfig *k)
{
	struct cnierr e = { 0 };
	cleanup_json json_t *root = json_read_yaml(text, len, "kubeconfig", &e);

	memset(k, 0, sizeof(*k));
	if (!root || read_root(root, k, &e)) {
		memset(k, 0, sizeof(*k));
		snprintf(k->error, sizeof(k->error), "%.*s", (int)sizeof(k->error) - 1, e.msg);
	}
}

int
kubeconfig_check(const struct kubeconfig *k)
{
	bool ok = check_field(k->error, sizeof(k->error)) && check_field(k->host, sizeof(k->host)) &&
		  check_field(k->prefix, sizeof(k->prefix)) && check_field(k->tls_name, sizeof(k->tls_name));

	for (unsigned i = 0; i < PART_COUNT && ok; i++)
		ok = check_field(k->items[i].path, CONF_PATH) && k->items[i].len <= KUBECONFIG_DATA;
	if (ok && !k->error[0])
		ok = is_host(k->host) && k->port >= 1 && k->port <= 65535 && (!k->prefix[0] || k->prefix[0] == '/') &&
		     (!k->tls_name[0] || is_host(k->tls_name));
	return ok ? 0 : -EPROTO;
}

int
kubeconfig_resolve(struct kubeconfig *k, const char *file)
{
	int dir = (int)(strrchr(file, '/') - file);

	for (unsigned i = 0; i < PART_COUNT; i++) {
		char *path = k->items[i].path, whole[2 * CONF_PATH];

		if (!path[0] || path[0] == '/')
			continue;
		snprintf(whole, sizeof(whole), "%.*s/%s", dir, file, path);
		if (util_copy(path, CONF_PATH, whole))
			return -ENAMETOOLONG;
	}
	return 0;
}
