/* Where metrics are to be had.  Runs in: reader. */
#include "broker/conf_extra.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "netpriv/check.h"
#include "netpriv/util.h"

#define WANTED "must be \"unix:/path\", or an address of the loopback interface and a port, \"127.0.0.1:9100\" or \"[::1]:9100\": " \
	       "nothing is served to the network"

static bool
is_loopback(const char *ip, bool six)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (six)
		return inet_pton(AF_INET6, ip, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, ip, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool
read_port(const char *text, uint32_t *port)
{
	size_t len = strspn(text, "0123456789");

	*port = len > 0 && len <= 5 && text[len] == '\0' ? (uint32_t)strtoul(text, NULL, 10) : 0;
	return *port >= 1 && *port <= 65535;
}

int
conf_metrics(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	struct conf *c = r->c;
	char text[CONF_PATH], *port;
	bool six;

	if (confkey_string(r, k->name, v, text, sizeof(text)))
		return -1;
	if (!text[0])
		return 0;
	if (strncmp(text, "unix:", 5) == 0) {
		if (!check_abs_path(text + 5, CONF_PATH) || strlen(text + 5) > 100 || text[strlen(text) - 1] == '/')
			return confkey_refuse(r, k->name, "must be \"unix:\" and an absolute path of at most 100 bytes without '.' or '..'");
		return util_copy(c->metrics_socket, sizeof(c->metrics_socket), text + 5);
	}
	six = text[0] == '[';
	port = strrchr(text, ':');
	if (!port || port == text || (six && port[-1] != ']'))
		return confkey_refuse(r, k->name, WANTED);
	*port++ = '\0';
	if (six)
		port[-2] = '\0';
	if (!is_loopback(text + six, six) || !read_port(port, &c->metrics_port))
		return confkey_refuse(r, k->name, WANTED);
	return util_copy(c->metrics_ip, sizeof(c->metrics_ip), text + six);
}

int
conf_metrics_port(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	json_int_t port = json_integer_value(v);

	if (!json_is_integer(v) || port < 0 || port > 65535)
		return confkey_refuse(r, k->name, "must be a port: a number from 0 (off) to 65535");
	if (port == 0 || json_member(r->root, "metrics"))
		return 0;
	confkey_warn(r, k->name, "is served on 127.0.0.1 only; \"metrics\" says where", "");
	r->c->metrics_port = (uint32_t)port;
	return util_copy(r->c->metrics_ip, sizeof(r->c->metrics_ip), "127.0.0.1");
}

int
conf_metrics_pprof(struct confkey_reader *r, const struct confkey *k, const json_t *v)
{
	if (!json_is_boolean(v))
		return confkey_refuse(r, k->name, "must be true or false");
	if (json_is_true(v))
		confkey_warn(r, k->name, "has no effect: there are no profiles", "");
	return 0;
}
