/* SPDX-License-Identifier: MIT */
/*
 * core -- the backend of one simulated core: its requests, its completions, its receive area.
 *
 *     stage, cancel --> staged --submit--> begin --> waits at a file (file.h)   --.
 *                                              '---> works: an event ends it    --+--> due --deliver--> out
 *                                              '---> is done at once            --'     ^ reorder, late
 *
 * A request holds its file from its submission until its last completion is given out; who closes the
 * descriptor before that ends the process. The memory that it names is the kernel's meanwhile: where a
 * kernel would write it is poisoned (ASan) or must not change (a digest), where a kernel would read it
 * must not change. Who breaks that, ends the process with a line that says which request it was.
 *
 * Every completion lies in `due` until an enter gives it out, or in `late` for a while before that.
 * Those of one request keep their order.
 *
 * A core belongs to the strand that opened it. It makes a world of its own if it is given no node.
 */
#ifndef WI_BACKEND_SIM_CORE_H
#define WI_BACKEND_SIM_CORE_H

#include "backend/sim/file.h"
#include "backend/sim/node.h"
#include "backend/sim/world.h"
#include "backend/work.h"

enum { WI_SIM_AREA_PARTS = 4, WI_SIM_AREA_PART_BYTES = 16384 };

enum wi_sim_request_state {
    WI_SIM_LINKED, /* its turn in a chain has not come */
    WI_SIM_STAGED, /* its turn has come; it begins with the next submission */
    WI_SIM_WAITS,  /* at a file */
    WI_SIM_WORKS,  /* an event ends it */
    WI_SIM_SENT,   /* without a copy: an event tells that the memory is free */
    WI_SIM_DONE    /* its last completion is due */
};

struct wi_sim_core;

/* A completion that has not been given out. */
struct wi_sim_due {
    struct wi_list link;            /* in core->due, core->late or core->spare_due */
    struct wi_sim_request *request; /* NULL: of a cancel */
    struct wi_cqe cqe;
    uint32_t nth;  /* of its request, from 0 */
    uint32_t held; /* LATE: for so many enters */
};

struct wi_sim_request {
    struct wi_list all;   /* in core->requests, or in core->spare */
    struct wi_list queue; /* in core->staged, or at its file */
    struct wi_sim_core *core;
    struct wi_sim_file *file;    /* held, once begun; NULL: it has none */
    struct wi_sim_request *then; /* begins when this one has succeeded, or NULL */
    struct wi_sim_event event;   /* WORKS, SENT; WAITS: it is about to end */
    struct wi_sim_due *due;      /* its latest completion, while that is not given out */
    uint64_t token;              /* WI_TOKEN_CANCEL set: this is a cancel, in no slot */
    struct wi_req req;
    uint64_t digest;      /* of what must not change */
    uint32_t moved;       /* by a send or receive that wants all of it */
    uint32_t made, given; /* completions that have been due, and given out */
    bool held;            /* its memory is the kernel's */
    bool zero_copy;       /* RAW */
    bool drops;           /* CALL: its work has a `drop`; */
    bool left;            /* it was left to itself; */
    bool called;          /* it was made */
    enum wi_sim_request_state state;
};

/* A part of the area: bytes are handed out in order, and it begins anew when all are back. */
struct wi_sim_part {
    uint32_t filled, out;
};

struct wi_sim_core {
    struct wi_backend base;
    struct wi_sim_world *world;
    struct wi_sim_node *node;
    struct wi_sim_strand *strand;
    bool own_world;
    bool rang; /* woken, and its POLL has not said so */
    struct wi_sim_file wake;
    struct wi_list watched; /* held.c */
    struct wi_list staged, requests, spare;
    struct wi_list due, late, spare_due;
    struct wi_list orphans;       /* call.c */
    uint32_t due_count;           /* those that are late included */
    struct wi_sim_request **slot; /* by the slot of their tokens */
    uint32_t slots;
    uint64_t resumed; /* tasks whose time has passed */
    struct wi_sim_part part[WI_SIM_AREA_PARTS];
    unsigned filling; /* which part */
    bool no_cache;    /* READ cannot be tried */
    bool no_raw;      /* nor RAW */
};

static inline struct wi_sim_core *wi_sim_core_of(struct wi_backend *be)
{
    return wi_container_of(be, struct wi_sim_core, base);
}

/* Where a core may be preempted within a step; base/canary.h. */
void wi_sim_point(struct wi_backend *be);

/* The time of a core's node; looking takes none. For logs: `be` is a struct wi_backend. */
weir_ns wi_sim_peek(void *be);

/* Frees a core with all that it has under way; nobody hears of that. */
void wi_sim_core_discard(struct wi_sim_core *core);

/* ---- calls.c ---- */

/* Ends the process where a request on this descriptor is under way, but for `own` ones. */
void wi_sim_check_unused(const struct wi_sim_core *core, int fd, uint32_t own, const char *what);

/* As close(2); nobody closes what is closed, or what requests name. */
int wi_sim_fd_close_checked(const struct wi_sim_core *core, int fd, uint32_t own);

ssize_t wi_sim_try(struct wi_backend *be, const struct wi_req *req);
int wi_sim_ctl(struct wi_backend *be, const struct wi_ctl *ctl);

/* ---- request.c ---- */

/* A fresh one, LINKED, in no slot. NULL: no memory. */
struct wi_sim_request *wi_sim_request_new(struct wi_sim_core *core, uint64_t token);

/* Forgets one that nothing refers to. */
void wi_sim_request_free(struct wi_sim_request *request);

/* Puts it into its slot. 0 or -ENOMEM. */
int wi_sim_request_enlist(struct wi_sim_request *request, const struct wi_req *req);

/* Its turn has come: it begins with the next submission. */
void wi_sim_request_release(struct wi_sim_request *request);

/* Begins it, or carries the cancel out. */
void wi_sim_request_begin(struct wi_sim_request *request);

/* But for what only looks, one receive of a file is under way: two would mix its bytes up. */
void wi_sim_check_one_receive(const struct wi_sim_file *file, int fd);

/* Its file has something for it; it is the first of its queue, or a POLL. */
void wi_sim_request_go_on(struct wi_sim_request *request, uint32_t events);

/* Ends it with this result: the completion is due. */
void wi_sim_request_end(struct wi_sim_request *request, ssize_t res);

/* It waits for nothing any more. */
void wi_sim_request_over(struct wi_sim_request *request);

/* ---- raw.c ---- */

/* WI_CTL_RAW. */
int wi_sim_raw_approve(const struct wi_sim_core *core, const void *entry);

/* Makes of a RAW request what it asks for. */
void wi_sim_raw_read(struct wi_sim_request *request);

/* A send without a copy has this result; that the memory is free comes later. */
void wi_sim_raw_sent(struct wi_sim_request *request, ssize_t res);

/* ---- held.c: memory that the kernel has ---- */

/* From here on nobody touches what the request names ... */
void wi_sim_held_begin(struct wi_sim_request *request);

/* ... nor did anybody. */
void wi_sim_held_check(const struct wi_sim_request *request);

/* The kernel itself does, between these two. */
void wi_sim_held_open(const struct wi_sim_request *request);
void wi_sim_held_shut(struct wi_sim_request *request);

/* Nobody frees what requests of this core name, as long as it is on that list. */
void wi_sim_held_watch(struct wi_sim_core *core);

/* It is the caller's again; in the second form nobody asks what he did with it. */
void wi_sim_held_end(const struct wi_sim_request *request);
void wi_sim_held_let_go(const struct wi_sim_request *request);

/* ---- area.c ---- */

/* Room for received bytes: where, and how many; 0: none. */
uint32_t wi_sim_area_room(struct wi_sim_core *core, uint32_t *at);

/* So many of them were used, maybe none: what must follow if there was room. */
void wi_sim_area_take(struct wi_sim_core *core, uint32_t at, uint32_t len);
void wi_sim_area_give(struct wi_backend *be, uint32_t at, uint32_t len);
bool wi_sim_area_is_whole(const struct wi_sim_core *core);

/* Nobody uses it any more; before it is freed. */
void wi_sim_area_drop(struct wi_sim_core *core);
void wi_sim_area_open(struct wi_sim_core *core);

/* ---- storage.c, call.c: what takes time ---- */

void wi_sim_storage_begin(struct wi_sim_request *request);
ssize_t wi_sim_storage_try(struct wi_sim_core *core, struct wi_sim_file *file,
                           const struct wi_req *req);

/* WI_CTL_FILE. */
int wi_sim_storage_check(struct wi_sim_file *file);
void wi_sim_call_stage(struct wi_sim_request *request);
void wi_sim_call_begin(struct wi_sim_request *request);

/* The call is never made, nor is it waited for: what nobody owns but it is freed. */
void wi_sim_call_discard(struct wi_sim_request *request);
void wi_sim_orphans_discard(struct wi_sim_core *core);

/* Asks a call to end. What the cancel is told. */
int wi_sim_call_cancel(struct wi_sim_request *request);

/* The last completion of a call is given out: its work is the caller's again, unless it was left. */
void wi_sim_call_over(struct wi_sim_request *request);

/* ---- due.c ---- */

struct wi_sim_due *wi_sim_due_add(struct wi_sim_core *core, struct wi_sim_request *request,
                                  uint64_t token, int32_t res, uint32_t flags);
unsigned wi_sim_due_deliver(struct wi_sim_core *core, struct wi_cqe *out, unsigned max);

#endif /* WI_BACKEND_SIM_CORE_H */
