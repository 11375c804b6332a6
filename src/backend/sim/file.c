/* SPDX-License-Identifier: MIT */
/* file -- mechanism; the contract is in file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include "backend/sim/file.h"

#include <poll.h>

#include "backend/sim/core.h"
#include "base/require.h"

#define READ_EVENTS (POLLIN | POLLPRI | POLLRDHUP | POLLERR | POLLHUP)
#define WRITE_EVENTS (POLLOUT | POLLERR | POLLHUP)

void wi_sim_file_init(struct wi_sim_file *file, struct wi_sim_node *node,
                      const struct wi_sim_file_ops *ops, enum wi_sim_file_kind kind)
{
    *file = (struct wi_sim_file){.ops = ops, .node = node, .kind = kind, .holders = 1};
    wi_list_init(&file->reads);
    wi_list_init(&file->writes);
    wi_list_init(&file->polls);
}

void wi_sim_file_drop(struct wi_sim_file *file)
{
    wi_assert(file->holders > 0);
    if (--file->holders > 0)
        return;
    wi_assert(wi_list_empty(&file->reads) && wi_list_empty(&file->writes) &&
              wi_list_empty(&file->polls));
    file->ops->release(file);
}

const char *wi_sim_file_name(const struct wi_sim_file *file)
{
    static const char *const names[] = {[WI_SIM_WAKE] = "a wake-up",
                                        [WI_SIM_SOCKET] = "a socket",
                                        [WI_SIM_LISTENER] = "a listener",
                                        [WI_SIM_DISK_FILE] = "a file"};
    return file != NULL ? names[file->kind] : "nothing";
}

static struct wi_sim_request *request_of(struct wi_list *queue)
{
    return wi_container_of(queue, struct wi_sim_request, queue);
}

/* The first goes on until it waits again; then the state has nothing for those behind it. */
static void go_on(struct wi_list *queue, uint32_t events)
{
    for (struct wi_list *first = NULL; !wi_list_empty(queue) && queue->next != first;) {
        first = queue->next;
        wi_sim_request_go_on(request_of(first), events);
    }
}

void wi_sim_file_kick(struct wi_sim_file *file, uint32_t events)
{
    wi_sim_file_hold(file); /* requests that end let go of it */
    if (events & READ_EVENTS)
        go_on(&file->reads, events);
    if (events & WRITE_EVENTS)
        go_on(&file->writes, events);
    for (struct wi_list *at = file->polls.next, *next; at != &file->polls; at = next) {
        next = at->next; /* of several polls, each ends nobody but itself */
        wi_sim_request_go_on(request_of(at), events);
    }
    wi_sim_file_drop(file);
}
