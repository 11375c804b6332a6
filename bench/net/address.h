/* SPDX-License-Identifier: MIT */
/* address -- where the server is: "127.0.0.1:7000", "[::1]:7000" or "unix:/path". */
#ifndef WL_ADDRESS_H
#define WL_ADDRESS_H

#include <sys/socket.h>

struct wl_address {
    struct sockaddr_storage sa;
    socklen_t length;
    const char *text; /* as the user wrote it; borrowed */
};

/* Fills *address from a numeric address. Names are refused: a look-up would be one more moving part
 * in a measurement. Gives NULL, or the reason as a static string. */
const char *wl_address_parse(struct wl_address *address, const char *text);

#endif
