/* SPDX-License-Identifier: MIT */
/* A world is repeated: by its seed in any process, by its record under any seed; families are apart. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/sim.h"
#include "check.h"
#include "support/busy.h"
#include "support/dir.h"
#include "weir.h"

/* ---- other processes ---- */

enum { PROCESSES = 100 };

static const char *const presets[] = {"calm", "lossy", "hostile", "swarm"};
enum { PRESETS = sizeof presets / sizeof *presets };

/* What a process says: what its worlds came to, and where its stack, heap and code are. */
struct word {
    uint64_t hash, results, steps, time;
    const void *address[3];
};

static void run_worlds(struct word *word)
{
    struct busy busy;
    for (unsigned i = 0; i < PRESETS; i++) {
        CHECK_EQ(busy_run(&busy, 1 + i, WEIR_SIM_OPTS(.faults = presets[i])), 0);
        word->hash = wi_sim_mix(word->hash ^ busy.report.hash);
        word->results = wi_sim_mix(word->results ^ busy.results);
        word->steps += busy.report.steps;
        word->time += (uint64_t)busy.report.time;
    }
}

/* Each further down the stack, with other rubbish on it. */
__attribute__((noinline)) static void run_deep(struct word *word, unsigned depth)
{
    volatile char rubbish[1024];
    memset((void *)(uintptr_t)rubbish, (int)depth, sizeof rubbish);
    if (depth > 0)
        run_deep(word, depth - 1);
    else
        run_worlds(word);
    CHECK_EQ(rubbish[depth % sizeof rubbish], (char)depth);
}

/* Not a test: one of the hundred, whose number is in the environment and whose ear is stdout. */
static void be_one(void);
__attribute__((constructor)) static void register_one(void)
{
    static struct check_case c = {"one", be_one, NULL};
    check_register(&c);
}

static void be_one(void)
{
    const char *number = getenv("ONE_OF_THEM");
    struct word word = {0};
    CHECK(number != NULL);
    run_deep(&word, (unsigned)strtoul(number, NULL, 10) % 32);
    void *heap = malloc(1);
    word.address[0] = &word;
    word.address[1] = heap;
    word.address[2] = (const void *)(uintptr_t)be_one;
    CHECK_EQ(write(STDOUT_FILENO, &word, sizeof word), sizeof word);
    free(heap);
}

/* Another working directory, name and environment each; does not return. */
static void become(unsigned number, const char *program, int ear)
{
    static const char *const places[] = {"/", "/tmp", "/proc/self", "/usr"};
    char name[PATH_MAX], mark[64], filler[4096], lang[] = "LC_ALL=C", backend[] = "WEIR_STACK=junk";
    char zero[] = "one", *argv[] = {name, zero, NULL};
    char *env[] = {mark, filler, lang, backend, NULL};
    memset(name, 'x', sizeof name);
    name[number * 37 % 1000] = 0;
    (void)snprintf(mark, sizeof mark, "ONE_OF_THEM=%u", number);
    memset(filler, 'y', sizeof filler);
    memcpy(filler, "FILLER=", 7);
    filler[8 + number * 131 % 4000] = 0;
    env[2 + number % 3] = NULL;
    CHECK_EQ(dup2(ear, STDOUT_FILENO), STDOUT_FILENO);
    CHECK_EQ(chdir(places[number % 4]), 0);
    (void)execve(program, argv, env);
    _exit(126);
}

static struct word hear(unsigned number, const char *program)
{
    int ear[2], status;
    struct word word;
    CHECK_EQ(pipe2(ear, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0)
        become(number, program, ear[1]);
    close(ear[1]);
    ssize_t n = read(ear[0], &word, sizeof word);
    close(ear[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(n, sizeof word);
    return word;
}

/* Whether the kernel gives every process other addresses. */
static bool addresses_move(void)
{
    char level = '0';
    int fd = open("/proc/sys/kernel/randomize_va_space", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, &level, 1);
        close(fd);
    }
    return level == '2' && (personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0;
}

CASE(a_hundred_processes_come_to_the_same)
{
    char program[PATH_MAX];
    bool moved = false;
    if (getenv("WEIR_TEST_EMULATED") != NULL)
        SKIP("a program under qemu-user does not find its emulator");
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    CHECK_GT(len, 0);
    program[len] = 0;
    struct word first = hear(0, program);
    for (unsigned i = 1; i < PROCESSES; i++) {
        struct word word = hear(i, program);
        CHECK_EQ(word.hash, first.hash);
        CHECK_EQ(word.results, first.results);
        CHECK_EQ(word.steps, first.steps);
        CHECK_EQ(word.time, first.time);
        moved |= memcmp(word.address, first.address, sizeof word.address) != 0;
    }
    if (addresses_move())
        CHECK(moved);
}

/* ---- records ---- */

static void check_same_file(const char *a, const char *b)
{
    int x, y;
    FILE *file[2] = {fopen(a, "re"), fopen(b, "re")};
    CHECK(file[0] != NULL && file[1] != NULL);
    do {
        x = getc(file[0]);
        y = getc(file[1]);
        CHECK_EQ(x, y);
    } while (x != EOF);
    (void)fclose(file[0]);
    (void)fclose(file[1]);
}

static void check_record(const char *preset)
{
    struct busy first, again;
    dir_make();
    char first_path[PATH_MAX], again_path[PATH_MAX];
    (void)snprintf(first_path, sizeof first_path, "%s", dir_path("first"));
    (void)snprintf(again_path, sizeof again_path, "%s", dir_path("again"));
    for (uint64_t seed = 1; seed <= 5; seed++) {
        CHECK_EQ(busy_run(&first, seed, WEIR_SIM_OPTS(.faults = preset, .record = first_path)), 0);
        CHECK_EQ(
            busy_run(&again, seed + 1000,
                     WEIR_SIM_OPTS(.faults = preset, .replay = first_path, .record = again_path)),
            0);
        CHECK_EQ(again.report.hash, first.report.hash);
        CHECK_EQ(again.results, first.results);
        CHECK_EQ(again.report.steps, first.report.steps);
        check_same_file(first_path, again_path);
    }
    dir_remove();
}

CASE(a_record_repeats_a_calm_world_under_another_seed)
{
    check_record("calm");
}

CASE(a_record_repeats_a_lossy_world_under_another_seed)
{
    check_record("lossy");
}

CASE(a_record_repeats_a_hostile_world_under_another_seed)
{
    check_record("hostile");
}

CASE(a_record_repeats_a_swarm_world_under_another_seed)
{
    check_record("swarm");
}

/* ---- what is beside the world ---- */

static void count_lines(enum weir_log_level level, const char *msg, void *user)
{
    (void)level, (void)msg;
    ++*(unsigned *)user;
}

CASE(what_is_logged_changes_nothing)
{
    unsigned lines = 0;
    struct busy silent, chatty;
    CHECK_EQ(busy_run(&silent, 3, WEIR_SIM_OPTS(.faults = "hostile")), 0);
    CHECK_EQ(busy_run(&chatty, 3,
                      WEIR_SIM_OPTS(.faults = "hostile", .log_level = WEIR_LOG_INFO,
                                    .log = count_lines, .log_user = &lines)),
             0);
    CHECK_GT(lines, 0);
    CHECK_EQ(chatty.report.hash, silent.report.hash);
    CHECK_EQ(chatty.results, silent.results);
}

static void *run_on_a_thread(void *arg)
{
    struct busy *busy = arg;
    for (uint64_t seed = 1; seed <= 5; seed++, busy++)
        CHECK_EQ(busy_run(busy, seed, WEIR_SIM_OPTS(.faults = "hostile")), 0);
    return NULL;
}

CASE(worlds_on_two_threads_do_not_meet)
{
    pthread_t thread;
    struct busy here[5], there[5];
    CHECK_EQ(pthread_create(&thread, NULL, run_on_a_thread, there), 0);
    (void)run_on_a_thread(here);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(there[i].report.hash, here[i].report.hash);
        CHECK_EQ(there[i].results, here[i].results);
    }
}

/* ---- families ---- */

struct apart {
    uint64_t disk, network; /* what their programs were told */
};

static void note(uint64_t *sum, int64_t result)
{
    *sum = wi_sim_mix(*sum ^ (uint64_t)result);
}

static int use_disk(void *arg)
{
    struct apart *apart = arg;
    char data[3000] = "";
    weir_file file;
    note(&apart->disk, weir_open(&file, "/f", WEIR_FILE_OPTS(.read = 1, .write = 1, .create = 1)));
    for (uint64_t i = 0; i < 200; i++) {
        data[i] = (char)i;
        note(&apart->disk, weir_write_at(file, data, sizeof data, i * 1000));
        if (i % 10 == 0)
            note(&apart->disk, weir_sync(file, 0));
        note(&apart->disk, weir_read_at(file, data, sizeof data, i * 500));
    }
    return weir_file_close(&file);
}

static int answer(void *arg)
{
    weir_sock s = *(weir_sock *)arg;
    char data[100];
    ssize_t n;
    while ((n = weir_recv(s, data, sizeof data)) > 0 && weir_send(s, data, (size_t)n) == 0)
        ;
    weir_close(&s);
    return 0;
}

static int use_network(void *arg)
{
    weir_listener listener;
    weir_sock s;
    (void)arg;
    WEIR_SCOPE(scope, WEIR_ALL);
    CHECK_EQ(weir_listen(&listener, ":7000", NULL), 0);
    while (weir_accept(listener, &s) == 0)
        CHECK_EQ(weir_spawn_copy(&scope, answer, &s, sizeof s), 0);
    weir_listener_close(&listener);
    return 0;
}

static void talk(struct apart *apart, weir_sock s)
{
    char data[100] = "";
    for (int i = 0; i < 50; i++) {
        WEIR_WITHIN(WEIR_SEC);
        note(&apart->network, weir_send(s, data, sizeof data));
        note(&apart->network, weir_recv_exact(s, data, sizeof data));
        note(&apart->network, weir_now());
    }
}

static int use_both(void *arg)
{
    struct apart *apart = arg;
    weir_sock s;
    CHECK_EQ(weir_sim_node(NULL, use_disk, apart), 1);
    CHECK_EQ(weir_sim_node(WEIR_SIM_NODE_OPTS(.name = "peer"), use_network, NULL), 2);
    CHECK_EQ(weir_sleep(WEIR_MS), 0);
    note(&apart->network, weir_dial(&s, "peer:7000", NULL));
    talk(apart, s);
    weir_close(&s);
    return weir_sim_wait(1);
}

/* The list of a family as a world of seed 7 drew it; the caller frees the lists. */
static void draw(const char *faults, struct apart *apart,
                 struct wi_choice_list lists[WI_SIM_FAMILIES])
{
    struct wi_why why = {""};
    *apart = (struct apart){0};
    (void)weir_sim_run(
        7,
        WEIR_SIM_OPTS(.faults = faults, .record = dir_path("record"), .log_level = WEIR_LOG_SILENT),
        use_both, apart);
    CHECK_EQ(wi_sim_record_read(lists, dir_path("record"), &why), 0);
}

/* The same questions had the same answers. */
static void check_equal(const struct wi_choice_list *a, const struct wi_choice_list *b)
{
    CHECK_GT(a->count, 0);
    CHECK_EQ(a->count, b->count);
    for (size_t i = 0; i < a->count; i++)
        CHECK_EQ(a->at[i], b->at[i]);
}

#define DISK_FAULTS "calm write_error=0.1 read_error=0.1 sync_error=0.3 file_short=0.3"

CASE(network_faults_leave_the_choices_of_disks_as_they_were)
{
    struct apart calm, lossy;
    struct wi_choice_list before[WI_SIM_FAMILIES], after[WI_SIM_FAMILIES];
    dir_make();
    draw(DISK_FAULTS " latency_ns_max=1000000", &calm, before);
    draw(DISK_FAULTS " latency_ns_max=1000000 loss=0.2 segment=0.5 reset=0.01 recv_short=0.3",
         &lossy, after);
    check_equal(&before[WI_SIM_DISK], &after[WI_SIM_DISK]);
    CHECK_EQ(lossy.disk, calm.disk);
    CHECK_NE(lossy.network, calm.network);
    CHECK_NE(before[WI_SIM_NETWORK].count, after[WI_SIM_NETWORK].count);
    wi_sim_record_free(before);
    wi_sim_record_free(after);
    dir_remove();
}

CASE(disk_faults_leave_the_choices_of_networks_as_they_were)
{
    struct apart calm, faulty;
    struct wi_choice_list before[WI_SIM_FAMILIES], after[WI_SIM_FAMILIES];
    dir_make();
    draw("calm loss=0.2 segment=0.5 latency_ns_max=1000000", &calm, before);
    draw(DISK_FAULTS " loss=0.2 segment=0.5 latency_ns_max=1000000", &faulty, after);
    check_equal(&before[WI_SIM_NETWORK], &after[WI_SIM_NETWORK]);
    CHECK_NE(faulty.disk, calm.disk);
    wi_sim_record_free(before);
    wi_sim_record_free(after);
    dir_remove();
}
