/* SPDX-License-Identifier: MIT */
/* resolve -- mechanism; the contract and the drawing are in resolve.h. */
#include "net/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/require.h"
#include "net/address.h"
#include "net/net.h"
#include "weir/error.h"

/* ---- texts ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Decimal digits alone, or 0x and more: inet_aton(3) would make an address of it. */
static bool is_number(const char *label, size_t length)
{
    if (length >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
        return strspn(label + 2, "0123456789abcdefABCDEF") >= length - 2;
    return length > 0 && strspn(label, "0123456789") >= length;
}

bool wi_host_is_meant(const char *text)
{
    size_t length = strcspn(text, ":");
    if (length == 0 || text[0] == '[' || strncmp(text, "unix:", strlen("unix:")) == 0)
        return false;
    if (length > 1 && text[length - 1] == '.')
        length--;
    size_t last = length;
    while (last > 0 && text[last - 1] != '.')
        last--;
    return !is_number(text + last, length - last);
}

/* The label at `at`: its length, or the error. */
static int read_label(const char *text, const char *at, size_t *bad_at)
{
    const char *end = at;
    while (is_alnum(*end) || *end == '-' || *end == '_')
        end++;
    bool is_whole = *end == '.' || *end == ':' || *end == 0;
    size_t length = (size_t)(end - at);
    const char *bad = length == 0 || at[0] == '-'  ? at
                      : !is_whole                  ? end
                      : end[-1] == '-'             ? end - 1
                      : length > WI_HOST_LABEL_MAX ? at + WI_HOST_LABEL_MAX
                                                   : NULL;
    if (bad == NULL)
        return (int)length;
    *bad_at = (size_t)(bad - text);
    return length > WI_HOST_LABEL_MAX && bad == at + WI_HOST_LABEL_MAX ? -ENAMETOOLONG : -EINVAL;
}

int wi_host_read(struct wi_host *out, const char *text, size_t *bad_at)
{
    const char *at = text;
    *out = (struct wi_host){.port = 0};
    do {
        int length = read_label(text, at, bad_at);
        if (length < 0)
            return length;
        at += length;
        if ((size_t)(at - text) > WI_HOST_MAX) {
            *bad_at = WI_HOST_MAX;
            return -ENAMETOOLONG;
        }
        at += *at == '.';
    } while (at[-1] == '.' && *at != ':' && *at != 0);
    out->port = wi_addr_read_port(text, at, bad_at);
    if (out->port < 0)
        return out->port;
    memcpy(out->name, text, (size_t)(at - text));
    return 0;
}

/* ---- looking up ---- */

struct looking {
    struct wi_wait wait;
    struct wi_op op;
    struct wi_task *task;
    bool finished;
    int rc;
};

static struct wi_resolution *resolution_of(struct wi_work *work)
{
    return wi_container_of(work, struct wi_resolution, work);
}

/* On a worker. */
static int32_t look_up(struct wi_work *work)
{
    struct wi_resolution *resolution = resolution_of(work);
    return resolution->lookup(resolution->host.name, resolution->addr, WI_RESOLVE_MAX);
}

/* What the backend knows by itself is found out at the start, and takes the way of all others. */
static int32_t tell_known(struct wi_work *work)
{
    return resolution_of(work)->known;
}

static void drop(struct wi_work *work)
{
    free(resolution_of(work));
}

void wi_resolution_free(struct wi_resolution *resolution)
{
    if (resolution != NULL)
        wi_list_remove(&resolution->link);
    free(resolution);
}

void wi_resolutions_discard(struct wi_net *net)
{
    for (struct wi_list *at = net->resolutions.next, *next; at != &net->resolutions; at = next) {
        struct wi_resolution *resolution = wi_container_of(at, struct wi_resolution, link);
        next = at->next;
        if (wi_work_release(&resolution->work))
            free(resolution);
    }
}

static void looked_up(struct wi_engine *engine, struct wi_op *op, int32_t res, bool more)
{
    struct looking *looking = wi_container_of(op, struct looking, op);
    (void)engine;
    (void)more;
    looking->rc = res;
    looking->finished = true;
    wi_task_wake(looking->task);
}

static void interrupt_looking(struct wi_task *task, struct wi_wait *wait)
{
    wi_op_cancel(&task->core->engine, &wi_container_of(wait, struct looking, wait)->op);
}

static const struct wi_wait_kind lookings = {
    .interrupt = interrupt_looking, .what = "to look up a name", .outside = true};

/* The result of the lookup, or the interruption. What was cancelled and runs on keeps *resolution,
 * which is NULL then. */
static int look_up_elsewhere(struct wi_task *task, struct wi_resolution **resolution)
{
    struct looking looking = {.wait = {.kind = &lookings}, .task = task};
    looking.op.fn = looked_up;
    looking.op.counted = true;
    looking.op.req = (struct wi_req){.opcode = WI_OP_CALL, .fd = -1, .mem = &(*resolution)->work};
    wi_op_start(&task->core->engine, &looking.op);
    while (!looking.finished)
        wi_task_park(task, &looking.wait);
    wi_list_remove(&(*resolution)->link); /* before a worker may free it */
    if (wi_work_release(&(*resolution)->work))
        wi_list_push_back(&task->core->net->resolutions, &(*resolution)->link);
    else
        *resolution = NULL;
    int interrupted = wi_task_interrupted(task);
    return looking.rc == -ECANCELED && interrupted < 0 ? interrupted : looking.rc;
}

int wi_resolve(struct wi_task *task, const char *call, const struct wi_host *host,
               struct wi_resolution **out)
{
    struct wi_core *core = task->core;
    struct wi_resolution *resolution = calloc(1, sizeof *resolution);
    if (resolution == NULL)
        return -ENOMEM;
    wi_list_init(&resolution->link);
    resolution->lookup = core->net->lookup;
    resolution->host = *host;
    wi_list_push_back(&core->net->resolutions, &resolution->link);
    struct wi_host_query query = {host->name, resolution->addr, WI_RESOLVE_MAX};
    struct wi_ctl ask = {.what = WI_CTL_HOST, .fd = -1, .mem = &query};
    resolution->known = core->net->lookup == wi_lookup
                            ? core->engine.be->ops->ctl(core->engine.be, &ask)
                            : -EOPNOTSUPP; /* somebody else is to be asked */
    wi_work_init(&resolution->work, resolution->known != -EOPNOTSUPP ? tell_known : look_up, drop);
    int rc = look_up_elsewhere(task, &resolution);
    if (rc <= 0) {
        if (wi_task_interrupted(task) == 0)
            wi_log(core->log, WEIR_LOG_WARN, "%s: host %s: %s", call, host->name,
                   weir_strerror(rc));
        wi_resolution_free(resolution);
        return rc;
    }
    wi_assert(resolution != NULL); /* what has a result was not left */
    resolution->count = (unsigned)rc;
    for (unsigned i = 0; i < resolution->count; i++)
        wi_addr_set_port(&resolution->addr[i], host->port);
    *out = resolution;
    return 0;
}
