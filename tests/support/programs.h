/* SPDX-License-Identifier: MIT */
/*
 * programs -- small weir programs that check every byte and every result of their own.
 *
 * Each is a weir_fn for weir_run; the argument is the address that it serves itself on, or NULL
 * as for program_listen. It ends with 0, whatever the backend below does short of failing: refuse, delay,
 * cut, reorder. What is not as it must be is a failed check.
 */
#ifndef SUPPORT_PROGRAMS_H
#define SUPPORT_PROGRAMS_H

#include "weir.h"

/* A listener, and the text to dial it by. */
struct program_port {
    weir_listener listener;
    char addr[WEIR_ADDR_TEXT_MAX];
};

/* On this address. NULL: a port that the kernel chooses of a loopback address of this process; those
 * of 127.0.0.1 may all be taken, since a port that a connection had is not given to a listener for a
 * minute. */
void program_listen(struct program_port *port, const char *addr);

/* Two ends of one connection. */
void program_connect(struct program_port *port, weir_sock *here, weir_sock *there);

/* The byte at a place of a stream. */
static inline uint8_t program_byte(unsigned stream, size_t at)
{
    return (uint8_t)((at ^ at >> 7 ^ at >> 15) * 37 + stream * 101);
}

/* Sends `len` bytes of the stream from place `from` on; the first result that is not 0. */
int program_send(weir_sock sock, unsigned stream, size_t from, size_t len);

/* Several connections at once, of sizes from one byte to more than any socket buffer holds; writer
 * and reader of each are tasks of their own, and the server uses every pair of calls. */
int program_echo(void *arg);

/* Many short connections, one after the other and some at a time. */
int program_churn(void *arg);

/* Tasks parked in every kind of wait, all of them cancelled at once. */
int program_cancel_storm(void *arg);

/* Waits that run into their deadline just when data may come: nothing that came is lost. */
int program_timeouts(void *arg);

/* Sends and receives with timeouts of their own, which they run into with work half done. */
int program_limits(void *arg);

#endif /* SUPPORT_PROGRAMS_H */
