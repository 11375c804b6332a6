/* SPDX-License-Identifier: MIT */
/* weir-own-net COMMAND [ARG...] -- runs a command in a network of its own; see own_net.h. */
#include <stdio.h>

#include "own_net.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: weir-own-net COMMAND [ARG...]\n");
        return 2;
    }
    own_net();
    (void)execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
