/* SPDX-License-Identifier: MIT */
/*
 * listener -- what all servers of this directory have in common before they differ: the command
 * line, the listening socket, and the two lines that the driver reads.
 *
 *     path: <how bytes are moved, in words>
 *     listening on 127.0.0.1:40123
 *
 * Nobody recovers here: a peer that cannot start says why and ends, status 1 (usage: 2).
 */
#ifndef PEER_LISTENER_H
#define PEER_LISTENER_H

#include <stdbool.h>

/* "peer [FORM] ADDRESS". *formed tells whether FORM was given; `form` is NULL where there is none.
 * Gives ADDRESS. */
const char *peer_arguments(int argc, char **argv, const char *form, bool *formed);

/* A listening, non-blocking socket at 127.0.0.1:PORT or [::1]:PORT; port 0 is any. Also raises the
 * limit of descriptors as far as it goes. */
int peer_listen(const char *address);

/* Prints both lines. */
void peer_announce(int listener, const char *path);

void peer_no_delay(int fd);

/* Ends the program with "peer-x: what: why"; the error is positive, and 0 has no why. */
_Noreturn void peer_die(const char *what, int error);

#endif
