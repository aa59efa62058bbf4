/* One HTTP/2 connection to servers that break the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/h2client.h"

/* Hostile frames. */

static void
test_broken_frames(void **state)
{
	static const struct {
		uint8_t type, flags;
		int32_t id;
		size_t len;
		const char *payload;
	} rows[] = {
		{ NGHTTP2_DATA, 0, 0, 1, "x" },
		{ NGHTTP2_DATA, 0, 99, 1, "x" },
		{ NGHTTP2_HEADERS, 4, 2, 1, "\x88" },
		{ NGHTTP2_HEADERS, 4, 1, 1, "\xff" },
		{ NGHTTP2_SETTINGS, 0, 0, 5, "12345" },
		{ NGHTTP2_PUSH_PROMISE, 4, 1, 5, "\0\0\0\2\x88" },
		{ NGHTTP2_CONTINUATION, 4, 1, 1, "\x88" },
		{ NGHTTP2_WINDOW_UPDATE, 0, 0, 4, "\x7f\xff\xff\xff" },
		{ NGHTTP2_WINDOW_UPDATE, 0, 0, 4, "\0\0\0\0" },
		{ NGHTTP2_RST_STREAM, 0, 0, 4, "\0\0\0\0" },
		{ NGHTTP2_PING, 0, 0, 1, "x" },
		{ NGHTTP2_GOAWAY, 0, 3, 8, "12345678" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		client_rc = 0;
		memset(why, 0, sizeof(why));
		memset(ended, 0, sizeof(ended));
		ready();
		send_get(0);
		UNTIL(server.requests == 1);
		say_frame(&server, rows[i].type, rows[i].flags, rows[i].id, rows[i].payload, rows[i].len);
		expect_over(-EPROTO, "it breaks the rules of HTTP/2 (");
		h2_free(client);
		client = NULL;
		assert_int_equal(ended[0].times, 1);
		assert_int_equal(ended[0].a.error, -ECONNRESET);
		stop_server(&server);
	}
}

static void
test_wrong_length(void **state)
{
	(void)state;
	ready();
	for (unsigned i = 0; i < 2; i++) {
		send_get(i);
		UNTIL(server.requests == i + 1);
		respond(&server, ended[i].id, "200", "content-length", i ? "4" : "6", "hello", 5);
		expect_end(i, -EPROTO);
	}
	expect_still_good();
}

static void
flood(uint8_t type, uint8_t flags, const char *payload, size_t len)
{
	ready();
	send_get(0);
	UNTIL(server.requests == 1);
	if (type == NGHTTP2_DATA)
		say_frame(&server, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, ended[0].id, "\x88", 1);
	for (unsigned i = 0; i < 100000; i++)
		say_frame(&server, type, flags, type == NGHTTP2_DATA || type == NGHTTP2_HEADERS ? ended[0].id : 0, payload, len);
	UNTIL(client_rc < 0 || ended[0].times);
}

static void
test_empty_data_flood(void **state)
{
	(void)state;
	flood(NGHTTP2_DATA, 0, "", 0);
	expect_over(-EPROTO, "carry nothing");
}

/* All of it padding. */
static void
test_padded_data_flood(void **state)
{
	static const char padding[256] = "\xff";

	(void)state;
	flood(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, padding, sizeof(padding));
	expect_over(-EPROTO, "carry nothing");
}

static void
test_ping_flood(void **state)
{
	(void)state;
	flood(NGHTTP2_PING, 0, "12345678", 8);
	expect_over(-EPROTO, "");
}

static void
test_settings_flood(void **state)
{
	(void)state;
	flood(NGHTTP2_SETTINGS, 0, "", 0);
	expect_over(-EPROTO, "");
}

/* Types of frame that nobody knows are to be ignored, and cost nothing. */
static void
test_unknown_flood(void **state)
{
	(void)state;
	static const char long_payload[16384];

	ready();
	for (unsigned i = 0; i < 2000; i++)
		say_frame(&server, 0x77, 0xff, (int32_t)i, long_payload, i % 2 ? sizeof(long_payload) : 0);
	expect_still_good();
}

/* 100 Continue without end. */
static void
test_interim_flood(void **state)
{
	(void)state;
	flood(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, "\x08\x03" "100", 5);
	assert_int_equal(ended[0].times, 1);
	assert_int_equal(ended[0].a.error, -EPROTO);
	expect_over(-EPROTO, "");
}

static void
test_continuation_flood(void **state)
{
	static const char field_bytes[] = "\0\1a\1b";

	(void)state;
	ready();
	send_get(0);
	UNTIL(server.requests == 1);
	say_frame(&server, NGHTTP2_HEADERS, 0, ended[0].id, "\x88", 1);
	for (unsigned i = 0; i < 100000; i++)
		say_frame(&server, NGHTTP2_CONTINUATION, 0, ended[0].id, field_bytes, i % 2 ? 5 : 0);
	UNTIL(client_rc < 0);
	assert_int_equal(client_rc, -EPROTO);
}

/* Many fields, one long field, and one long field of which the compression makes very many. */
static void
expect_header_refused(const char *head, size_t head_len, size_t value_len, size_t repeat, const char *again, size_t again_len)
{
	static char block[16000];
	size_t len = head_len;

	assert_true(head_len + value_len + repeat * again_len <= sizeof(block));
	memcpy(block, head, head_len);
	memset(block + len, 'v', value_len);
	len += value_len;
	for (size_t i = 0; i < repeat; i++, len += again_len)
		memcpy(block + len, again, again_len);
	ready();
	send_get(0);
	UNTIL(server.requests == 1);
	say_frame(&server, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, ended[0].id, block, len);
	expect_end(0, -EPROTO);
	assert_int_equal(client_rc, 0);
}

static void
test_many_fields(void **state)
{
	(void)state;
	expect_header_refused("\x88", 1, 0, 200, "\0\1a\1b", 5);
}

static void
test_long_field(void **state)
{
	(void)state;
	/* 15700 = 127 + 15573, in the integers of HPACK; with what each counts more it is over 16 KiB. */
	expect_header_refused("\x88\0\1a\x7f\xd5\x79", 7, 15700, 20, "\0\1a\1b", 5);
}

static void
test_header_bomb(void **state)
{
	(void)state;
	/* 3000 = 127 + 2873, kept; then itself again and again. */
	expect_header_refused("\x88\x40\1a\x7f\xb9\x16", 7, 3000, 10000, "\xbe", 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(broken_frames), TEST(wrong_length), TEST(empty_data_flood), TEST(padded_data_flood),
		TEST(ping_flood), TEST(settings_flood), TEST(unknown_flood), TEST(interim_flood),
		TEST(continuation_flood), TEST(many_fields), TEST(long_field), TEST(header_bomb),
	};

	return cmocka_run_group_tests(tests, make_ids, free_ids);
}
