/* SPDX-License-Identifier: MIT */
/*
 * elf -- the functions that a program or library names, read from its file.
 *
 * The names are those of the full table (.symtab), which has static functions too, and of a stripped
 * file those that it exports (.dynsym). The file is read and closed: what is kept is the caller's
 * copy. Nothing in it is believed that does not fit into the file.
 */
#ifndef WI_BASE_ELF_H
#define WI_BASE_ELF_H

#include <link.h>
#include <stddef.h>
#include <stdint.h>

struct wi_elf_function {
    uint64_t start; /* as the file counts, before it is loaded somewhere */
    uint32_t bytes; /* 0: up to the next one */
    uint32_t name;  /* where in `names` */
    uint32_t rank;  /* of several names at one place the lowest counts */
};

struct wi_elf {
    struct wi_elf_function *functions; /* by start, one at each */
    size_t count;
    char *names;
};

/* Reads the functions of a file whose program headers are these, so that it is the one that was
 * loaded. NULL: of any file. Everything that goes wrong gives none. */
void wi_elf_read(struct wi_elf *elf, const char *path, const ElfW(Phdr) * headers, size_t count);

void wi_elf_free(struct wi_elf *elf);

/* The function that has this place, or NULL. */
const struct wi_elf_function *wi_elf_find(const struct wi_elf *elf, uint64_t place);

#endif /* WI_BASE_ELF_H */
