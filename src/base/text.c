/* SPDX-License-Identifier: MIT */
/* text -- mechanism; the contract is in text.h. */
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void wi_text_init(struct wi_text *text, wi_text_sink *sink, void *user, bool by_lines)
{
    text->sink = sink;
    text->user = user;
    text->by_lines = by_lines;
    text->last = 0;
    text->used = 0;
}

void wi_text_flush(struct wi_text *text)
{
    text->bytes[text->used] = 0;
    if (text->used > 0)
        text->sink(text->user, text->bytes, text->used);
    text->used = 0;
}

static void end_line(struct wi_text *text)
{
    text->bytes[text->used] = 0;
    text->sink(text->user, text->bytes, text->used);
    text->used = 0;
}

static void put_byte(struct wi_text *text, char byte)
{
    text->last = byte;
    if (text->by_lines && byte == '\n') {
        end_line(text);
        return;
    }
    if (text->used == WI_TEXT_BYTES - 1) { /* the last one is for the zero */
        if (text->by_lines)
            return;
        wi_text_flush(text);
    }
    text->bytes[text->used++] = byte;
}

static void put_bytes(struct wi_text *text, const char *bytes, size_t count)
{
    bool fits = count > 0 && count < WI_TEXT_BYTES - text->used;
    if (fits && !text->by_lines) {
        memcpy(text->bytes + text->used, bytes, count);
        text->used += count;
        text->last = bytes[count - 1];
        return;
    }
    for (size_t i = 0; i < count; i++)
        put_byte(text, bytes[i]);
}

void wi_text_put(struct wi_text *text, const char *words)
{
    put_bytes(text, words, strlen(words));
}

void wi_text_print(struct wi_text *text, const char *format, ...)
{
    char words[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    wi_text_put(text, words);
}

/* ---- what others chose ---- */

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* How many bytes the character has that begins here; 0: none of UTF-8 does. A zero ends everything. */
static unsigned character(const char *words)
{
    const unsigned char *at = (const unsigned char *)words;
    if (at[0] < 0x80)
        return at[0] != 0;
    if (at[0] < 0xc2 || at[0] > 0xf4 || !continues(at[1]))
        return 0;
    if (at[0] < 0xe0)
        return 2;
    if (!continues(at[2]))
        return 0;
    if (at[0] < 0xf0) {
        bool overlong = at[0] == 0xe0 && at[1] < 0xa0;
        bool surrogate = at[0] == 0xed && at[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    bool overlong = at[0] == 0xf0 && at[1] < 0x90, beyond = at[0] == 0xf4 && at[1] >= 0x90;
    return overlong || beyond || !continues(at[3]) ? 0 : 4;
}

static bool is_control(const char *words, unsigned bytes)
{
    unsigned char first = (unsigned char)words[0], second = (unsigned char)words[1];
    return (bytes == 1 && (first < 0x20 || first == 0x7f)) ||
           (bytes == 2 && first == 0xc2 && second < 0xa0);
}

void wi_text_plain(struct wi_text *text, const char *words)
{
    while (*words != 0) {
        unsigned bytes = character(words);
        if (bytes == 0 || is_control(words, bytes)) {
            wi_text_print(text, "\\x%02x", (unsigned char)*words++);
        } else {
            put_bytes(text, words, bytes);
            words += bytes;
        }
    }
}

void wi_text_duration(struct wi_text *text, weir_ns ns)
{
    static const struct {
        weir_ns ns;
        const char *name;
    } units[] = {{WEIR_SEC, "s"}, {WEIR_MS, "ms"}, {WEIR_US, "us"}};
    for (unsigned i = 0; i < sizeof units / sizeof *units; i++) {
        weir_ns whole = ns / units[i].ns, thousandths = ns % units[i].ns / (units[i].ns / 1000);
        if (whole >= 100)
            wi_text_print(text, "%lld %s", (long long)whole, units[i].name);
        else if (whole > 0)
            wi_text_print(text, "%lld.%03lld %s", (long long)whole, (long long)thousandths,
                          units[i].name);
        else
            continue;
        return;
    }
    wi_text_print(text, "%lld ns", (long long)ns);
}

/* ---- JSON ---- */

static bool is_harmless(char byte)
{
    unsigned char c = (unsigned char)byte;
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

static void put_escaped(struct wi_text *text, char byte)
{
    static const char short_form[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *pair = short_form; *pair != 0; pair += 2)
        if (byte == pair[0]) {
            put_byte(text, '\\');
            put_byte(text, pair[1]);
            return;
        }
    if ((unsigned char)byte < 0x20)
        wi_text_print(text, "\\u%04x", (unsigned char)byte);
    else
        put_byte(text, byte);
}

/* How many bytes of it that was. */
static unsigned put_character(struct wi_text *text, const char *words)
{
    unsigned bytes = character(words);
    if (bytes == 0)
        wi_text_put(text, "\xef\xbf\xbd");
    else if (bytes == 1)
        put_escaped(text, *words);
    else
        put_bytes(text, words, bytes);
    return bytes > 0 ? bytes : 1;
}

void wi_text_json(struct wi_text *text, const char *words)
{
    put_byte(text, '"');
    while (*words != 0) {
        size_t plain = 0;
        while (is_harmless(words[plain]))
            plain++;
        put_bytes(text, words, plain);
        words += plain;
        if (*words != 0)
            words += put_character(text, words);
    }
    put_byte(text, '"');
}

void wi_text_next(struct wi_text *text)
{
    if (text->last != '{' && text->last != '[')
        put_byte(text, ',');
}

void wi_text_member(struct wi_text *text, const char *name)
{
    wi_text_next(text);
    wi_text_print(text, "\"%s\":", name);
}
