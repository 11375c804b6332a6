/* SPDX-License-Identifier: MIT */
/*
 * kv -- three replicas of a log of puts, in kv_replica.h, while they crash, lose their power and their
 * links; and clients that remember what was promised.
 *
 * A put that was acknowledged is never lost: no get that begins later gives less, from whatever client.
 * No get gives what nobody put. What a client has read it does not see undone. When all is healed, the
 * three logs are the same within seconds, and all that was acknowledged is in them.
 */
#include "sim/kv_replica.h"
#include "sim/scenario.h"

enum { CLIENTS = 2, KEYS = 3, PUTS = 12, TROUBLES = 8, PUT_LOOKS = 2000 };

#define PUT_LOOK_NS (100 * WEIR_US)
#define PUT_NS (uint64_t)(3 * WEIR_MS) /* a put takes about as long */
#define PATIENCE (2 * WEIR_SEC)        /* of a client: then it asks again */
#define RECOVERY (30 * WEIR_SEC)

/* What clients may rely on: put by one client each, numbers that grow. */
struct promise {
    uint64_t asked, acked;
};

struct kv {
    struct promise promise[CLIENTS][KEYS];
    uint64_t puts; /* begun, by all */
    int node[KV_REPLICAS];
};

struct client {
    struct kv *kv;
    int index;
    weir_sock sock; /* to the leader; zeroed: none */
    uint64_t seen[CLIENTS][KEYS];
};

static uint64_t key_of(int client, int key)
{
    return (uint64_t)client * KEYS + (uint64_t)key;
}

/* One question to the leader; anything but an answer means a new connection next time. */
static int ask(struct client *c, struct kv_message *message)
{
    int rc = 0;
    WEIR_WITHIN(PATIENCE);
    if (c->sock.bits == 0)
        rc = weir_dial(&c->sock, kv_address(0), NULL);
    if (rc == 0)
        rc = kv_exchange(c->sock, message);
    if (rc < 0) {
        CHECK(scenario_is_excused(rc) || rc == -ENODATA);
        weir_close(&c->sock);
    }
    return rc < 0 ? rc : message->result;
}

static void put(struct client *c, int key)
{
    struct promise *promise = &c->kv->promise[c->index][key];
    uint64_t value = ++promise->asked;
    c->kv->puts++;
    struct kv_message message = {.kind = KV_PUT, .key = key_of(c->index, key), .value = value};
    if (ask(c, &message) == 0) {
        promise->acked = value;
        WEIR_MARK("a put is acknowledged");
    } else {
        WEIR_MARK("a put is in doubt");
    }
}

static void get(struct client *c, int other, int key)
{
    const struct promise *promise = &c->kv->promise[other][key];
    struct kv_message message = {.kind = KV_GET, .key = key_of(other, key)};
    uint64_t acked = promise->acked;
    if (ask(c, &message) != 0)
        return;
    CHECK_GE(message.value, acked);
    CHECK_LE(message.value, promise->asked);
    CHECK_GE(message.value, c->seen[other][key]);
    c->seen[other][key] = message.value;
    WEIR_MARK("a get is answered");
}

static int client(void *arg)
{
    struct client *c = arg;
    for (int i = 0; i < PUTS; i++) {
        put(c, (int)weir_random_below(KEYS));
        int other = (int)weir_random_below(CLIENTS); /* not in one call: its order would be free */
        get(c, other, (int)weir_random_below(KEYS));
        int rc = weir_sleep((weir_ns)weir_random_below(200) * WEIR_MS);
        CHECK_EQ(rc, 0);
    }
    weir_close(&c->sock);
    return 0;
}

/* ---- trouble ---- */

struct keeper {
    struct kv *kv;
    int index;
};

/* Whatever ends a replica, it is started again after a while. */
static int keep(void *arg)
{
    struct keeper *keeper = arg;
    int node = keeper->kv->node[keeper->index];
    for (;;) {
        int ended = weir_sim_wait(node);
        int rc = weir_sleep((weir_ns)weir_random_below(500) * WEIR_MS);
        if (rc == 0 && ended == -EOWNERDEAD)
            WEIR_MARK("a replica loses its power");
        else if (rc == 0)
            WEIR_MARK("a replica gives up");
        if (rc == 0)
            rc = weir_sim_restart(node, kv_replica, kv_name(keeper->index));
        if (rc < 0)
            return rc;
    }
}

/* A moment at which an entry may be on its way to the disk: of all crashes those in which one tears are
 * few enough. */
static void await_put(const struct kv *kv)
{
    uint64_t puts = kv->puts;
    for (int i = 0; i < PUT_LOOKS && kv->puts == puts; i++)
        CHECK_EQ(weir_sleep(PUT_LOOK_NS), 0);
    CHECK_EQ(weir_sleep((weir_ns)weir_random_below(PUT_NS)), 0);
}

static void make_trouble(const struct kv *kv)
{
    int one = kv->node[weir_random_below(KV_REPLICAS)];
    int other = kv->node[weir_random_below(KV_REPLICAS)];
    switch (weir_random_below(5)) {
    case 0:
        await_put(kv);
        (void)weir_sim_crash(one); /* it may be down */
        break;
    case 4:
        (void)weir_sim_crash(one);
        break;
    case 1:
        CHECK_EQ(weir_sim_partition(one, WEIR_SIM_ALL), 0);
        break;
    case 2:
        CHECK_EQ(weir_sim_link(one, other, (enum weir_sim_link)weir_random_below(3)),
                 one != other ? 0 : -EINVAL);
        break;
    default:
        CHECK_EQ(weir_sim_link(WEIR_SIM_ALL, WEIR_SIM_ALL, WEIR_SIM_OPEN), 0);
    }
}

/* ---- the end ---- */

/* What a replica says, which answers sooner or later. */
static struct kv_message ask_replica(int replica, const struct kv_message *question)
{
    struct kv_message message;
    weir_sock sock = {0};
    int rc;
    do {
        WEIR_WITHIN(PATIENCE);
        message = *question;
        rc = weir_dial(&sock, kv_address(replica), NULL);
        if (rc == 0)
            rc = kv_exchange(sock, &message);
        weir_close(&sock);
    } while (rc < 0 && weir_sleep(50 * WEIR_MS) == 0);
    CHECK_EQ(rc, 0);
    CHECK_EQ(message.result, 0);
    return message;
}

/* Without the leader: what was acknowledged has to be with one of the others. */
static void check_majority(const struct kv *kv)
{
    for (int i = 0; i < CLIENTS * KEYS; i++) {
        struct kv_message look = {.kind = KV_LOOK, .key = (uint64_t)i};
        uint64_t one = ask_replica(1, &look).value, two = ask_replica(2, &look).value;
        CHECK_GE(one > two ? one : two, kv->promise[i / KEYS][i % KEYS].acked);
    }
}

static bool logs_are_equal(void)
{
    const struct kv_message question = {.kind = KV_STATE};
    struct kv_message first = ask_replica(0, &question);
    for (int i = 1; i < KV_REPLICAS; i++) {
        struct kv_message state = ask_replica(i, &question);
        if (state.key != first.key || state.value != first.value)
            return false;
    }
    return true;
}

static void check_recovery(struct kv *kv)
{
    struct client c = {.kv = kv};
    for (int i = 0; i < CLIENTS; i++)
        for (int key = 0; key < KEYS; key++) {
            struct kv_message message;
            do
                message = (struct kv_message){.kind = KV_GET, .key = key_of(i, key)};
            while (ask(&c, &message) != 0 && weir_sleep(50 * WEIR_MS) == 0);
            CHECK_EQ(message.result, 0);
            CHECK_GE(message.value, kv->promise[i][key].acked);
            CHECK_LE(message.value, kv->promise[i][key].asked);
        }
    weir_close(&c.sock);
    while (!logs_are_equal())
        CHECK_EQ(weir_sleep(50 * WEIR_MS), 0);
}

static int test(void *arg)
{
    struct kv kv = {.node = {0}};
    struct keeper keeper[KV_REPLICAS];
    struct client clients[CLIENTS];
    int node[CLIENTS];
    (void)arg;
    WEIR_SCOPE(keepers, WEIR_ALL);
    for (int i = 0; i < KV_REPLICAS; i++) {
        kv.node[i] = weir_sim_node(WEIR_SIM_NODE_OPTS(.name = kv_name(i)), kv_replica, kv_name(i));
        CHECK_GT(kv.node[i], 0);
        keeper[i] = (struct keeper){&kv, i};
        CHECK_EQ(weir_spawn(&keepers, keep, &keeper[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.kv = &kv, .index = i};
        node[i] = weir_sim_node(NULL, client, &clients[i]);
        CHECK_GT(node[i], 0);
    }
    for (int i = 0; i < TROUBLES; i++) {
        CHECK_EQ(weir_sleep((weir_ns)weir_random_below(600) * WEIR_MS), 0);
        make_trouble(&kv);
    }
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weir_sim_wait(node[i]), 0);
    CHECK_EQ(weir_sim_heal(), 0);
    WEIR_WITHIN(RECOVERY);
    (void)weir_sim_crash(kv.node[0]); /* its keeper starts it again */
    check_majority(&kv);
    check_recovery(&kv);
    weir_scope_cancel(&keepers);
    return 0;
}

int main(void)
{
    return scenario_run(test);
}
