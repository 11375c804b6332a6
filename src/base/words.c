/* SPDX-License-Identifier: MIT */
/* words -- mechanism; the contract is in words.h. */
#include "base/words.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 35)
#define KNOWS_OBJECTS 1
#endif
#endif

enum { DECIMALS_MAX = 20, HEX_MAX = 16 };

void wi_words_say(struct wi_words *words, const char *text)
{
    while (*text != 0 && words->used < WI_WORDS_LINE - 1)
        words->text[words->used++] = *text++;
}

void wi_words_plain(struct wi_words *words, const char *text)
{
    for (; *text != 0; text++) {
        char byte[2] = {*text};
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            byte[0] = '?';
        wi_words_say(words, byte);
    }
}

static void say_digits(struct wi_words *words, uint64_t number, unsigned base)
{
    char digits[DECIMALS_MAX + 1];
    char *at = &digits[DECIMALS_MAX];
    *at = 0;
    do {
        *--at = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    wi_words_say(words, at);
}

void wi_words_number(struct wi_words *words, uint64_t number)
{
    say_digits(words, number, 10);
}

static void say_hex(struct wi_words *words, uintptr_t number)
{
    wi_words_say(words, "0x");
    say_digits(words, number, 16);
}

/* The loader's own search for unwinders: no lock, no allocation, and allowed in signal handlers.
 * dladdr(3) takes the loader's lock. */
static const struct link_map *object_of(const void *address)
{
#if defined(KNOWS_OBJECTS)
    struct dl_find_object found;
    void *at = (void *)(uintptr_t)address; // NOLINT: nobody writes there
    return _dl_find_object(at, &found) == 0 ? found.dlfo_link_map : NULL;
#else
    (void)address;
    return NULL;
#endif
}

void wi_words_place(struct wi_words *words, const void *address)
{
    const struct link_map *object = object_of(address);
    uintptr_t at = (uintptr_t)address;
    if (object != NULL) {
        const char *path = object->l_name;
        wi_words_say(words, path != NULL && path[0] != 0 ? path : program_invocation_name);
        wi_words_say(words, "+");
        at -= object->l_addr;
    }
    say_hex(words, at);
}

void wi_words_end(struct wi_words *words)
{
    const char *at = words->text;
    words->text[words->used++] = '\n';
    while (words->used > 0) {
        ssize_t n = write(STDERR_FILENO, at, words->used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        words->used -= (size_t)n;
    }
    words->used = 0;
}
