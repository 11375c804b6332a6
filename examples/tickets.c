/* SPDX-License-Identifier: MIT */
/* tickets ADDRESS -- answers every line with a number that nobody was given before, not even before the
 * power failed. tickets_sim.c tests it in a simulation. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "weir.h"

/* Whole or not at all, whatever happens meanwhile: no number below this may be given again. */
static int store(uint64_t next)
{
    weir_file file;
    int rc =
        weir_open(&file, "tickets.new", WEIR_FILE_OPTS(.write = 1, .create = 1, .truncate = 1));
    if (rc < 0)
        return rc;
    rc = weir_write_at(file, &next, sizeof next, 0);
    if (rc == 0)
        rc = weir_sync(file, 0);
    weir_file_close(&file);
    if (rc == 0)
        rc = weir_rename("tickets.new", "tickets.db");
    return rc < 0 ? rc : weir_sync_dir(".");
}

static int load(uint64_t *next)
{
    weir_file file = {0};
    ssize_t n = weir_open(&file, "tickets.db", NULL);
    if (n == 0)
        n = weir_read_exact_at(file, next, sizeof *next, 0);
    weir_file_close(&file);
    return n < 0 && n != -ENOENT ? (int)n : 0; /* on the first day there is none */
}

static void attend(weir_sock s, uint64_t *next)
{
    char in[64], out[32];
    ssize_t n;
    int rc = 0;
    WEIR_WITHIN(WEIR_SEC); /* others wait */
    while (rc == 0 && (n = weir_recv(s, in, sizeof in)) > 0)
        for (ssize_t i = 0; i < n && rc == 0; i++)
            if (in[i] == '\n' && (rc = store(*next + 1)) == 0)
                rc = weir_send(s, out,
                               (size_t)snprintf(out, sizeof out, "%" PRIu64 "\n", (*next)++));
}

static int serve(void *address)
{
    uint64_t next = 0;
    weir_listener ln = {0};
    weir_sock s;
    int rc = load(&next);
    if (rc == 0)
        rc = weir_listen(&ln, address, NULL);
    while (rc == 0 && (rc = weir_accept(ln, &s)) == 0) {
        attend(s, &next);
        weir_close(&s);
    }
    weir_listener_close(&ln);
    return rc;
}

#ifndef TICKETS_SIM
int main(int argc, char **argv)
{
    int rc = argc == 2 ? weir_run(NULL, serve, argv[1]) : 0;
    if (argc != 2)
        fprintf(stderr, "usage: tickets ADDRESS\n");
    else if (rc < 0)
        fprintf(stderr, "tickets: %s: %s\n", argv[1], weir_strerror(rc));
    return argc != 2 ? 2 : rc < 0;
}
#endif
