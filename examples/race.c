/* SPDX-License-Identifier: MIT */
/* race ADDRESS ADDRESS -- dials both at once; the first connection wins, the other is cancelled. */
#include <stdio.h>

#include "weir.h"

struct attempt {
    const char *addr;
    weir_sock sock;
};

static int attempt(void *arg)
{
    struct attempt *a = arg; /* the parent's stack: it cannot go away before us */
    return weir_dial(&a->sock, a->addr, NULL);
}

static int race(void *arg)
{
    char **argv = arg;
    struct attempt a[2] = {{.addr = argv[1]}, {.addr = argv[2]}};
    WEIR_SCOPE(s, WEIR_FIRST_OK);
    for (int i = 0; i < 2; i++)
        if (weir_spawn(&s, attempt, &a[i]) < 0)
            break;
    int won = weir_scope_wait(&s); /* joins both; the loser saw -ECANCELED */
    if (won >= 0)
        printf("winner: %s\n", a[won].addr);
    for (int i = 0; i < 2; i++)
        weir_close(&a[i].sock); /* a loser that connected anyway is closed here too */
    return won;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: race ADDRESS ADDRESS\n");
        return 2;
    }
    int rc = weir_run(NULL, race, argv);
    if (rc < 0)
        fprintf(stderr, "race: %s\n", weir_strerror(rc));
    return rc < 0;
}
