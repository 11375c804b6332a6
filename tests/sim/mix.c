/* SPDX-License-Identifier: MIT */
/*
 * mix -- everything but the network, all at once, on one node: files, channels, scopes, handles,
 * deadlines, cancelled wherever they are.
 *
 *     mix     0 if nothing was wrong
 *
 * A worker has a file of its own and a model of it: a byte is known if it was written, or read, without
 * an error since the last doubt. Each action runs in a task that may be cancelled at any moment; what it
 * did is checked by what it says afterwards (EX14, FS5, CH1).
 */
#include <string.h>

#include "scenario.h"

enum { WORKERS = 4, ROUNDS = 40, FILE_BYTES = 12000, ITEMS = 20, CHILDREN = 5 };

struct worker {
    char path[16];
    weir_file file;
    bool open;
    uint8_t byte[FILE_BYTES];
    bool known[FILE_BYTES];
};

static weir_ns some_time(void)
{
    return (weir_ns)weir_random_below(400) * WEIR_US;
}

/* ---- files ---- */

static int write_somewhere(void *arg)
{
    struct worker *w = arg;
    uint8_t bytes[3000];
    size_t len = 1 + weir_random_below(sizeof bytes);
    size_t at = weir_random_below(FILE_BYTES - len);
    scenario_fill(bytes, len, weir_random(), 0);
    memset(w->known + at, 0, len); /* until it is known */
    int rc = weir_write_at(w->file, bytes, len, at);
    size_t sure = rc == 0 ? len : weir_done();
    CHECK_LE(sure, len);
    memcpy(w->byte + at, bytes, sure);
    memset(w->known + at, 1, sure);
    return rc;
}

static int read_somewhere(void *arg)
{
    struct worker *w = arg;
    uint8_t bytes[3000];
    size_t len = 1 + weir_random_below(sizeof bytes);
    size_t at = weir_random_below(FILE_BYTES - len);
    memset(bytes, 0, sizeof bytes);
    ssize_t n = weir_read_at(w->file, bytes, len, at);
    size_t sure = n >= 0 ? (size_t)n : weir_done();
    CHECK_LE(sure, len);
    for (size_t i = 0; i < sure; i++) {
        if (w->known[at + i])
            CHECK_EQ(bytes[i], w->byte[at + i]);
        w->byte[at + i] = bytes[i];
        w->known[at + i] = true;
    }
    return n < 0 ? (int)n : 0;
}

static int sync_it(void *arg)
{
    struct worker *w = arg;
    int rc = weir_sync(w->file, 0);
    return rc < 0 ? rc : weir_sync_dir("/");
}

/* ---- channels ---- */

struct pipe {
    struct weir_chan *chan;
    unsigned sent, received;
};

static int send_items(void *arg)
{
    struct pipe *pipe = arg;
    int rc = 0;
    while (rc == 0 && pipe->sent < ITEMS) {
        unsigned item = pipe->sent;
        rc = weir_chan_send(pipe->chan, &item);
        pipe->sent += rc == 0;
        if (rc == 0 && weir_random_below(4) == 0)
            rc = weir_sleep(some_time() / 20);
    }
    (void)weir_chan_close(pipe->chan);
    return rc;
}

/* Nothing is lost, doubled or out of order, however often the receiver was cancelled. */
static int pass_items(void *arg)
{
    WEIR_CHAN(chan, unsigned, 3);
    struct pipe pipe = {.chan = &chan};
    (void)arg;
    WEIR_SCOPE(senders, WEIR_ALL);
    int rc = weir_spawn(&senders, send_items, &pipe);
    while (rc == 0) {
        unsigned item;
        rc = weir_chan_recv(&chan, &item);
        if (rc == 0)
            CHECK_EQ(item, pipe.received);
        pipe.received += rc == 0;
    }
    CHECK_LE(pipe.received, pipe.sent);
    CHECK_LE(pipe.sent, pipe.received + 3);
    if (rc == -EPIPE)
        CHECK_EQ(pipe.received, pipe.sent);
    return rc == -EPIPE ? 0 : rc;
}

/* ---- scopes ---- */

struct child {
    weir_ns naps;
    int result;
};

static int nap(void *arg)
{
    struct child child = *(struct child *)arg;
    weir_ns before = weir_now();
    int rc = weir_sleep(child.naps);
    if (rc == 0)
        CHECK_GE(weir_now() - before, child.naps);
    return rc == 0 ? child.result : rc;
}

static int be_a_parent(void *arg)
{
    static const enum weir_policy policies[] = {WEIR_ALL, WEIR_FAIL_FAST, WEIR_FIRST_OK};
    enum weir_policy policy = policies[weir_random_below(3)];
    (void)arg;
    WEIR_SCOPE(children, policy);
    int spawned = 0, rc = 0;
    for (; spawned < CHILDREN && rc == 0; spawned++) {
        struct child child = {some_time(), weir_random_below(4) == 0 ? -EIO : 0};
        rc = weir_spawn_copy(&children, nap, &child, sizeof child);
    }
    if (rc == 0 && weir_random_below(4) == 0)
        weir_scope_cancel(&children);
    if (rc == 0)
        rc = weir_scope_wait(&children);
    if (rc >= 0 && policy == WEIR_FIRST_OK)
        CHECK_LT(rc, CHILDREN);
    return rc < 0 && rc != -EIO ? rc : 0;
}

/* ---- a worker ---- */

static int act(void *arg)
{
    static int (*const actions[])(void *) = {write_somewhere, read_somewhere, sync_it, pass_items,
                                             be_a_parent};
    struct worker *w = arg;
    size_t first = w->open ? 0 : 3;
    return actions[first + weir_random_below(sizeof actions / sizeof *actions - first)](w);
}

/* In a task that is cancelled, or given up, or waited for. */
static int act_in_a_task(struct worker *w)
{
    weir_task task;
    WEIR_SCOPE(scope, WEIR_ALL);
    int rc = weir_spawn_task(&scope, act, w, &task);
    if (rc < 0)
        return rc;
    if (weir_random_below(2) == 0) {
        CHECK_EQ(weir_sleep(some_time()), 0);
        CHECK_GE(weir_task_cancel(task), 0);
    }
    return weir_task_wait(&task);
}

static int act_in_time(struct worker *w)
{
    WEIR_WITHIN(some_time());
    return act(w);
}

static int work(void *arg)
{
    struct worker w = {.open = false};
    (void)snprintf(w.path, sizeof w.path, "/file%u", *(unsigned *)arg);
    int rc = weir_open(&w.file, w.path, WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1));
    w.open = rc == 0;
    for (int i = 0; i < ROUNDS; i++) {
        rc = weir_random_below(2) == 0 ? act_in_a_task(&w) : act_in_time(&w);
        switch (rc) {
        case 0:
            WEIR_MARK("an action is done");
            break;
        case -ECANCELED:
            WEIR_MARK("an action is cancelled");
            break;
        case -ETIMEDOUT:
            WEIR_MARK("an action is too late");
            break;
        case -EIO:
        case -ENOSPC:
            WEIR_MARK("a disk fails");
            break;
        default:
            CHECK(scenario_is_excused(rc));
        }
    }
    if (w.open)
        (void)weir_file_close(&w.file);
    return 0;
}

static int work_all(void *arg)
{
    (void)arg;
    WEIR_SCOPE(workers, WEIR_ALL);
    int rc = 0;
    for (unsigned i = 0; i < WORKERS && rc == 0; i++)
        rc = weir_spawn_copy(&workers, work, &i, sizeof i);
    return rc == 0 ? weir_scope_wait(&workers) : rc;
}

static int drive(void *arg)
{
    (void)arg;
    return weir_sim_wait(weir_sim_node(
        WEIR_SIM_NODE_OPTS(.opts = WEIR_OPTS(.stack_bytes = 128 * 1024)), work_all, NULL));
}

int main(void)
{
    return scenario_run(drive);
}
