/* SPDX-License-Identifier: MIT */
/*
 * process -- what a test needs to know of its process, and to take away from it.
 *
 * Nothing here opens a descriptor that stays, or allocates, so that what it counts is the work of
 * the code under test. Whatever cannot be done is a failed check, or a skip where the machine is to
 * blame.
 */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stddef.h>

/* The code is compiled with a sanitizer, whose shadow and allocator blur what memory costs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROCESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PROCESS_SANITIZED 1
#endif
#endif
#ifndef PROCESS_SANITIZED
#define PROCESS_SANITIZED 0
#endif

/* Open descriptors, counted without one. */
unsigned process_fds(void);

struct process_maps {
    unsigned count;
    size_t bytes;
};

/* Mappings of the process: /proc/self/maps. */
struct process_maps process_maps(void);

/* Threads of the process: /proc/self/task. */
unsigned process_threads(void);

/* Waits until so many of them have this name (a sanitizer has threads of its own, and one that was
 * joined is in /proc for a moment more). Ten seconds of anything else fail. */
void process_wait_threads(const char *name, unsigned count);

/* How often the one thread of this name was switched in or out so far. One that stays blocked makes no
 * system call, so if this stands still, none was made. */
unsigned long process_switches(const char *name);

/* Waits until the thread, of this process, sleeps in the kernel. */
void process_wait_asleep(int thread);

/* Runs the function in a child; its failed check fails the case, its skip skips it. */
void process_in_child(void (*fn)(void *arg), void *arg);

/* From now on the system call fails with this errno, as the filters of container runtimes do. */
void process_refuse(int syscall_number, int err);

/* Sets the soft limit of a resource (RLIMIT_*); the hard one stays. */
void process_limit(int resource, size_t soft);

/* Becomes a user without privileges; skips where this one may not. */
void process_become_nobody(void);

#endif /* SUPPORT_PROCESS_H */
