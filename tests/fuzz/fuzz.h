/* What the harnesses share. A harness gives bytes of a stranger to one reader and ends itself when the reader breaks a promise:
 * what was accepted is well formed, what was refused is refused with a reason. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/delegate.h"

/* libFuzzer calls these. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define MUST(x) ((x) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #x))
__attribute__((noreturn)) void fuzz_broken(const char *file, int line, const char *promise);

/* ret 0: no error is set; -1: one is, with a code and one line of text. */
void fuzz_error(int ret, const struct cnierr *e);

/* Text of size bytes of data, malloc'd; NUL bytes are left out. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Cuts text at its first line "---": what is behind that line, or NULL. */
char *fuzz_cut(char *text);

/* Decodes %XX in place; returns the length. */
size_t fuzz_unescape(char *text);

/* A list that was accepted for a pod: fields are well formed, interfaces differ, and the journal gives back what it was given.
 * named: false where there are no interfaces (GC, STATUS). */
void fuzz_list(const struct delegate_list *l, bool named);

/* Builds the networks of pod test/p on a node with no configuration but one cluster network, and checks them as above. src->ctx etc.
 * are the harness's; networks and deflt are the annotations, NULL = none. Returns as delegates_build(). */
int fuzz_build(const struct delegate_source *src, const char *networks, const char *deflt, struct delegate_list *l);

#endif
