/* SPDX-License-Identifier: MIT */
/* fd -- mechanism; the drawing is in fd.h. */
#include "op/fd.h"

#include <errno.h>
#include <stdlib.h>

#include "base/require.h"
#include "op/call.h"
#include "op/engine.h"

enum { ROOM_MIN = 64 };

struct wi_fd *wi_fd_find(const struct wi_engine *engine, int fd)
{
    const struct wi_fds *fds = &engine->fds;
    if (fd < 0 || (unsigned)fd >= fds->room || fds->at[fd] == NULL || fds->at[fd]->closing)
        return NULL;
    return fds->at[fd];
}

static int make_room(struct wi_fds *fds, unsigned fd)
{
    unsigned room = fds->room == 0 ? ROOM_MIN : fds->room;
    while (room <= fd)
        room *= 2;
    if (room == fds->room)
        return 0;
    struct wi_fd **at = realloc(fds->at, room * sizeof(void *));
    if (at == NULL)
        return -ENOMEM;
    for (unsigned i = fds->room; i < room; i++)
        at[i] = NULL;
    fds->at = at;
    fds->room = room;
    return 0;
}

static int control(struct wi_engine *engine, int fd, enum wi_ctl_what what)
{
    struct wi_ctl ctl = {.what = what, .fd = fd};
    return engine->be->ops->ctl(engine->be, &ctl);
}

static void forget(struct wi_engine *engine, struct wi_fd *fd)
{
    engine->be->ops->detach(engine->be, fd->fd, fd->word);
    engine->fds.at[fd->fd] = NULL;
    free(fd);
}

static void close_for_good(struct wi_engine *engine, struct wi_fd *fd, enum wi_ctl_what how)
{
    int number = fd->fd;
    forget(engine, fd);
    (void)control(engine, number, how);
}

int wi_fd_attach(struct wi_engine *engine, int number)
{
    struct wi_fds *fds = &engine->fds;
    if (number < 0)
        return -EBADF;
    if ((unsigned)number < fds->room && fds->at[number] != NULL)
        return -EEXIST;
    int is = control(engine, number, WI_CTL_ADOPT);
    if (is < 0)
        return is;
    if (make_room(fds, (unsigned)number) < 0)
        return -ENOMEM;
    struct wi_fd *fd = malloc(sizeof *fd);
    if (fd == NULL)
        return -ENOMEM;
    *fd = (struct wi_fd){.fd = number, .is = (uint8_t)is};
    int rc = engine->be->ops->attach(engine->be, number, &fd->word);
    if (rc < 0) {
        free(fd);
        return rc;
    }
    wi_list_init(&fd->uses);
    wi_list_init(&fd->sends);
    fds->at[number] = fd;
    return 0;
}

int wi_fd_detach(struct wi_engine *engine, int number)
{
    struct wi_fd *fd = wi_fd_find(engine, number);
    if (fd == NULL)
        return -EBADF;
    if (!wi_list_empty(&fd->uses))
        return -EBUSY;
    forget(engine, fd);
    return 0;
}

int wi_fd_end(struct wi_engine *engine, int number)
{
    struct wi_fd *fd = wi_fd_find(engine, number);
    if (fd == NULL)
        return -EBADF;
    fd->closing = true;
    /* Stopping only asks: nobody leaves the list, and no callback runs, before the next turn. */
    for (struct wi_list *at = fd->uses.next; at != &fd->uses; at = at->next)
        wi_call_stop(engine, wi_container_of(at, struct wi_use, link)->call, -EBADF);
    if (wi_list_empty(&fd->uses))
        close_for_good(engine, fd, WI_CTL_CLOSE);
    return 0;
}

void wi_use_begin(struct wi_use *use, struct wi_fd *fd, struct wi_call *call)
{
    use->fd = fd;
    use->call = call;
    if (fd != NULL)
        wi_list_push_back(&fd->uses, &use->link);
}

void wi_use_end(struct wi_engine *engine, struct wi_use *use)
{
    struct wi_fd *fd = use->fd;
    use->fd = NULL;
    if (fd == NULL)
        return;
    wi_list_remove(&use->link);
    if (fd->closing && wi_list_empty(&fd->uses))
        close_for_good(engine, fd, WI_CTL_CLOSE);
}

void wi_fds_abandon(struct wi_engine *engine)
{
    for (unsigned i = 0; i < engine->fds.room; i++)
        if (engine->fds.at[i] != NULL)
            close_for_good(engine, engine->fds.at[i], WI_CTL_ABANDON);
    free(engine->fds.at);
    engine->fds = (struct wi_fds){.at = NULL};
}

unsigned wi_fds_close(struct wi_engine *engine)
{
    unsigned count = 0;
    for (unsigned i = 0; i < engine->fds.room; i++) {
        if (engine->fds.at[i] == NULL)
            continue;
        wi_assert(wi_list_empty(&engine->fds.at[i]->uses));
        close_for_good(engine, engine->fds.at[i], WI_CTL_CLOSE);
        count++;
    }
    free(engine->fds.at);
    engine->fds = (struct wi_fds){.at = NULL};
    return count;
}
