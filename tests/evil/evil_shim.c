/* A hostile shim: evil_shim SOCKET. Sends every message type in every broken form through the front door, in the state
 * before ATTACH and in the state behind it. Prints "<cases> cases, <n> left open"; exit 1 when a connection stayed open. */
#include <sys/un.h>

#include "tests/evil/evil.h"

static int
connect_door(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	util_copy(sa.sun_path, sizeof(sa.sun_path), path);
	if (fd < 0 || connect(fd, (const void *)&sa, sizeof(sa)) < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

/* A real STATUS, so that the connection is behind ATTACH. */
static void
attach_really(int fd)
{
	static const char config[] = "{\"cniVersion\":\"1.1.0\",\"name\":\"evil\",\"type\":\"postern-shim\"}";
	struct wire w = WIRE_INIT(fd, ROLE_SHIM, ROLE_NETPRIV);
	struct msg_attach m = { .verb = CNI_STATUS };
	int memfd = util_sealed_memfd("config", config, sizeof(config) - 1);

	if (wire_send(&w, MSG_ATTACH, 0, &m, &memfd, 1) < 0)
		exit(2);
	close(memfd);
}

int
main(int argc, char **argv)
{
	unsigned cases = 0, open = 0;

	if (argc != 2)
		return 2;
	for (unsigned attached = 0; attached <= 1; attached++) {
		for (unsigned type = 0; type <= MSG_COUNT; type++) {
			for (unsigned how = 0; how < EVIL_COUNT; how++) {
				int fd = connect_door(argv[1]);

				if (attached)
					attach_really(fd);
				evil_send(fd, type, (enum evil)how);
				cases++;
				if (!evil_closed(fd, 3000)) {
					printf("open: attached %u, type %s, form %u\n", attached,
					       wire_name(type), how);
					open++;
				}
				close(fd);
			}
		}
	}
	printf("%u cases, %u left open\n", cases, open);
	return open != 0;
}
