/* SPDX-License-Identifier: MIT */
/* What addresses are called, and what files that are damaged or stripped cost. */
#include "base/symbols.h"

#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/elf.h"
#include "check.h"
#include "support/process.h"
#include "weir.h"

static __attribute__((noinline)) int hidden_from_others(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}

static const char *name_of(struct wi_symbols *symbols, const void *address)
{
    static char text[256];
    struct wi_symbol symbol = wi_symbols_find(symbols, address);
    wi_symbol_print(&symbol, text, sizeof text);
    return text;
}

static const char *in_function(const void *function, unsigned offset)
{
    return (const char *)function + offset;
}

/* ---- what is loaded ---- */

CASE(symbols_name_a_static_function_and_the_place_in_it)
{
    struct wi_symbols symbols;
    const void *function = (const void *)(uintptr_t)hidden_from_others;
    CHECK_EQ(hidden_from_others(1), 2);
    wi_symbols_open(&symbols);
    CHECK_STR_EQ(name_of(&symbols, function), "hidden_from_others");
    CHECK_STR_EQ(name_of(&symbols, in_function(function, 1)), "hidden_from_others+0x1");
    CHECK(strstr(wi_symbols_find(&symbols, function).object, "unit.symbols") != NULL);
    wi_symbols_close(&symbols);
}

CASE(symbols_name_a_function_of_the_c_library)
{
    struct wi_symbols symbols;
    wi_symbols_open(&symbols);
    const void *function = (const void *)(uintptr_t)lfind; /* no sanitizer has it */
    struct wi_symbol symbol = wi_symbols_find(&symbols, function);
    CHECK_STR_EQ(symbol.function, "lfind");
    CHECK(strncmp(symbol.object, "libc.so", 7) == 0);
    CHECK_EQ(symbol.offset, 0);
    wi_symbols_close(&symbols);
}

CASE(symbols_leave_an_address_in_no_object_a_number)
{
    struct wi_symbols symbols;
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char text[32];
    CHECK(page != MAP_FAILED);
    wi_symbols_open(&symbols);
    struct wi_symbol symbol = wi_symbols_find(&symbols, page);
    CHECK_EQ(symbol.object, NULL);
    CHECK_EQ(symbol.function, NULL);
    (void)snprintf(text, sizeof text, "0x%lx", (unsigned long)(uintptr_t)page);
    CHECK_STR_EQ(name_of(&symbols, page), text);
    CHECK_STR_EQ(name_of(&symbols, NULL), "0x0");
    wi_symbols_close(&symbols);
    CHECK_STR_EQ(name_of(&symbols, page), text); /* closed, it knows nothing */
}

CASE(symbols_do_not_stretch_a_function_over_data)
{
    struct wi_symbols symbols;
    wi_symbols_open(&symbols);
    struct wi_symbol symbol = wi_symbols_find(&symbols, "a string of this program");
    CHECK_EQ(symbol.function, NULL);
    CHECK(symbol.object != NULL);
    CHECK_GT(symbol.offset, 0);
    wi_symbols_close(&symbols);
}

CASE(symbols_answer_100000_questions_at_once)
{
    struct wi_symbols symbols;
    const void *function = (const void *)(uintptr_t)hidden_from_others;
    wi_symbols_open(&symbols);
    (void)wi_symbols_find(&symbols, function);
    unsigned fds = process_fds();
    for (int i = 0; i < 100000; i++)
        CHECK_STR_EQ(wi_symbols_find(&symbols, function).function, "hidden_from_others");
    CHECK_EQ(process_fds(), fds);
    wi_symbols_close(&symbols);
}

CASE(symbols_are_cut_at_the_size_that_is_there)
{
    struct wi_symbol symbol = {.function = "function", .object = "object", .offset = 0x1a};
    char text[9] = "........";
    wi_symbol_print(&symbol, text, 4);
    CHECK_STR_EQ(text, "fun");
    CHECK_EQ(text[4], '.');
}

/* ---- stripped programs ---- */

/* Makes a copy of this program, in a place that the kernel forgets, by a command with two %s: the
 * file and the copy. Skips where the tool is missing. */
static const char *copy_by(const char *command)
{
    static char copy[64];
    char line[512], self[256];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK_GT(length, 0);
    self[length] = 0;
    (void)snprintf(copy, sizeof copy, "/tmp/weir-symbols-%d", (int)getpid());
    (void)snprintf(line, sizeof line, command, self, copy);
    if (system(line) != 0) // NOLINT: a test's own words
        SKIP("there is no such tool here");
    return copy;
}

static void tell_of_oneself(void)
{
    struct wi_symbols symbols;
    const void *function = (const void *)(uintptr_t)hidden_from_others;
    wi_symbols_open(&symbols);
    struct wi_symbol symbol = wi_symbols_find(&symbols, function);
    CHECK_EQ(symbol.function, NULL);
    CHECK(strstr(name_of(&symbols, function), "weir-symbols-") != NULL);
    CHECK(strstr(name_of(&symbols, function), "+0x") != NULL);
    wi_symbols_close(&symbols);
    exit(7);
}

CASE(symbols_of_a_stripped_program_are_places_in_it)
{
    if (getenv("WEIR_TEST_STRIPPED") != NULL)
        tell_of_oneself();
    const char *copy = copy_by("strip -s '%s' -o '%s' 2>/dev/null");
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) {
        CHECK_EQ(setenv("WEIR_TEST_STRIPPED", "1", 1), 0);
        execl(copy, copy, "symbols_of_a_stripped_program_are_places_in_it", (char *)NULL);
        _exit(9);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(unlink(copy), 0);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 7);
}

/* ---- files ---- */

static size_t functions_in(const char *path)
{
    struct wi_elf elf;
    wi_elf_read(&elf, path, NULL, 0);
    size_t count = elf.count;
    for (size_t i = 1; i < count; i++)
        CHECK_LT(elf.functions[i - 1].start, elf.functions[i].start);
    wi_elf_free(&elf);
    CHECK_EQ(wi_elf_find(&elf, 0), NULL);
    return count;
}

CASE(symbols_of_the_own_file_are_sorted)
{
    CHECK_GT(functions_in("/proc/self/exe"), 50);
}

CASE(symbols_of_what_is_no_program_are_none)
{
    CHECK_EQ(functions_in("/nowhere/at/all"), 0);
    CHECK_EQ(functions_in("/tmp"), 0);
    CHECK_EQ(functions_in("/dev/null"), 0);
    CHECK_EQ(functions_in("/proc/self/maps"), 0);
    CHECK_EQ(functions_in("/etc/passwd"), 0);
    CHECK_EQ(functions_in(""), 0);
}

CASE(symbols_of_a_file_with_other_headers_are_none)
{
    struct wi_elf elf;
    ElfW(Phdr) headers[64];
    memset(headers, 0, sizeof headers);
    for (size_t count = 0; count <= 64; count++) {
        wi_elf_read(&elf, "/proc/self/exe", headers, count);
        CHECK_EQ(elf.count, 0);
        wi_elf_free(&elf);
    }
}

static uint32_t next_random(uint32_t *state)
{
    return *state = *state * 1664525 + 1013904223;
}

/* The parts of a file that are believed: its head, its sections, a table of symbols. */
static char *own_file(size_t *bytes)
{
    struct stat stat;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK_GE(fd, 0);
    CHECK_EQ(fstat(fd, &stat), 0);
    *bytes = (size_t)stat.st_size;
    char *copy = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(copy != MAP_FAILED);
    close(fd);
    return copy;
}

static void read_from_memory(const char *bytes, size_t count)
{
    char path[64];
    int fd = memfd_create("damaged", MFD_CLOEXEC);
    CHECK_GE(fd, 0);
    for (size_t at = 0; at < count;) {
        ssize_t wrote = write(fd, bytes + at, count - at);
        CHECK_GT(wrote, 0);
        at += (size_t)wrote;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)functions_in(path);
    close(fd);
}

enum { PATCH = 8 };

CASE(symbols_of_a_damaged_file_harm_nobody)
{
    size_t bytes;
    char *file = own_file(&bytes), saved[PATCH];
    const ElfW(Ehdr) *head = (const void *)file;
    size_t sections = head->e_shoff, sections_bytes = head->e_shnum * sizeof(ElfW(Shdr));
    uint32_t state = 1;
    for (int round = 0; round < 30; round++) {
        size_t at = round % 3 == 0 ? next_random(&state) % (sizeof *head - PATCH)
                                   : sections + next_random(&state) % (sections_bytes - PATCH);
        memcpy(saved, file + at, PATCH);
        for (int i = 0; i < 1 + round % PATCH; i++)
            file[at + (size_t)i] = (char)next_random(&state);
        read_from_memory(file, bytes);
        memcpy(file + at, saved, PATCH);
    }
    for (size_t cut = 0; cut < 8; cut++)
        read_from_memory(file, cut == 0 ? 0 : bytes * cut / 8 + next_random(&state) % 64);
    munmap(file, bytes);
}

CASE(symbols_of_a_stripped_file_are_those_that_it_exports)
{
    const char *copy = copy_by("strip -s '%s' -o '%s' 2>/dev/null");
    size_t all = functions_in("/proc/self/exe"), left = functions_in(copy);
    CHECK_EQ(unlink(copy), 0);
    CHECK_LT(left, all / 2);
}
