/* SPDX-License-Identifier: MIT */
/*
 * symbols -- what an address in this program is called: "function+0x1a", or else "libx.so+0x1234".
 *
 *     objects of the dynamic linker, by address     each one's file is read at the first address in it
 *     [program] [libc.so.6] [libx.so] ...           (elf.h), or never
 *
 * It knows what was loaded when it was opened. Whatever cannot be known, for want of memory, of a
 * file or of names in it, costs the name and no more. One thread, in no signal handler.
 */
#ifndef WI_BASE_SYMBOLS_H
#define WI_BASE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct wi_symbols_object;

struct wi_symbols {
    struct wi_symbols_object *objects;
    size_t count, room;
};

struct wi_symbol {
    const char *function; /* NULL: unknown. Good until the symbols are closed. */
    const char *object;   /* the last part of its file's name; NULL: nothing is loaded there */
    uintptr_t offset; /* in the function, else in the object as its file counts, else all of it */
};

void wi_symbols_open(struct wi_symbols *symbols);
void wi_symbols_close(struct wi_symbols *symbols);

struct wi_symbol wi_symbols_find(struct wi_symbols *symbols, const void *address);

/* As it is printed, cut at `size` with its zero. */
void wi_symbol_print(const struct wi_symbol *symbol, char *text, size_t size);

#endif /* WI_BASE_SYMBOLS_H */
