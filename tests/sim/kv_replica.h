/* SPDX-License-Identifier: MIT */
/*
 * kv_replica -- the program of kv.c: a replicated log of puts, one leader, two followers.
 *
 *     client --put--> leader: log --writer--> disk, synced --sender--> follower: log --writer--> disk
 *                        ^                                                          |
 *            answer: a majority has it synced <----------------- so many are synced '
 *
 * The leader sends only what it has synced, so the log of a follower is a beginning of the leader's. An
 * entry that the leader and one follower have synced is committed: it survives whatever one disk loses
 * that was not synced. Gets are answered from what is committed, and after a start only when all that
 * was found on the disk is.
 *
 * Each entry carries a mark made of all before it: what is behind a torn one, from an earlier life,
 * does not fit and is dropped. An error of the disk ends the replica. It begins by writing what it has
 * read to a new file, for what the page cache still shows may never have reached the disk.
 *
 * All state is one task's node's, and goes with it.
 */
#ifndef KV_REPLICA_H
#define KV_REPLICA_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "weir.h"

enum { KV_REPLICAS = 3, KV_ENTRIES_MAX = 256 };

enum kv_kind {
    KV_PUT,    /* key, value */
    KV_GET,    /* key -> value */
    KV_LOOK,   /* the same, from the disk of this replica: committed or not */
    KV_APPEND, /* entry number `at`, with its mark -> at: how many are synced */
    KV_STATE   /* -> key: how many entries, value: the mark of the last */
};

struct kv_message {
    uint32_t kind;
    int32_t result;
    uint64_t key, value, at, mark;
};

struct kv_entry {
    uint64_t key, value;
    uint64_t filler[10]; /* entries cross sectors, so they can tear */
    uint64_t mark;
};

struct kv_log {
    weir_file file;
    struct kv_entry entry[KV_ENTRIES_MAX];
    uint64_t count, synced;
    uint64_t found;              /* by the leader on its disk, when it started */
    uint64_t known[KV_REPLICAS]; /* to the leader: how many each has synced */
    struct weir_event changed;   /* any of these */
};

#define KV_REQUEST_MAX (1 * WEIR_SEC)

static inline char *kv_name(int replica)
{
    static char names[KV_REPLICAS][8] = {"kv0", "kv1", "kv2"};
    return names[replica];
}

static inline const char *kv_address(int replica)
{
    static const char *const addresses[KV_REPLICAS] = {"kv0:9", "kv1:9", "kv2:9"};
    return addresses[replica];
}

static inline int kv_exchange(weir_sock sock, struct kv_message *message)
{
    int rc = weir_send(sock, message, sizeof *message);
    ssize_t n = rc < 0 ? rc : weir_recv_exact(sock, message, sizeof *message);
    return n < 0 ? (int)n : 0;
}

/* ---- the log ---- */

static inline uint64_t kv_mark(uint64_t before, uint64_t key, uint64_t value)
{
    uint64_t x = (before ^ key) * UINT64_C(0x9E3779B97F4A7C15) + value + 1;
    x = (x ^ x >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return x ^ x >> 32;
}

static inline uint64_t kv_last_mark(const struct kv_log *log, uint64_t count)
{
    return count > 0 ? log->entry[count - 1].mark : 0;
}

static inline void kv_changed(struct kv_log *log)
{
    weir_event_set(&log->changed); /* whoever waits has seen it */
    weir_event_clear(&log->changed);
}

static inline void kv_add(struct kv_log *log, uint64_t key, uint64_t value)
{
    CHECK_LT(log->count, KV_ENTRIES_MAX);
    uint64_t mark = kv_mark(kv_last_mark(log, log->count), key, value);
    log->entry[log->count++] = (struct kv_entry){.key = key, .value = value, .mark = mark};
    kv_changed(log);
}

/* What fits, from the beginning. A disk that cannot be read for now is asked again. */
static inline int kv_log_read(struct kv_log *log)
{
    weir_file file;
    int rc = weir_open(&file, "log", NULL);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    ssize_t n = weir_read_at(file, log->entry, sizeof log->entry, 0);
    weir_file_close(&file);
    if (n < 0)
        return (int)n;
    uint64_t there = (uint64_t)n / sizeof(struct kv_entry);
    for (log->count = 0; log->count < there; log->count++) {
        const struct kv_entry *e = &log->entry[log->count];
        if (e->mark != kv_mark(kv_last_mark(log, log->count), e->key, e->value))
            break;
    }
    return 0;
}

/* A new file with what was read takes the place of the old one. */
static inline int kv_log_open(struct kv_log *log)
{
    int rc = kv_log_read(log);
    if (rc == 0)
        rc = weir_open(&log->file, "log.new",
                       WEIR_FILE_OPTS(.write = 1, .create = 1, .truncate = 1));
    if (rc == 0)
        rc = weir_write_at(log->file, log->entry, log->count * sizeof(struct kv_entry), 0);
    if (rc == 0)
        rc = weir_sync(log->file, 0);
    if (rc == 0)
        rc = weir_rename("log.new", "log");
    if (rc == 0)
        rc = weir_sync_dir(".");
    log->synced = log->found = log->count;
    return rc;
}

/* The one that writes: all that has come meanwhile at once. */
static inline int kv_writer(void *arg)
{
    struct kv_log *log = arg;
    int rc = 0;
    while (rc == 0) {
        uint64_t from = log->synced, to = log->count;
        if (from == to) {
            rc = weir_event_wait(&log->changed);
            continue;
        }
        rc = weir_write_at(log->file, &log->entry[from], (to - from) * sizeof(struct kv_entry),
                           from * sizeof(struct kv_entry));
        if (rc == 0)
            rc = weir_sync(log->file, WEIR_SYNC_DATA);
        if (rc == 0)
            log->synced = to;
        kv_changed(log);
    }
    return rc;
}

/* ---- the leader ---- */

static inline uint64_t kv_committed(const struct kv_log *log)
{
    uint64_t most = log->known[1] > log->known[2] ? log->known[1] : log->known[2];
    return most < log->synced ? most : log->synced;
}

/* Until so many are committed. */
static inline int kv_wait(struct kv_log *log, uint64_t count)
{
    int rc = 0;
    while (rc == 0 && kv_committed(log) < count)
        rc = weir_event_wait(&log->changed);
    return rc;
}

struct kv_sender {
    struct kv_log *log;
    int to;
};

/* What the follower has has to be a beginning of what we have. */
static inline int kv_meet(struct kv_log *log, int to, weir_sock *sock)
{
    struct kv_message message = {.kind = KV_STATE};
    WEIR_WITHIN(KV_REQUEST_MAX);
    int rc = weir_dial(sock, kv_address(to), NULL);
    if (rc == 0)
        rc = kv_exchange(*sock, &message);
    if (rc < 0)
        return rc;
    CHECK_LE(message.key, log->synced);
    CHECK_EQ(message.value, kv_last_mark(log, message.key));
    log->known[to] = message.key;
    kv_changed(log);
    return 0;
}

static inline int kv_send_entries(struct kv_log *log, int to, weir_sock sock)
{
    struct kv_message message;
    int rc = 0;
    while (rc == 0) {
        uint64_t next = log->known[to];
        if (next >= log->synced) {
            rc = weir_event_wait(&log->changed);
            continue;
        }
        const struct kv_entry *e = &log->entry[next];
        message = (struct kv_message){
            .kind = KV_APPEND, .key = e->key, .value = e->value, .at = next, .mark = e->mark};
        WEIR_WITHIN(KV_REQUEST_MAX);
        rc = kv_exchange(sock, &message);
        if (rc == 0)
            rc = message.result;
        if (rc == 0) {
            log->known[to] = message.at;
            kv_changed(log);
        }
    }
    return rc;
}

/* For ever: a follower that is away comes back. */
static inline int kv_sender(void *arg)
{
    struct kv_sender *sender = arg;
    weir_sock sock;
    int rc;
    do {
        sock = (weir_sock){0};
        if (kv_meet(sender->log, sender->to, &sock) == 0)
            (void)kv_send_entries(sender->log, sender->to, sock);
        weir_close(&sock);
        rc = weir_sleep(100 * WEIR_MS);
    } while (rc == 0);
    return rc;
}

/* ---- requests ---- */

static inline int kv_put(struct kv_log *log, const struct kv_message *m)
{
    kv_add(log, m->key, m->value);
    return kv_wait(log, log->count);
}

/* The highest of the first `count`: an old put that was late changes nothing. */
static inline uint64_t kv_find(const struct kv_log *log, uint64_t count, uint64_t key)
{
    uint64_t value = 0;
    for (uint64_t i = 0; i < count; i++)
        if (log->entry[i].key == key && log->entry[i].value > value)
            value = log->entry[i].value;
    return value;
}

static inline int kv_get(struct kv_log *log, struct kv_message *m)
{
    int rc = kv_wait(log, log->found);
    m->value = kv_find(log, kv_committed(log), m->key);
    return rc;
}

/* The next one, or one that is there: an answer of ours may have been lost. */
static inline int kv_append(struct kv_log *log, struct kv_message *m)
{
    int rc = 0;
    if (m->at > log->count)
        return -ESTALE;
    if (m->at == log->count)
        kv_add(log, m->key, m->value);
    CHECK_EQ(log->entry[m->at].mark, m->mark);
    while (rc == 0 && log->synced <= m->at)
        rc = weir_event_wait(&log->changed);
    m->at = log->synced;
    return rc;
}

static inline int kv_handle(struct kv_log *log, struct kv_message *m)
{
    WEIR_WITHIN(KV_REQUEST_MAX);
    switch (m->kind) {
    case KV_PUT:
        return kv_put(log, m);
    case KV_GET:
        return kv_get(log, m);
    case KV_LOOK:
        m->value = kv_find(log, log->synced, m->key);
        return 0;
    case KV_APPEND:
        return kv_append(log, m);
    default:
        m->key = log->synced;
        m->value = kv_last_mark(log, log->synced);
        return 0;
    }
}

struct kv_conn {
    struct kv_log *log;
    weir_sock sock;
};

static inline int kv_conn(void *arg)
{
    struct kv_conn *c = arg;
    struct kv_message message;
    while (weir_recv_exact(c->sock, &message, sizeof message) > 0) {
        message.result = kv_handle(c->log, &message);
        if (weir_send(c->sock, &message, sizeof message) < 0)
            break;
    }
    weir_close(&c->sock);
    return 0; /* a connection that fails is nobody's failure but its own */
}

static inline int kv_serve(void *arg)
{
    weir_listener listener;
    struct kv_conn c = {.log = arg};
    WEIR_SCOPE(conns, WEIR_ALL);
    int rc = weir_listen(&listener, ":9", NULL);
    while (rc == 0 && (rc = weir_accept(listener, &c.sock)) == 0)
        if ((rc = weir_spawn_copy(&conns, kv_conn, &c, sizeof c)) < 0)
            weir_close(&c.sock);
    weir_listener_close(&listener);
    return rc;
}

/* The main of a node; `arg` is its name. Ends by an error of its disk, or of its listener. */
static inline int kv_replica(void *arg)
{
    bool leads = strcmp(arg, kv_name(0)) == 0;
    struct kv_log *log = weir_sim_alloc(sizeof *log);
    struct kv_sender sender[KV_REPLICAS];
    CHECK(log != NULL);
    int rc = kv_log_open(log);
    if (rc == 0) {
        WEIR_SCOPE(tasks, WEIR_FAIL_FAST);
        rc = weir_spawn(&tasks, kv_writer, log);
        if (rc == 0)
            rc = weir_spawn(&tasks, kv_serve, log);
        for (int i = 1; leads && i < KV_REPLICAS && rc == 0; i++) {
            sender[i] = (struct kv_sender){log, i};
            rc = weir_spawn(&tasks, kv_sender, &sender[i]);
        }
        if (rc == 0)
            rc = weir_scope_wait(&tasks);
    }
    weir_file_close(&log->file);
    weir_sim_free(log);
    return rc;
}

#endif /* KV_REPLICA_H */
