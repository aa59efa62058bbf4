/* podres.c: what is read of a kubelet's list of pods. Messages are written by hand, a length in front of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kubeclient/podres.h"
#include "netpriv/util.h"

static const struct podres_question question = { "ns", "pod", "a/b" };

#define NAME "\x0a\x03pod"
#define NS "\x12\x02ns"
#define RESOURCE "\x0a\x03" "a/b"

static void
test_messages(void **state)
{
#define ROW(id, text, want, err, why) { id, text, sizeof(text) - 1, want, sizeof(want) - 1, err, why }
	static const struct {
		const char *id, *message;
		size_t len;
		const char *want;
		size_t want_len;
		int err;
		const char *why;
	} rows[] = {
		ROW("empty", "", "", 0, ""),
		ROW("one", "\x0a\x17" NAME NS "\x1a\x0c\x12\x0a" RESOURCE "\x12\x03" "id0", "id0\0", 0, ""),
		ROW("backwards", "\x0a\x17" "\x1a\x0c\x12\x0a" "\x12\x03" "id0" RESOURCE NS NAME, "id0\0", 0, ""),
		ROW("two containers", "\x0a\x21" NAME NS "\x1a\x0b\x12\x09" RESOURCE "\x12\x02" "id" "\x1a\x09\x12\x07" RESOURCE "\x12\x00",
		    "id\0\0", 0, ""),
		ROW("other resource", "\x0a\x17" NAME NS "\x1a\x0c\x12\x0a" "\x0a\x03" "a/c" "\x12\x03" "id0", "", 0, ""),
		ROW("prefix", "\x0a\x16" NAME NS "\x1a\x0b\x12\x09" "\x0a\x02" "a/" "\x12\x03" "id0", "", 0, ""),
		ROW("other pod", "\x0a\x17" "\x0a\x03" "pox" NS "\x1a\x0c\x12\x0a" RESOURCE "\x12\x03" "id0", "", 0, ""),
		ROW("other namespace", "\x0a\x17" NAME "\x12\x02" "nx" "\x1a\x0c\x12\x0a" RESOURCE "\x12\x03" "id0", "", 0, ""),
		ROW("last counts", "\x0a\x1c" NAME NS "\x0a\x03" "pox" "\x1a\x0c\x12\x0a" RESOURCE "\x12\x03" "id0", "", 0, ""),
		ROW("unknown fields", "\x0a\x1b" NAME "\x20\x7f" NS "\x1a\x0e\x18\x05\x12\x0a" RESOURCE "\x12\x03" "id0" "\x10\x01", "id0\0", 0, ""),
		ROW("cut", "\x0a\x17" NAME NS "\x1a\x0c\x12\x0a" RESOURCE "\x12\x03" "id", "", -EPROTO, "malformed"),
		ROW("too long inside", "\x0a\x17" NAME NS "\x1a\x0c\x12\x7f" RESOURCE "\x12\x03" "id0", "", -EPROTO, "malformed"),
		ROW("number", "\x08\x01", "", -EPROTO, "malformed"),
		ROW("nul", "\x0a\x17" NAME NS "\x1a\x0c\x12\x0a" RESOURCE "\x12\x03" "i\0d", "", -EPROTO, "holds a NUL"),
	};
	static struct podres_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		memset(&a, 0xff, sizeof(a));
		podres_decode(rows[i].message, rows[i].len, &question, &a);
		if (a.error != rows[i].err || a.len != rows[i].want_len || memcmp(a.ids, rows[i].want, a.len) != 0 ||
		    !strstr(a.text, rows[i].why))
			fail_msg("%s: %d \"%s\", %u bytes \"%.*s\"", rows[i].id, a.error, a.text, a.len, (int)a.len, a.ids);
	}
}

/* What would not fit is an error, never a part. */
static void
test_room(void **state)
{
	static char message[4 * PODRES_IDS] = "\x0a";
	static struct podres_answer a;
	const size_t head = 64, id = 100;
	size_t n = 0;

	(void)state;
	for (size_t count = 1; count < 200; count++) {
		char *p = message + head;
		uint32_t lengths[3];

		memcpy(p, RESOURCE, 5);
		p += 5;
		for (size_t i = 0; i < count; i++, p += 2 + id) {
			p[0] = 0x12;
			p[1] = (char)id;
			memset(p + 2, 'x', id);
		}
		/* Five-byte lengths keep the places: pod, container, devices. */
		lengths[2] = (uint32_t)(p - message - head);
		lengths[1] = lengths[2] + 6;
		lengths[0] = lengths[1] + 6 + 9;
		n = head - 3 * 6 - 9;
		for (size_t k = 0; k < 3; k++) {
			message[n++] = (char)(k == 0 ? 0x0a : k == 1 ? 0x1a : 0x12);
			for (size_t b = 0; b < 5; b++)
				message[n++] = (char)((lengths[k] >> (7 * b) & 0x7f) | (b < 4 ? 0x80 : 0));
			if (k == 0) {
				memcpy(message + n, NAME NS, 9);
				n += 9;
			}
		}
		podres_decode(message + head - 27, (size_t)(p - message) - head + 27, &question, &a);
		if (count * (id + 1) <= PODRES_IDS)
			assert_true(a.error == 0 && a.len == count * (id + 1));
		else
			assert_true(a.error == -E2BIG && a.len == 0 && strstr(a.text, "more than 16384 bytes"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_messages), cmocka_unit_test(test_room) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
