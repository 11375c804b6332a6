/* SPDX-License-Identifier: MIT */
/* Addresses as text: what is read, where a bad one goes wrong, and that writing is its inverse. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"
#include "weir/addr.h"

/* ---- good ones ---- */

struct good {
    const char *text, *canonical;
    int port; /* -EINVAL: it has none */
};

static const struct good goods[] = {
    {"1.2.3.4:80", "1.2.3.4:80", 80},
    {"0.0.0.0:0", "0.0.0.0:0", 0},
    {"255.255.255.255:65535", "255.255.255.255:65535", 65535},
    {"127.0.0.1:00080", "127.0.0.1:80", 80},
    {":80", "[::]:80", 80},
    {":0", "[::]:0", 0},
    {"[::]:80", "[::]:80", 80},
    {"[::1]:80", "[::1]:80", 80},
    {"[0:0:0:0:0:0:0:1]:80", "[::1]:80", 80},
    {"[FE80::ABCD]:1", "[fe80::abcd]:1", 1},
    {"[fe80::1%2]:80", "[fe80::1%2]:80", 80},
    {"[fe80::1%999999999]:80", "[fe80::1%999999999]:80", 80},
    {"[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
     "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", 65535},
    {"[64:ff9b::1.2.3.4]:80", "[64:ff9b::102:304]:80", 80},
    {"[::ffff:1.2.3.4]:80", "1.2.3.4:80", 80}, /* mapped: prints as what it is */
    {"unix:/run/a", "unix:/run/a", -EINVAL},
    {"unix:relative", "unix:relative", -EINVAL},
    {"unix:a b:c", "unix:a b:c", -EINVAL},
    {"unix:@name", "unix:@name", -EINVAL},
    {"unix:@@", "unix:@@", -EINVAL},
};

CASE(address_texts_are_read_and_written_again)
{
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        struct weir_addr addr, again;
        char text[WEIR_ADDR_TEXT_MAX];
        size_t bad_at = 4711;
        CHECK_EQ(weir_addr_parse(&addr, goods[i].text, &bad_at), 0);
        CHECK_EQ(bad_at, 4711);
        CHECK_EQ(weir_addr_format(&addr, text, sizeof text), (int)strlen(goods[i].canonical));
        CHECK_STR_EQ(text, goods[i].canonical);
        CHECK_EQ(weir_addr_port(&addr), goods[i].port);
        CHECK_EQ(weir_addr_parse(&again, text, NULL), 0);
        CHECK_EQ(weir_addr_format(&again, text, sizeof text), (int)strlen(goods[i].canonical));
        CHECK_STR_EQ(text, goods[i].canonical);
    }
}

CASE(address_is_the_sockaddr_of_its_family)
{
    struct weir_addr addr;
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
    struct sockaddr_un sun;
    CHECK_EQ(weir_addr_parse(&addr, "1.2.3.4:513", NULL), 0);
    CHECK_EQ(addr.len, sizeof sin);
    memcpy(&sin, addr.bytes, sizeof sin);
    CHECK_EQ(sin.sin_family, AF_INET);
    CHECK_EQ(ntohs(sin.sin_port), 513);
    CHECK_EQ(ntohl(sin.sin_addr.s_addr), 0x01020304);
    CHECK_EQ(weir_addr_parse(&addr, "[::1%7]:513", NULL), 0);
    CHECK_EQ(addr.len, sizeof sin6);
    memcpy(&sin6, addr.bytes, sizeof sin6);
    CHECK_EQ(sin6.sin6_family, AF_INET6);
    CHECK_EQ(ntohs(sin6.sin6_port), 513);
    CHECK_EQ(sin6.sin6_scope_id, 7);
    CHECK_EQ(memcmp(&sin6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback), 0);
    CHECK_EQ(weir_addr_parse(&addr, "unix:/a", NULL), 0);
    CHECK_EQ(addr.len, offsetof(struct sockaddr_un, sun_path) + 3);
    memcpy(&sun, addr.bytes, sizeof sun);
    CHECK_EQ(sun.sun_family, AF_UNIX);
    CHECK_STR_EQ(sun.sun_path, "/a");
    CHECK_EQ(weir_addr_parse(&addr, "unix:@a", NULL), 0);
    CHECK_EQ(addr.len, offsetof(struct sockaddr_un, sun_path) + 2);
    memcpy(&sun, addr.bytes, sizeof sun);
    CHECK_EQ(memcmp(sun.sun_path, "\0a", 3), 0);
}

/* ---- bad ones ---- */

struct bad {
    const char *text;
    size_t at;
};

static const struct bad bads[] = {
    {"", 0},
    {"80", 0},
    {"localhost:80", 0}, /* nothing is resolved */
    {"1.2.3.4", 7},
    {"1.2.3:80", 0},
    {"1.2.3.4.5:80", 0},
    {"1.2.3.256:80", 0},
    {"01.2.3.4:80", 0}, /* octal to some readers, decimal to others */
    {"1.2.3.4:", 8},
    {"1.2.3.4:x", 8},
    {"1.2.3.4:80x", 10},
    {"1.2.3.4:80 ", 10},
    {" 1.2.3.4:80", 0},
    {"1.2.3.4:+80", 8},
    {"1.2.3.4:-1", 8},
    {"1.2.3.4:65536", 8},
    {"1.2.3.4:99999", 8},
    {"1.2.3.4:100000", 13},
    {"1.2.3.4:80:81", 10},
    {":", 1},
    {":x", 1},
    {"::1:80", 1},
    {"[::1]", 5},
    {"[::1]80", 5},
    {"[::1]:", 6},
    {"[::1", 4},
    {"[]:80", 1},
    {"[", 1},
    {"[::1:80", 7},
    {"[:::]:80", 1},
    {"[::g]:80", 1},
    {"[1.2.3.4]:80", 1},
    {"[::1%]:80", 5},
    {"[::1%0]:80", 6},
    {"[::1%eth0]:80", 5},
    {"[::1%1234567890]:80", 14},
    {"[::1%2:80", 6},
    {"unix:", 5},
    {"unix:@", 6},
    {"UNIX:/a", 0},
    {"/run/a", 0},
    {"tcp:1.2.3.4:80", 0},
};

CASE(bad_address_texts_are_refused_at_their_position)
{
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct weir_addr addr;
        size_t bad_at = 4711;
        int rc = weir_addr_parse(&addr, bads[i].text, &bad_at);
        if (rc != -EINVAL || bad_at != bads[i].at)
            (void)fprintf(stderr, "\"%s\":\n", bads[i].text);
        CHECK_EQ(rc, -EINVAL);
        CHECK_EQ(bad_at, bads[i].at);
        CHECK_EQ(weir_addr_parse(&addr, bads[i].text, NULL), -EINVAL);
    }
}

/* A text of `prefix` and then 'x' up to `length`. */
static void long_text(char *out, const char *prefix, size_t length)
{
    memset(out, 'x', length);
    memcpy(out, prefix, strlen(prefix));
    out[length] = 0;
}

CASE(unix_paths_fill_sockaddr_un_and_no_more)
{
    const size_t longest = strlen("unix:") + sizeof((struct sockaddr_un){0}.sun_path) - 1;
    char text[256], back[WEIR_ADDR_TEXT_MAX];
    struct weir_addr addr;
    size_t bad_at = 0;
    static const char *const prefix[] = {"unix:/", "unix:@"};
    for (int i = 0; i < 2; i++) {
        long_text(text, prefix[i], longest);
        CHECK_EQ(weir_addr_parse(&addr, text, NULL), 0);
        CHECK_EQ(weir_addr_format(&addr, back, sizeof back), (int)longest);
        CHECK_STR_EQ(back, text);
        long_text(text, prefix[i], longest + 1);
        CHECK_EQ(weir_addr_parse(&addr, text, &bad_at), -ENAMETOOLONG);
        CHECK_EQ(bad_at, longest);
    }
    long_text(text, "1.2.3.4", 255);
    CHECK_EQ(weir_addr_parse(&addr, text, NULL), -EINVAL);
    long_text(text, "[::", 255);
    CHECK_EQ(weir_addr_parse(&addr, text, NULL), -EINVAL);
}

/* ---- writing ---- */

CASE(address_is_written_into_exactly_enough_room)
{
    for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
        struct weir_addr addr;
        char text[WEIR_ADDR_TEXT_MAX];
        size_t length = strlen(goods[i].canonical);
        CHECK_EQ(weir_addr_parse(&addr, goods[i].text, NULL), 0);
        memset(text, '#', sizeof text);
        CHECK_EQ(weir_addr_format(&addr, text, length + 1), (int)length);
        CHECK_STR_EQ(text, goods[i].canonical);
        CHECK_EQ(text[length + 1], '#');
        memset(text, '#', sizeof text);
        CHECK_EQ(weir_addr_format(&addr, text, length), -ENOSPC);
        CHECK_EQ(text[length], '#');
        CHECK_EQ(weir_addr_format(&addr, text, 0), -ENOSPC);
    }
}

CASE(no_address_is_refused)
{
    struct weir_addr none = {.len = 0};
    char text[WEIR_ADDR_TEXT_MAX];
    sa_family_t family = AF_NETLINK;
    CHECK_EQ(weir_addr_format(&none, text, sizeof text), -EINVAL);
    CHECK_EQ(weir_addr_port(&none), -EINVAL);
    memcpy(none.bytes, &family, sizeof family);
    none.len = 12;
    CHECK_EQ(weir_addr_format(&none, text, sizeof text), -EINVAL);
    CHECK_EQ(weir_addr_port(&none), -EINVAL);
}

/* What the kernel says of a unix socket that nobody bound has a family and nothing else. */
CASE(unnamed_unix_socket_is_written_as_such)
{
    struct weir_addr unnamed = {.len = sizeof(sa_family_t)};
    char text[WEIR_ADDR_TEXT_MAX];
    sa_family_t family = AF_UNIX;
    memcpy(unnamed.bytes, &family, sizeof family);
    CHECK_EQ(weir_addr_format(&unnamed, text, sizeof text), 5);
    CHECK_STR_EQ(text, "unix:");
}

/* ---- any text at all ---- */

static unsigned next(unsigned *state)
{
    *state = *state * 1103515245 + 12345;
    return *state >> 16;
}

/* Texts that are nearly addresses: good ones with a character changed, dropped or doubled. */
static void damage(char *text, size_t room, unsigned *state)
{
    static const char alphabet[] = "0123456789abcdefg.:[]%@/- ux\xff";
    size_t length = strlen(text);
    if (length == 0)
        return;
    size_t at = next(state) % length;
    switch (next(state) % 3) {
    case 0:
        text[at] = alphabet[next(state) % (sizeof alphabet - 1)];
        break;
    case 1:
        memmove(text + at, text + at + 1, length - at);
        break;
    default:
        if (length + 2 <= room)
            memmove(text + at + 1, text + at, length - at + 1);
    }
}

/* Whatever it is: refused at a position inside the text, or read and written to a text that is read
 * as the same. */
static void check_any(const char *text)
{
    struct weir_addr addr, again;
    char canonical[WEIR_ADDR_TEXT_MAX], twice[WEIR_ADDR_TEXT_MAX];
    size_t bad_at = SIZE_MAX;
    int rc = weir_addr_parse(&addr, text, &bad_at);
    if (rc < 0) {
        CHECK(rc == -EINVAL || rc == -ENAMETOOLONG);
        CHECK_LE(bad_at, strlen(text));
        return;
    }
    CHECK_GT(weir_addr_format(&addr, canonical, sizeof canonical), 0);
    CHECK_EQ(weir_addr_parse(&again, canonical, NULL), 0);
    CHECK_GT(weir_addr_format(&again, twice, sizeof twice), 0);
    CHECK_STR_EQ(twice, canonical);
}

CASE(any_text_is_refused_inside_it_or_survives_the_round_trip)
{
    unsigned state = 1;
    for (int i = 0; i < 300000; i++) {
        char text[160];
        (void)snprintf(text, sizeof text, "%s",
                       goods[next(&state) % (sizeof goods / sizeof *goods)].text);
        for (unsigned times = next(&state) % 4; times-- > 0;)
            damage(text, sizeof text, &state);
        check_any(text);
    }
    for (int i = 0; i < 300000; i++) {
        char text[40];
        size_t length = next(&state) % (sizeof text - 1);
        for (size_t at = 0; at < length; at++)
            text[at] = (char)(next(&state) % 255 + 1);
        text[length] = 0;
        check_any(text);
    }
}
