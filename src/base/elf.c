/* SPDX-License-Identifier: MIT */
/* elf -- mechanism; the contract is in elf.h. */
#include "base/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTIONS_MAX = SHN_LORESERVE, NAME_RANKS = 16 };

struct file {
    int fd;
    uint64_t bytes;
    ElfW(Ehdr) head;
    ElfW(Shdr) * sections;
};

/* ---- bytes of the file ---- */

static bool read_at(const struct file *file, void *into, uint64_t bytes, uint64_t at)
{
    char *to = into;
    while (bytes > 0) {
        ssize_t got = pread(file->fd, to, bytes, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        at += (uint64_t)got;
        bytes -= (uint64_t)got;
    }
    return true;
}

/* A copy of a part of the file, with a zero byte behind it, or NULL. */
static void *copy_of(const struct file *file, uint64_t at, uint64_t bytes)
{
    if (at > file->bytes || bytes > file->bytes - at)
        return NULL;
    char *copy = malloc(bytes + 1);
    if (copy == NULL)
        return NULL;
    copy[bytes] = 0;
    if (read_at(file, copy, bytes, at))
        return copy;
    free(copy);
    return NULL;
}

static bool open_file(struct file *file, const char *path)
{
    struct stat stat;
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->fd < 0)
        return false;
    if (fstat(file->fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
        file->bytes = (uint64_t)stat.st_size;
        return true;
    }
    close(file->fd);
    return false;
}

/* ---- what it is ---- */

static bool is_native(const ElfW(Ehdr) * head)
{
    bool is_64 = sizeof(void *) == 8;
    return memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 &&
           head->e_ident[EI_CLASS] == (is_64 ? ELFCLASS64 : ELFCLASS32) &&
           head->e_ident[EI_DATA] ==
               (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB) &&
           head->e_phentsize == sizeof(ElfW(Phdr)) && head->e_shentsize == sizeof(ElfW(Shdr)) &&
           head->e_shnum < SECTIONS_MAX;
}

static bool has_headers(const struct file *file, const ElfW(Phdr) * headers, size_t count)
{
    if (headers == NULL)
        return true;
    if (file->head.e_phnum != count)
        return false;
    void *own = copy_of(file, file->head.e_phoff, count * sizeof *headers);
    bool same = own != NULL && memcmp(own, headers, count * sizeof *headers) == 0;
    free(own);
    return same;
}

/* ---- its functions ---- */

/* Of aliases the plainest is shown: fewest underscores in front, and rather one that others see. */
static uint32_t rank_of(const ElfW(Sym) * symbol, const char *name)
{
    uint32_t underscores = 0;
    while (underscores < NAME_RANKS && name[underscores] == '_')
        underscores++;
    return underscores * 2 + (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL);
}

static bool is_function(const ElfW(Sym) * symbol, uint64_t names_bytes)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol->st_shndx != SHN_UNDEF &&
           symbol->st_name != 0 && symbol->st_name < names_bytes;
}

static int by_start(const void *left, const void *right)
{
    const struct wi_elf_function *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

/* One function for each place: the first, as they are sorted. */
static size_t without_aliases(struct wi_elf_function *functions, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || functions[i].start != functions[kept - 1].start)
            functions[kept++] = functions[i];
    return kept;
}

static size_t gather(struct wi_elf *elf, const ElfW(Sym) * symbols, size_t count,
                     uint64_t names_bytes)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        if (!is_function(symbol, names_bytes))
            continue;
        elf->functions[found++] = (struct wi_elf_function){
            .start = symbol->st_value,
            .bytes = symbol->st_size < UINT32_MAX ? (uint32_t)symbol->st_size : UINT32_MAX,
            .name = symbol->st_name,
            .rank = rank_of(symbol, elf->names + symbol->st_name)};
    }
    qsort(elf->functions, found, sizeof *elf->functions, by_start);
    return without_aliases(elf->functions, found);
}

/* The functions of one table of symbols; whether there are any. */
static bool read_table(struct wi_elf *elf, const struct file *file, const ElfW(Shdr) * table)
{
    if (table->sh_entsize != sizeof(ElfW(Sym)) || table->sh_link >= file->head.e_shnum)
        return false;
    const ElfW(Shdr) *names = &file->sections[table->sh_link];
    size_t count = table->sh_size / sizeof(ElfW(Sym));
    ElfW(Sym) *symbols = copy_of(file, table->sh_offset, table->sh_size);
    if (symbols == NULL)
        return false;
    elf->names =
        names->sh_type == SHT_STRTAB ? copy_of(file, names->sh_offset, names->sh_size) : NULL;
    elf->functions = malloc((count + 1) * sizeof *elf->functions);
    if (elf->names != NULL && elf->functions != NULL)
        elf->count = gather(elf, symbols, count, names->sh_size);
    free(symbols);
    if (elf->count == 0)
        wi_elf_free(elf);
    return elf->count > 0;
}

static bool read_tables(struct wi_elf *elf, const struct file *file, unsigned type)
{
    for (unsigned i = 0; i < file->head.e_shnum; i++)
        if (file->sections[i].sh_type == type && read_table(elf, file, &file->sections[i]))
            return true;
    return false;
}

void wi_elf_read(struct wi_elf *elf, const char *path, const ElfW(Phdr) * headers, size_t count)
{
    struct file file = {.fd = -1};
    *elf = (struct wi_elf){0};
    if (!open_file(&file, path))
        return;
    if (file.bytes >= sizeof file.head && read_at(&file, &file.head, sizeof file.head, 0) &&
        is_native(&file.head) && has_headers(&file, headers, count))
        file.sections =
            copy_of(&file, file.head.e_shoff, file.head.e_shnum * sizeof *file.sections);
    if (file.sections != NULL && !read_tables(elf, &file, SHT_SYMTAB))
        (void)read_tables(elf, &file, SHT_DYNSYM);
    free(file.sections);
    close(file.fd);
}

void wi_elf_free(struct wi_elf *elf)
{
    free(elf->functions);
    free(elf->names);
    *elf = (struct wi_elf){0};
}

const struct wi_elf_function *wi_elf_find(const struct wi_elf *elf, uint64_t place)
{
    size_t low = 0, high = elf->count; /* the one sought starts before `high` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (elf->functions[middle].start <= place)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct wi_elf_function *at = &elf->functions[low - 1];
    bool reaches = at->bytes == 0 ? low < elf->count : place - at->start < at->bytes;
    return reaches ? at : NULL;
}
