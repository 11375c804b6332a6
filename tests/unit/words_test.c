/* SPDX-License-Identifier: MIT */
/* Last words: what they look like, and that they fit. */
#include "base/words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "support/child.h"

static const char *so_far(struct wi_words *words)
{
    words->text[words->used] = 0;
    return words->text;
}

CASE(words_are_texts_and_numbers)
{
    struct wi_words words = {.used = 0};
    wi_words_say(&words, "a ");
    wi_words_number(&words, 0);
    wi_words_say(&words, " ");
    wi_words_number(&words, UINT64_MAX);
    CHECK_STR_EQ(so_far(&words), "a 0 18446744073709551615");
}

CASE(words_of_others_are_fit_for_a_terminal)
{
    struct wi_words words = {.used = 0};
    wi_words_plain(&words, "x\x1b[2J\ny\x7fz\xc3\xa4");
    CHECK_STR_EQ(so_far(&words), "x?[2J?y?z\xc3\xa4");
}

CASE(words_name_the_object_of_an_address)
{
    struct wi_words words = {.used = 0};
    wi_words_place(&words, (const void *)(uintptr_t)so_far); // NOLINT
    CHECK(strstr(so_far(&words), "words+0x") != NULL);
    words.used = 0;
    wi_words_place(&words, (const void *)16); // NOLINT
    CHECK_STR_EQ(so_far(&words), "0x10");
}

static void say_two_lines(void *arg)
{
    struct wi_words words = {.used = 0};
    (void)arg;
    wi_words_say(&words, "first");
    wi_words_end(&words);
    for (int i = 0; i < 2 * WI_WORDS_LINE; i++)
        wi_words_say(&words, "x");
    wi_words_end(&words);
    wi_words_say(&words, "last");
    wi_words_end(&words);
}

CASE(words_that_do_not_fit_are_cut)
{
    static struct child child;
    child_run(&child, say_two_lines, NULL);
    CHECK_EQ(strlen(child.said), strlen("first\n") + WI_WORDS_LINE + strlen("last\n"));
    CHECK(child_said(&child, "first\nxxx"));
    CHECK(child_said(&child, "x\nlast\n"));
}
