/* SPDX-License-Identifier: MIT */
/* Words on their way out: what others chose must harm neither a terminal nor JSON. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

struct taken {
    char bytes[8 * WI_TEXT_BYTES];
    size_t count;
    unsigned portions;
};

static void take(void *user, const char *bytes, size_t count)
{
    struct taken *taken = user;
    CHECK_LE(taken->count + count + 1, sizeof taken->bytes);
    CHECK_EQ(bytes[count], 0);
    memcpy(taken->bytes + taken->count, bytes, count);
    taken->count += count;
    taken->bytes[taken->count] = 0;
    taken->portions++;
}

static const char *written(void (*write)(struct wi_text *, const char *), const char *words)
{
    static struct wi_text text;
    static struct taken taken;
    taken = (struct taken){.count = 0};
    wi_text_init(&text, take, &taken, false);
    write(&text, words);
    wi_text_flush(&text);
    return taken.bytes;
}

/* ---- JSON ---- */

CASE(text_json_escapes_what_it_must_and_nothing_else)
{
    CHECK_STR_EQ(written(wi_text_json, ""), "\"\"");
    CHECK_STR_EQ(written(wi_text_json, "a/b'c"), "\"a/b'c\"");
    CHECK_STR_EQ(written(wi_text_json, "\"\\"), "\"\\\"\\\\\"");
    CHECK_STR_EQ(written(wi_text_json, "\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    CHECK_STR_EQ(written(wi_text_json, "\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\"");
    CHECK_STR_EQ(written(wi_text_json, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb1"),
                 "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb1\"");
}

#define REPLACED "\xef\xbf\xbd"

CASE(text_json_is_utf8_whatever_it_is_given)
{
    CHECK_STR_EQ(written(wi_text_json, "a\xff"
                                       "b"),
                 "\"a" REPLACED "b\"");
    CHECK_STR_EQ(written(wi_text_json, "\x80"), "\"" REPLACED "\"");
    CHECK_STR_EQ(written(wi_text_json, "\xc3"), "\"" REPLACED "\""); /* cut off */
    CHECK_STR_EQ(written(wi_text_json, "\xe2\x82"), "\"" REPLACED REPLACED "\"");
    CHECK_STR_EQ(written(wi_text_json, "\xf0\x9f\x90"), "\"" REPLACED REPLACED REPLACED "\"");
    CHECK_STR_EQ(written(wi_text_json, "\xc0\xaf"), "\"" REPLACED REPLACED "\""); /* overlong */
    CHECK_STR_EQ(written(wi_text_json, "\xe0\x80\xaf"), "\"" REPLACED REPLACED REPLACED "\"");
    CHECK_STR_EQ(written(wi_text_json, "\xed\xa0\x80"), "\"" REPLACED REPLACED REPLACED "\"");
    CHECK_STR_EQ(written(wi_text_json, "\xf4\x90\x80\x80"),
                 "\"" REPLACED REPLACED REPLACED REPLACED "\"");
    CHECK_STR_EQ(written(wi_text_json, "\xf5\x80\x80\x80"),
                 "\"" REPLACED REPLACED REPLACED REPLACED "\"");
}

static void write_object(struct wi_text *text, const char *words)
{
    wi_text_put(text, "{");
    wi_text_member(text, "a");
    wi_text_put(text, "[");
    wi_text_next(text);
    wi_text_json(text, words);
    wi_text_next(text);
    wi_text_put(text, "1]");
    wi_text_member(text, "b");
    wi_text_put(text, "{}}");
}

CASE(text_json_has_commas_between_and_nowhere_else)
{
    CHECK_STR_EQ(written(write_object, "["), "{\"a\":[\"[\",1],\"b\":{}}");
}

/* ---- terminals ---- */

CASE(text_plain_shows_what_a_terminal_would_obey)
{
    CHECK_STR_EQ(written(wi_text_plain, "a b\"\\"), "a b\"\\");
    CHECK_STR_EQ(written(wi_text_plain, "\x1b[31m\n"), "\\x1b[31m\\x0a");
    CHECK_STR_EQ(written(wi_text_plain, "\x7f\xff"), "\\x7f\\xff");
    CHECK_STR_EQ(written(wi_text_plain, "\xc2\x9b"), "\\xc2\\x9b"); /* a control character too */
    CHECK_STR_EQ(written(wi_text_plain, "\xc3\xa4"), "\xc3\xa4");
}

/* ---- durations ---- */

static void check_duration(weir_ns ns, const char *words)
{
    static struct wi_text text;
    static struct taken taken;
    taken = (struct taken){.count = 0};
    wi_text_init(&text, take, &taken, false);
    wi_text_duration(&text, ns);
    wi_text_flush(&text);
    CHECK_STR_EQ(taken.bytes, words);
}

CASE(text_durations_have_three_digits_or_more)
{
    check_duration(0, "0 ns");
    check_duration(999, "999 ns");
    check_duration(1000, "1.000 us");
    check_duration(12345, "12.345 us");
    check_duration(999999, "999 us");
    check_duration(17 * WEIR_MS, "17.000 ms");
    check_duration(170 * WEIR_MS, "170 ms");
    check_duration(1204 * WEIR_MS, "1.204 s");
    check_duration(86400 * WEIR_SEC, "86400 s");
    check_duration(INT64_MAX, "9223372036 s");
}

/* ---- portions and lines ---- */

CASE(text_of_any_length_arrives_in_order)
{
    static struct wi_text text;
    static struct taken taken;
    wi_text_init(&text, take, &taken, false);
    for (unsigned i = 0; i < 1000; i++)
        wi_text_print(&text, "%04u ", i);
    wi_text_flush(&text);
    CHECK_EQ(taken.count, 5000);
    CHECK_GT(taken.portions, 1);
    for (unsigned i = 0; i < 1000; i++) {
        unsigned number = 0;
        CHECK_EQ(sscanf(taken.bytes + (size_t)i * 5, "%4u", &number), 1);
        CHECK_EQ(number, i);
    }
    wi_text_flush(&text);
    CHECK_EQ(taken.count, 5000);
}

CASE(text_by_lines_comes_a_line_at_a_time_and_cut)
{
    static struct wi_text text;
    static struct taken taken;
    wi_text_init(&text, take, &taken, true);
    wi_text_put(&text, "one\n\ntwo\nthr");
    CHECK_EQ(taken.portions, 3);
    CHECK_STR_EQ(taken.bytes, "onetwo");
    wi_text_flush(&text);
    CHECK_STR_EQ(taken.bytes, "onetwothr");
    taken.count = 0;
    for (unsigned i = 0; i < 2 * WI_TEXT_BYTES; i++)
        wi_text_put(&text, "x");
    CHECK_EQ(taken.count, 0);
    wi_text_put(&text, "\n");
    CHECK_EQ(taken.count, WI_TEXT_BYTES - 1);
}
