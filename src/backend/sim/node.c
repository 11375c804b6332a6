/* SPDX-License-Identifier: MIT */
/* node -- mechanism; the contract is in node.h. */
#include "backend/sim/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/sim/disk.h"
#include "backend/sim/socket.h"
#include "base/require.h"

enum { FDS_FIRST = 16, FDS_MAX = 1 << 20, PORT_FIRST = 32768 };

#define MILLION 1000000
#define DISK_BYTES (UINT64_C(1) << 30)

static void set_clock(struct wi_sim_node *node)
{
    struct wi_choices *choices = &node->world->choices;
    const struct wi_sim_faults *faults = &node->world->faults;
    node->skew = wi_choose_between(choices, WI_SIM_WORLD, 0, faults->skew_ns);
    node->drift = wi_choose_between(choices, WI_SIM_WORLD, 0, faults->drift_ppm * 2);
    if (node->drift > faults->drift_ppm)
        node->drift = faults->drift_ppm - node->drift; /* 0, 1, 2, ... and then -1, -2, ... */
}

struct wi_sim_node *wi_sim_node_new(struct wi_sim_world *world, const char *name,
                                    uint64_t disk_bytes)
{
    if (world->node_count == WI_SIM_NODES_MAX)
        return NULL;
    struct wi_sim_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    if (wi_sim_disk_open(&node->disk, &world->choices, &world->faults,
                         disk_bytes > 0 ? disk_bytes : DISK_BYTES) < 0) {
        free(node);
        return NULL;
    }
    node->world = world;
    node->index = world->node_count;
    node->fd_max = FDS_MAX;
    node->port_next = PORT_FIRST;
    wi_list_init(&node->sockets);
    if (name == NULL || *name == 0)
        (void)snprintf(node->name, sizeof node->name, "node%u", node->index);
    else
        (void)snprintf(node->name, sizeof node->name, "%s", name);
    set_clock(node);
    world->node[world->node_count++] = node;
    return node;
}

void wi_sim_node_spare(struct wi_sim_node *node)
{
    node->skew = node->drift = 0;
    wi_sim_faults_heal(&node->spared);
    wi_sim_disk_heed(node->disk, &node->spared);
}

static void close_all(struct wi_sim_node *node)
{
    wi_assert(node->cores == 0);
    wi_sim_sockets_crash(node);
    for (unsigned i = 0; i < node->fd_room; i++)
        if (node->fd[i] != NULL)
            (void)wi_sim_fd_close(node, (int)(WI_SIM_FD_FIRST + i));
}

void wi_sim_node_crash(struct wi_sim_node *node)
{
    node->down = true;
    close_all(node);
    struct wi_sim_loss loss = wi_sim_disk_crash(node->disk);
    WI_SIM_TRACE(node->world, node,
                 "loses %u of %u sectors that were not synced, %u of %u changes of names",
                 loss.sectors_lost, loss.sectors, loss.names_lost, loss.names);
}

void wi_sim_node_free(struct wi_sim_node *node)
{
    close_all(node);
    wi_sim_sockets_free(node);
    wi_sim_disk_close(node->disk);
    free(node->fd);
    free(node);
}

struct wi_sim_node *wi_sim_node_named(struct wi_sim_world *world, const char *name)
{
    for (unsigned i = 0; i < world->node_count; i++)
        if (strcasecmp(world->node[i]->name, name) == 0)
            return world->node[i];
    return NULL;
}

/* ---- its clock ---- */

static weir_ns show(const struct wi_sim_node *node, weir_ns now)
{
    return now + node->skew + (weir_ns)((__int128)now * node->drift / MILLION);
}

weir_ns wi_sim_node_clock(const struct wi_sim_node *node)
{
    return show(node, node->world->now);
}

weir_ns wi_sim_node_when(const struct wi_sim_node *node, weir_ns at)
{
    if (at == WEIR_FOREVER || (node->skew == 0 && node->drift == 0))
        return at;
    __int128 when = ((__int128)at - node->skew) * MILLION / (MILLION + node->drift);
    if (when >= WEIR_FOREVER)
        return WEIR_FOREVER;
    weir_ns now = when > 0 ? (weir_ns)when : 0;
    while (now > 0 && show(node, now - 1) >= at)
        now--;
    while (show(node, now) < at)
        now++;
    return now;
}

/* ---- descriptors ---- */

static int make_room(struct wi_sim_node *node)
{
    unsigned room = node->fd_room > 0 ? node->fd_room * 2 : FDS_FIRST;
    struct wi_sim_file **fd = realloc(node->fd, room * sizeof(struct wi_sim_file *));
    if (fd == NULL)
        return -ENOMEM;
    memset(fd + node->fd_room, 0, (room - node->fd_room) * sizeof(struct wi_sim_file *));
    node->fd = fd;
    node->fd_room = room;
    return 0;
}

int wi_sim_fd_find(struct wi_sim_node *node)
{
    if (node->fd_open >= node->fd_max)
        return -EMFILE;
    while (node->fd_from < node->fd_room && node->fd[node->fd_from] != NULL)
        node->fd_from++;
    return node->fd_from == node->fd_room ? make_room(node) : 0;
}

int wi_sim_fd_new(struct wi_sim_node *node, struct wi_sim_file *file)
{
    int rc = wi_sim_fd_find(node);
    if (rc < 0)
        return rc;
    unsigned at = node->fd_from++;
    node->fd[at] = file;
    node->fd_open++;
    return (int)(WI_SIM_FD_FIRST + at);
}

int wi_sim_fd_close(struct wi_sim_node *node, int fd)
{
    struct wi_sim_file *file = wi_sim_fd_file(node, fd);
    if (file == NULL)
        return -EBADF;
    unsigned at = (unsigned)fd - WI_SIM_FD_FIRST;
    node->fd[at] = NULL;
    node->fd_open--;
    if (at < node->fd_from)
        node->fd_from = at;
    wi_sim_file_drop(file);
    return 0;
}
