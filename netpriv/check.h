/* Field checks: the one place that says which names may become part of a path, an environment or a netlink call.
 * Runs in: every process; netpriv and exec repeat them on whatever a peer sends.
 * Each returns true when s (NUL-terminated) is acceptable. */
#ifndef NETPRIV_CHECK_H
#define NETPRIV_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define CHECK_ID_MAX 128     /* longest container id accepted, bytes */
#define CHECK_IFNAME_MAX 15  /* IFNAMSIZ - 1 */

/* A wire string field: NUL-terminated within size and zero-filled behind the NUL. */
bool check_field(const char *field, size_t size);

/* CNI 1.1.0 container id: [A-Za-z0-9][A-Za-z0-9_.-]*, at most CHECK_ID_MAX. Also network names (max 200). */
bool check_container_id(const char *s);
bool check_network_name(const char *s);

/* Interface name, 1-15 bytes: no '/', ':', '%', white space or control byte, not "." or "..", not "lo"; each byte
 * printable ASCII or >= 0x80 in valid UTF-8.  CNI 1.1.0 and dev_valid_name() of the kernel. */
bool check_ifname(const char *s);

/* Plugin type: [a-z0-9][a-z0-9._-]{0,62} */
bool check_plugin(const char *s);

/* DNS-1123 label (namespace, at most 63) and subdomain (object name, at most 253; Kubernetes sets no limit to its parts). */
bool check_dns_label(const char *s);
bool check_dns_subdomain(const char *s);

/* Pod uid: [A-Za-z0-9-]{0,63}; also the hash form that static pods have. Empty is allowed. */
bool check_uid(const char *s);

/* Absolute path, at most size-1 bytes, no control bytes, no "." or ".." component, no "//". */
bool check_abs_path(const char *s, size_t size);

/* One file name: not empty, not "." or "..", no '/', no control bytes, at most 255. */
bool check_file_name(const char *s);

/* Visible ASCII only, no blanks: what may stand in a header of HTTP, in a URL, in a certificate's name. */
bool check_visible(const char *s);

/* MAC text (EUI-48/64 or 20 octets with ':' or '-' or dotted), and a comma list of addresses with optional prefix
 * length as it goes into CNI_ARGS (digits, hex, ". : / ,"). Empty is allowed. */
bool check_mac(const char *s);
bool check_ip_list(const char *s);

#endif
