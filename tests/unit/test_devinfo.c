/* devinfo.c: whatever is asked for, a file of that container beneath the held directories is meant, or none. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "kubeclient/devinfo.h"
#include "netpriv/util.h"

static char top[] = "/tmp/ptn-devinfo-XXXXXX";
static int info, cni;

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	info = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(info, "dp", 0755) || mkdirat(info, "cni", 0755))
		return -1;
	cni = openat(info, "cni", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cni < 0;
}

static int
tear_down(void **state)
{
	char command[64];

	(void)state;
	close(info);
	close(cni);
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

static void
write_file(const char *path, const char *text)
{
	cleanup_close int fd = openat(info, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(util_write_all(fd, text, strlen(text)), 0);
}

static int
serve(unsigned op, const char *device, const char *network, char text[64])
{
	struct msg_devinfo m = { .op = op, .resource = "example.com/nic", .ifname = "net1" };
	struct msg_devices_reply r = { 0 };
	cleanup_close int memfd = -1;
	ssize_t n;

	util_copy(m.device, sizeof(m.device), device);
	util_copy(m.network, sizeof(m.network), network);
	devinfo_serve(info, cni, "c1", &m, &r, &memfd);
	assert_true(r.error == 0 || r.text[0]);
	if (text) {
		n = memfd < 0 ? 0 : pread(memfd, text, 63, 0);
		text[n < 0 ? 0 : n] = '\0';
	}
	return r.error;
}

static void
test_life(void **state)
{
	struct stat st;
	char text[64];

	(void)state;
	write_file("dp/example.com-nic-0000:00:00.1-device.json", "{\"a\":1}");
	assert_int_equal(serve(DEVINFO_READ, "", "ns/net", text), -ENOENT);
	assert_int_equal(serve(DEVINFO_COPY, "0000:00:00.2", "ns/net", NULL), -ENOENT);
	assert_int_equal(serve(DEVINFO_COPY, "0000:00:00.1", "ns/net", NULL), 0);
	assert_int_equal(fstatat(cni, "ns-net-c1_net1", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(serve(DEVINFO_READ, "", "ns/net", text), 0);
	assert_string_equal(text, "{\"a\":1}");
	/* An earlier try of the same container, and one that was cut off. */
	write_file("dp/example.com-nic-0000:00:00.1-device.json", "{\"b\":2}");
	write_file("cni/.postern-new", "half");
	assert_int_equal(serve(DEVINFO_COPY, "0000:00:00.1", "ns/net", NULL), 0);
	assert_int_equal(serve(DEVINFO_READ, "", "ns/net", text), 0);
	assert_string_equal(text, "{\"b\":2}");
	assert_int_equal(faccessat(cni, ".postern-new", F_OK, 0), -1);
	assert_int_equal(serve(DEVINFO_REMOVE, "", "ns/net", NULL), 0);
	assert_int_equal(serve(DEVINFO_READ, "", "ns/net", text), -ENOENT);
	assert_int_equal(serve(DEVINFO_REMOVE, "", "ns/net", NULL), 0);
}

/* Slashes become dashes: no name is a path. */
static void
test_names(void **state)
{
	char name[300], text[64];

	(void)state;
	write_file("secret", "secret");
	write_file("dp/example.com-nic-..-..-secret-device.json", "mine");
	assert_int_equal(serve(DEVINFO_COPY, "../../secret", "../../x", NULL), 0);
	assert_int_equal(faccessat(cni, "..-..-x-c1_net1", F_OK, 0), 0);
	assert_int_equal(serve(DEVINFO_READ, "", "../../x", text), 0);
	assert_string_equal(text, "mine");
	assert_int_equal(serve(DEVINFO_REMOVE, "", "../../x", NULL), 0);
	memset(name, 'x', sizeof(name));
	name[250] = '\0';
	assert_int_equal(serve(DEVINFO_COPY, name, "n", NULL), -ENAMETOOLONG);
	assert_int_equal(serve(DEVINFO_READ, "", name, text), -ENAMETOOLONG);
}

static void
test_odd_files(void **state)
{
	char text[64];

	(void)state;
	write_file("secret", "secret");
	assert_int_equal(symlinkat("../secret", info, "dp/example.com-nic-link-device.json"), 0);
	assert_int_equal(serve(DEVINFO_COPY, "link", "n", NULL), -ELOOP);
	assert_int_equal(symlinkat("../secret", cni, "n-c1_net1"), 0);
	assert_int_equal(serve(DEVINFO_READ, "", "n", text), -ELOOP);
	/* Replaced, not written through. */
	write_file("dp/example.com-nic-d-device.json", "d");
	assert_int_equal(serve(DEVINFO_COPY, "d", "n", NULL), 0);
	assert_int_equal(serve(DEVINFO_READ, "", "n", text), 0);
	assert_string_equal(text, "d");
	assert_int_equal(mkfifoat(info, "dp/example.com-nic-fifo-device.json", 0600), 0);
	assert_int_equal(serve(DEVINFO_COPY, "fifo", "n", NULL), -EINVAL);
	write_file("dp/example.com-nic-empty-device.json", "");
	assert_int_equal(serve(DEVINFO_COPY, "empty", "n", NULL), 0);
	assert_int_equal(serve(DEVINFO_READ, "", "n", text), 0);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_life), cmocka_unit_test(test_names), cmocka_unit_test(test_odd_files) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
