/* SPDX-License-Identifier: MIT */
/* A dump shows every task of a core, and what is around it (A15, B3). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "support/bare.h"
#include "support/dumps.h"
#include "support/host.h"
#include "support/lines.h"
#include "support/net.h"
#include "weir/core.h"

enum { HOUR = 3600 };

/* ---- states ---- */

static int sleep_an_hour(void *arg)
{
    CHECK_EQ(weir_set_name(arg), 0);
    int rc = weir_sleep(HOUR * WEIR_SEC);
    return rc == -ECANCELED ? 0 : -EIO;
}

/* Main has the scope; the name is a literal. */
static void spawn_sleeper(struct weir_scope *scope, const char *name)
{
    CHECK_EQ(weir_spawn(scope, sleep_an_hour, (void *)(uintptr_t)name), 0);
}

static int return_42(void *arg)
{
    (void)arg;
    return 42;
}

static int yield_until_cancelled(void *arg)
{
    (void)arg;
    while (weir_yield() == 0)
        ;
    return 0;
}

static void check_states(void)
{
    char *text = dumps_take(weir_dump), *json = dumps_take(weir_dump_json);
    dumps_expect(text, "6 tasks on ");
    dumps_expect(text, ": 1 running, 2 queued, 1 parked, 1 claimed, 1 ended; ");
    dumps_expect(text, "waiting: 1 for an instant\n");
    dumps_expect(text, "task 1 \"main\" running\n    in the root scope; runs ");
    dumps_expect(text, " return_42 ended with 42, not waited for\n");
    dumps_expect(text, " return_42 queued, has not run yet\n");
    dumps_expect(text, " yield_until_cancelled queued\n");
    dumps_expect(text, " claimed, not spent\n    in \"main\"\n");
    dumps_expect(json, "\"counts\":{\"running\":1,\"queued\":2,\"parked\":1,\"claimed\":1,"
                       "\"ended\":1}");
    dumps_expect(json, "\"waits\":{\"for an instant\":1}");
    dumps_expect(json, "\"result\":42}");
    CHECK_EQ(dumps_count(json, "{\"id\":"), 6);
    free(text);
    free(json);
}

static int be_in_all_states(void *arg)
{
    weir_task ended;
    struct weir_claim claim;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn_sleeper(&scope, "sleeper");
    CHECK_EQ(weir_spawn_task(&scope, return_42, NULL, &ended), 0);
    CHECK_EQ(weir_try_claim(&scope, &claim), 0);
    CHECK_EQ(weir_spawn(&scope, yield_until_cancelled, NULL), 0);
    CHECK_EQ(weir_yield(), 0);
    CHECK_EQ(weir_spawn(&scope, return_42, NULL), 0);
    check_states();
    return 0;
}

CASE(dump_shows_tasks_in_all_states)
{
    CHECK_EQ(net_run(be_in_all_states, NULL), 0);
}

/* ---- time ---- */

static int watch_it_grow(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    weir_ns start = weir_now(), last = -1;
    spawn_sleeper(&scope, "sleeper");
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weir_sleep(3 * WEIR_MS), 0);
        char *json = dumps_json_of("sleeper");
        weir_ns since = dumps_number(json, "for_ns");
        CHECK_GE(since, last + (i == 0 ? 0 : 3 * WEIR_MS));
        CHECK_LE(since, weir_now() - start + WEIR_SEC); /* the core's stamp may be older */
        CHECK_LE(dumps_number(json, "until_in_ns"), HOUR * WEIR_SEC - 3 * i * WEIR_MS);
        CHECK_GT(dumps_number(json, "until_in_ns"), (HOUR - 60) * WEIR_SEC);
        last = since;
        free(json);
    }
    return 0;
}

CASE(dump_tells_how_long_a_task_has_waited)
{
    CHECK_EQ(net_run(watch_it_grow, NULL), 0);
}

/* ---- what is around a task ---- */

static int be_inner(void *arg)
{
    return sleep_an_hour(arg) + 1;
}

static int be_outer(void *arg)
{
    (void)arg;
    CHECK_EQ(weir_set_name("outer"), 0);
    WEIR_SCOPE(first, WEIR_ALL);
    WEIR_SCOPE(second, WEIR_ALL);
    CHECK_EQ(weir_spawn(&second, be_inner, (void *)(uintptr_t) "inner"), 0); // NOLINT
    return weir_scope_wait(&second);
}

static int nest(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, be_outer, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    char *text = dumps_of("inner"), *inner = dumps_json_of("inner"),
         *outer = dumps_json_of("outer");
    dumps_expect(text, "in \"main\" / \"outer\"; runs be_inner; spawned by be_outer+0x");
    dumps_expect(inner, "\"path\":[\"main\",\"outer\"]");
    dumps_expect(inner, "\"spawned\":{\"function\":\"be_outer\",");
    CHECK_EQ(dumps_number(inner, "parent"), dumps_number(outer, "id"));
    CHECK_EQ(dumps_number(outer, "parent"), (int64_t)weir_task_id());
    free(text);
    free(inner);
    free(outer);
    return 0;
}

CASE(dump_names_the_tasks_around_a_task)
{
    CHECK_EQ(net_run(nest, NULL), 0);
}

static int nest_deeper(void *arg)
{
    int depth = (int)(intptr_t)arg;
    if (depth == 0)
        return sleep_an_hour((void *)(uintptr_t) "deep"); // NOLINT
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, nest_deeper, (void *)(intptr_t)(depth - 1)), 0); // NOLINT
    return weir_scope_wait(&scope);
}

static int nest_deep(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, nest_deeper, (void *)(intptr_t)40), 0); // NOLINT
    for (int i = 0; i < 45; i++)
        CHECK_EQ(weir_yield(), 0);
    char *text = dumps_of("deep"), *json = dumps_json_of("deep");
    dumps_expect(text, "in ... / nest_deeper / ");
    CHECK_EQ(dumps_count(text, "nest_deeper / "), 15);
    dumps_expect(json, "\"path\":[\"...\",\"nest_deeper\",");
    free(text);
    free(json);
    return 0;
}

CASE(dump_cuts_a_long_way_to_the_root)
{
    CHECK_EQ(net_run(nest_deep, NULL), 0);
}

/* ---- deadlines, shields, cancellation ---- */

static int sleep_under_deadlines(void *arg)
{
    WEIR_WITHIN(HOUR / 2 * WEIR_SEC);
    WEIR_WITHIN(HOUR * WEIR_SEC);
    return sleep_an_hour(arg) + 1;
}

static int sleep_shielded(void *arg)
{
    WEIR_WITHIN(HOUR / 4 * WEIR_SEC);
    WEIR_SHIELD(HOUR / 2 * WEIR_SEC);
    int rc = sleep_an_hour(arg);
    return rc == -EIO ? 0 : rc; /* the shield is pierced when main has seen it */
}

static int yield_on(void *arg)
{
    bool *stop = arg;
    WEIR_SHIELD(HOUR * WEIR_SEC);
    while (!*stop)
        CHECK_EQ(weir_yield(), 0);
    return 0;
}

static int wait_cancelled(void *arg)
{
    CHECK_EQ(weir_set_name("closing"), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, yield_on, arg), 0);
    CHECK_EQ(weir_yield(), 0);
    weir_scope_close(&scope); /* nothing stops that, but it is cancelled all the same */
    return 0;
}

static int run_expired(void *arg)
{
    const bool *stop = arg;
    CHECK_EQ(weir_set_name("late"), 0);
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, yield_on, arg), 0);
    CHECK_EQ(weir_yield(), 0);
    WEIR_WITHIN(0);
    weir_scope_close(&scope);
    CHECK(*stop);
    return 0;
}

static void check_cover(const char *name, const char *words, weir_ns deadline,
                        const char *json_words)
{
    char *text = dumps_of(name), *json = dumps_json_of(name);
    dumps_expect(text, words);
    dumps_expect(json, json_words);
    CHECK_EQ(dumps_count(json, "deadline_in_ns"), deadline != WEIR_FOREVER);
    if (deadline != WEIR_FOREVER) {
        CHECK_LE(dumps_number(json, "deadline_in_ns"), deadline);
        CHECK_GE(dumps_number(json, "deadline_in_ns"), deadline - 60 * WEIR_SEC);
    }
    free(text);
    free(json);
}

static int cover(void *arg)
{
    bool stop = false;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, sleep_under_deadlines, (void *)(uintptr_t) "timed"), 0); // NOLINT
    CHECK_EQ(weir_spawn(&scope, sleep_shielded, (void *)(uintptr_t) "shielded"), 0);     // NOLINT
    CHECK_EQ(weir_spawn(&scope, wait_cancelled, &stop), 0);
    CHECK_EQ(weir_spawn(&scope, run_expired, &stop), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weir_yield(), 0);
    check_cover("timed", "in \"main\"; deadline in 1", HOUR / 2 * WEIR_SEC,
                "\"canceled\":false,\"expired\":false,\"shielded\":false");
    check_cover("shielded", "in \"main\"; deadline in 1", HOUR / 2 * WEIR_SEC,
                "\"canceled\":false,\"expired\":false,\"shielded\":true");
    check_cover("late", "in \"main\"; deadline has passed", 0,
                "\"canceled\":false,\"expired\":true,\"shielded\":false");
    weir_scope_cancel(&scope);
    check_cover("shielded", "; shielded; cancelled around the shield; ", HOUR / 2 * WEIR_SEC,
                "\"canceled\":false,\"expired\":false,\"shielded\":true");
    check_cover("closing", "in \"main\"; cancelled; ", WEIR_FOREVER,
                "\"canceled\":true,\"expired\":false,\"shielded\":false");
    stop = true;
    CHECK_EQ(weir_stop(0, 0), 1); /* for the shielded one */
    return 0;
}

CASE(dump_tells_of_deadlines_shields_and_cancellation)
{
    CHECK_EQ(net_run(cover, NULL), 0);
}

/* ---- who waits for the same ---- */

struct wanted {
    weir_listener listener;
    weir_task task;
};

static int accept_one(void *arg)
{
    const struct wanted *wanted = arg;
    weir_sock sock;
    int rc = weir_accept(wanted->listener, &sock);
    return rc == -ECANCELED ? 0 : -EIO;
}

static int wait_for_task(void *arg)
{
    struct wanted *wanted = arg;
    CHECK_EQ(weir_set_name("waiter"), 0);
    return weir_task_wait(&wanted->task) + 1;
}

static int want_the_same(void *arg)
{
    struct wanted wanted;
    char at[WEIR_ADDR_TEXT_MAX];
    (void)arg;
    wanted.listener = net_listen(NET_V4, NULL, at);
    {
        WEIR_SCOPE(scope, WEIR_ALL);
        CHECK_EQ(weir_spawn_task(&scope, sleep_an_hour, (void *)(uintptr_t) "sleeper", // NOLINT
                                 &wanted.task),
                 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weir_spawn(&scope, accept_one, &wanted), 0);
        CHECK_EQ(weir_spawn(&scope, wait_for_task, &wanted), 0);
        CHECK_EQ(weir_yield(), 0);
        char *text = dumps_take(weir_dump), *json = dumps_json_of("waiter"), words[80];
        char *sleeper = dumps_json_of("sleeper");
        int64_t other = dumps_number(json, "object") == 1 ? 2 : 1;
        (void)snprintf(words, sizeof words, ", object %d\n", (int)other);
        CHECK_EQ(dumps_count(text, words), 2);
        (void)snprintf(words, sizeof words, "for a task to end: task %d \"sleeper\"\n",
                       (int)dumps_number(sleeper, "id"));
        dumps_expect(text, words);
        CHECK_EQ(dumps_number(json, "task"), dumps_number(sleeper, "id"));
        free(text);
        free(json);
        free(sleeper);
    }
    return weir_listener_close(&wanted.listener);
}

CASE(dump_gives_the_same_object_the_same_number)
{
    CHECK_EQ(net_run(want_the_same, NULL), 0);
}

enum { ALIKE = 100 };

static int be_alike(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < ALIKE; i++)
        spawn_sleeper(&scope, "sheep");
    CHECK_EQ(weir_yield(), 0);
    char *text = dumps_take(weir_dump), *json = dumps_take(weir_dump_json);
    CHECK_EQ(dumps_count(text, "\"sheep\""), 2);
    dumps_expect(text, "    ... and 98 more like it\n");
    CHECK_EQ(dumps_count(json, "\"sheep\""), ALIKE);
    free(text);
    free(json);
    return 0;
}

CASE(dump_folds_tasks_that_are_alike)
{
    CHECK_EQ(net_run(be_alike, NULL), 0);
}

/* ---- backtraces ---- */

static __attribute__((noinline)) int wait_in_here(void *arg)
{
    return sleep_an_hour(arg) + 1;
}

static int go_there(void *arg)
{
    return wait_in_here(arg) + 1;
}

static int go_there_barely(void *arg)
{
    return bare_outer(go_there, arg) + 1;
}

static int trace(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_spawn(&scope, go_there_barely, (void *)(uintptr_t) "sleeper"), 0); // NOLINT
    CHECK_EQ(weir_yield(), 0);
    char *text = dumps_of("sleeper"), *rest = text;
    static const char *const names[] = {"weir_sleep",     "wait_in_here+0x", "go_there+0x",
                                        "bare_middle+0x", "bare_outer+0x",   "go_there_barely+0x"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        dumps_expect(rest, names[i]);
        rest = strstr(rest, names[i]);
    }
    CHECK_EQ(dumps_count(text, "hand_over"), 0);
    CHECK_EQ(dumps_count(rest, "    #"), 0); /* it was the last one */
    free(text);
    return 0;
}

CASE(dump_traces_static_functions_and_those_without_frame_pointers)
{
    CHECK_EQ(net_run(trace, NULL), 0);
}

/* ---- for programs ---- */

static const char check_script[] =
    "import json, sys\n"
    "d = json.load(sys.stdin)\n"
    "t = d['tasks']\n"
    "assert len({x['id'] for x in t}) == len(t) == sum(d['counts'].values()), d['counts']\n"
    "for s, n in d['counts'].items(): assert n == sum(x['state'] == s for x in t), s\n"
    "for w, n in d['waits'].items():\n"
    "    assert n == sum(x.get('wait', {}).get('what') == w for x in t), w\n"
    "assert '\"\\\\\\n\\x01\\ufffd\\u20ac' in [x.get('name') for x in t]\n"
    "for x in t:\n"
    "    assert x.get('parent', 1) in {y['id'] for y in t}\n"
    "    if x['state'] == 'parked': assert x['backtrace'] and x['wait']['for_ns'] >= 0\n"
    "    for f in x.get('backtrace', []): assert int(f['address'], 16) > 0 and f['offset'] >= 0\n";

static int hand_to_python(void *arg)
{
    struct weir_claim claim;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    spawn_sleeper(&scope, "\"\\\n\x01\xff\xe2\x82\xac");
    CHECK_EQ(weir_spawn(&scope, be_outer, NULL), 0);
    CHECK_EQ(weir_try_claim(&scope, &claim), 0);
    CHECK_EQ(weir_yield(), 0);
    char *json = dumps_take(weir_dump_json), command[sizeof check_script + 32];
    CHECK_EQ(dumps_count(json, "\n"), 1);
    (void)snprintf(command, sizeof command, "python3 -c \"$CHECK_SCRIPT\"");
    CHECK_EQ(setenv("CHECK_SCRIPT", check_script, 1), 0);
    FILE *python = popen(command, "w"); // NOLINT: a test's own words
    CHECK_NE(python, NULL);
    CHECK_NE(fputs(json, python), EOF);
    CHECK_EQ(pclose(python), 0);
    free(json);
    return 0;
}

CASE(dump_as_json_is_json)
{
    if (system("python3 -c 'import json' 2>/dev/null") != 0) // NOLINT: a test's own words
        SKIP("there is no python3");
    CHECK_EQ(net_run(hand_to_python, NULL), 0);
}

/* ---- from where ---- */

CASE(dump_outside_of_a_run_says_so)
{
    char *text = dumps_take(weir_dump), *json = dumps_take(weir_dump_json);
    CHECK(strncmp(text, "weir: no dump: ", 15) == 0);
    CHECK_EQ(dumps_count(text, "\n"), 1);
    CHECK(strncmp(json, "{\"error\":\"", 10) == 0);
    CHECK_STR_EQ(json + strlen(json) - 3, "\"}\n");
    free(text);
    free(json);
}

CASE(dump_by_the_driver_of_a_core)
{
    static struct lines lines;
    struct weir_core *core;
    CHECK_EQ(host_core_open(WEIR_OPTS(.log = lines_take, .log_user = &lines), &core), 0);
    spawn_sleeper(weir_core_root(core), "sleeper");
    CHECK_GE(weir_core_run_once(core, 0), 0);
    char *text = dumps_take(weir_dump), *json = dumps_json_of("sleeper");
    dumps_expect(text, "1 task on ");
    dumps_expect(text, ": 1 parked; ");
    dumps_expect(text, "    in the root scope; runs sleep_an_hour; ");
    dumps_expect(json, "\"path\":[]");
    CHECK_EQ(dumps_count(json, "\"parent\""), 0);
    free(text);
    free(json);
    CHECK_EQ(weir_core_close(core), 0);
}

static int dump_on_a_small_stack(void *arg)
{
    weir_dump(arg);
    weir_dump_json(arg);
    return 0;
}

CASE(dump_fits_a_small_stack)
{
    if (NET_SANITIZED)
        SKIP("its frames are larger");
    FILE *out = tmpfile();
    CHECK_NE(out, NULL);
    CHECK_EQ(setvbuf(out, NULL, _IONBF, 0), 0);
    CHECK_EQ(weir_run(WEIR_OPTS(.stack_bytes = 16384), dump_on_a_small_stack, out), 0);
    CHECK_GT(ftell(out), 500);
    CHECK_EQ(fclose(out), 0);
}

/* ---- many ---- */

enum { MANY = 10000 };

static int sleep_deeper(void *arg)
{
    return bare_outer(go_there, arg) + 1;
}

static weir_ns time_of(void (*dump)(FILE *), const char *part, unsigned times)
{
    weir_ns start = net_cpu_time(); /* so that others on this machine do not count */
    char *text = dumps_take(dump);
    weir_ns took = net_cpu_time() - start;
    CHECK_EQ(dumps_count(text, part), times);
    free(text);
    return took;
}

static int dump_many(void *arg)
{
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    unsigned many = NET_TIMES(MANY);
    for (unsigned i = 0; i < many; i++)
        CHECK_EQ(weir_spawn(&scope, sleep_deeper, (void *)(uintptr_t) "one of many"), 0); // NOLINT
    while (weir_yield() == 0) {
        struct weir_stats stats = {.size = sizeof stats};
        CHECK_EQ(weir_stats(&stats), 0);
        if (stats.tasks_ready == 0)
            break;
    }
    struct weir_stats before = {.size = sizeof before}, after = before;
    CHECK_EQ(weir_stats(&before), 0);
    weir_ns text = time_of(weir_dump, "more like it", 1);
    weir_ns json = time_of(weir_dump_json, "one of many", many);
    CHECK_EQ(weir_stats(&after), 0);
    CHECK_EQ(memcmp(&before, &after, sizeof after), 0);
    (void)fprintf(stderr, "%u tasks: text %lld us, JSON %lld us\n", many, (long long)text / 1000,
                  (long long)json / 1000);
    if (!NET_SANITIZED) {
        CHECK_LE(text, WEIR_SEC);
        CHECK_LE(json, WEIR_SEC);
    }
    weir_scope_cancel(&scope);
    return weir_scope_wait(&scope);
}

CASE(dump_of_10000_tasks_takes_less_than_a_second)
{
    CHECK_EQ(net_run(dump_many, NULL), 0);
}

/* ---- a deadlock ---- */

static int sleep_for_ever(void *arg)
{
    CHECK_EQ(weir_set_name(arg), 0);
    CHECK_EQ(weir_sleep(WEIR_FOREVER), -ECANCELED);
    return 0;
}

static int lock_up(void *arg)
{
    static const char *const names[] = {"first", "second", "third", "fourth"};
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weir_spawn(&scope, sleep_for_ever, (void *)(uintptr_t)names[i]), 0); // NOLINT
    return weir_scope_wait(&scope);
}

CASE(dump_of_a_deadlock_is_in_the_log_and_complete)
{
    static struct lines lines;
    CHECK_EQ(weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines), lock_up, NULL), -EDEADLK);
    lines_expect(&lines, WEIR_LOG_ERROR, "deadlock: nothing can ever wake");
    lines_expect(&lines, WEIR_LOG_ERROR, "5 tasks on ");
    lines_expect(&lines, WEIR_LOG_ERROR, "\"fourth\" parked ");
    lines_expect(&lines, WEIR_LOG_ERROR, " for an instant that never comes");
    lines_expect(&lines, WEIR_LOG_ERROR, "for the tasks of a scope, 4 of them, object 1");
    lines_expect(&lines, WEIR_LOG_ERROR, "sleep_for_ever+0x");
    CHECK_GT(lines.of_level[WEIR_LOG_ERROR], 20); /* more than the log lets through in a second */
    CHECK(lines_find(&lines, WEIR_LOG_ERROR, "\n") == NULL);
}

CASE(dump_of_a_deadlock_respects_a_silent_log)
{
    static struct lines lines;
    CHECK_EQ(
        weir_run(WEIR_OPTS(.log = lines_take, .log_user = &lines, .log_level = WEIR_LOG_SILENT),
                 lock_up, NULL),
        -EDEADLK);
    CHECK_EQ(lines.count, 0);
}
