/* SPDX-License-Identifier: MIT */
/* check_main -- lists and runs the cases of check.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "no_buffer_ring.h"
#include "own_net.h"

enum { EXIT_USAGE = 2 };

/* Filled by constructors, in no particular order, before main. */
static struct check_case *cases;

void check_register(struct check_case *c)
{
    c->next = cases;
    cases = c;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: %s [case]\n", argv[0]);
        return EXIT_USAGE;
    }
    for (struct check_case *c = cases; c != NULL; c = c->next) {
        if (argc == 1) {
            (void)puts(c->name);
        } else if (strcmp(c->name, argv[1]) == 0) {
            own_net();
            if (getenv("WEIR_TEST_NO_BUFFER_RING") != NULL && !no_buffer_ring())
                check_skip("no seccomp filters here");
            c->run();
            return 0;
        }
    }
    if (argc == 1)
        return 0;
    fprintf(stderr, "no case named %s\n", argv[1]);
    return EXIT_USAGE;
}
