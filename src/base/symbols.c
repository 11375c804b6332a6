/* SPDX-License-Identifier: MIT */
/* symbols -- mechanism; the contract is in symbols.h. */
#include "base/symbols.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/elf.h"

static const char OWN_FILE[] = "/proc/self/exe"; /* the dynamic linker does not name it */

struct wi_symbols_object {
    uintptr_t base;      /* what is added to the file's addresses */
    uintptr_t low, high; /* where it is loaded */
    char *path;
    char *name;
    ElfW(Phdr) * headers;
    size_t header_count;
    bool was_read;
    struct wi_elf elf;
};

/* ---- what is loaded ---- */

static char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strdup(slash != NULL ? slash + 1 : path);
}

static char *own_name(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink(OWN_FILE, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    return last_part(length > 0 ? path : "program");
}

static bool set_range(struct wi_symbols_object *object)
{
    object->low = UINTPTR_MAX;
    for (size_t i = 0; i < object->header_count; i++) {
        const ElfW(Phdr) *header = &object->headers[i];
        if (header->p_type != PT_LOAD)
            continue;
        uintptr_t start = object->base + header->p_vaddr;
        if (start < object->low)
            object->low = start;
        if (start + header->p_memsz > object->high)
            object->high = start + header->p_memsz;
    }
    return object->low < object->high;
}

static void forget(struct wi_symbols_object *object)
{
    wi_elf_free(&object->elf);
    free(object->headers);
    free(object->path);
    free(object->name);
}

static bool make_room(struct wi_symbols *symbols)
{
    if (symbols->count < symbols->room)
        return true;
    size_t room = symbols->room == 0 ? 16 : symbols->room * 2;
    struct wi_symbols_object *objects = realloc(symbols->objects, room * sizeof *objects);
    if (objects == NULL)
        return false;
    symbols->objects = objects;
    symbols->room = room;
    return true;
}

static int add_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct wi_symbols *symbols = arg;
    bool is_own = info->dlpi_name == NULL || info->dlpi_name[0] == 0;
    size_t bytes = info->dlpi_phnum * sizeof(ElfW(Phdr));
    (void)size;
    if (!make_room(symbols))
        return 1;
    struct wi_symbols_object *object = &symbols->objects[symbols->count];
    *object = (struct wi_symbols_object){.base = info->dlpi_addr,
                                         .path = strdup(is_own ? OWN_FILE : info->dlpi_name),
                                         .headers = malloc(bytes),
                                         .header_count = info->dlpi_phnum};
    object->name = is_own ? own_name() : last_part(info->dlpi_name);
    if (object->path == NULL || object->name == NULL || object->headers == NULL) {
        forget(object);
        return 1;
    }
    memcpy(object->headers, info->dlpi_phdr, bytes);
    if (set_range(object))
        symbols->count++;
    else
        forget(object);
    return 0;
}

void wi_symbols_open(struct wi_symbols *symbols)
{
    *symbols = (struct wi_symbols){0};
    (void)dl_iterate_phdr(add_object, symbols);
}

void wi_symbols_close(struct wi_symbols *symbols)
{
    for (size_t i = 0; i < symbols->count; i++)
        forget(&symbols->objects[i]);
    free(symbols->objects);
    *symbols = (struct wi_symbols){0};
}

/* ---- looking up ---- */

static struct wi_symbols_object *object_at(const struct wi_symbols *symbols, uintptr_t address)
{
    for (size_t i = 0; i < symbols->count; i++) {
        struct wi_symbols_object *object = &symbols->objects[i];
        if (address >= object->low && address < object->high)
            return object;
    }
    return NULL;
}

struct wi_symbol wi_symbols_find(struct wi_symbols *symbols, const void *address)
{
    uintptr_t at = (uintptr_t)address;
    struct wi_symbols_object *object = object_at(symbols, at);
    if (object == NULL)
        return (struct wi_symbol){.offset = at};
    if (!object->was_read)
        wi_elf_read(&object->elf, object->path, object->headers, object->header_count);
    object->was_read = true;
    uintptr_t place = at - object->base;
    const struct wi_elf_function *function = wi_elf_find(&object->elf, place);
    if (function == NULL)
        return (struct wi_symbol){.object = object->name, .offset = place};
    return (struct wi_symbol){.function = object->elf.names + function->name,
                              .object = object->name,
                              .offset = place - function->start};
}

void wi_symbol_print(const struct wi_symbol *symbol, char *text, size_t size)
{
    const char *name = symbol->function != NULL ? symbol->function : symbol->object;
    unsigned long offset = symbol->offset;
    if (name == NULL)
        (void)snprintf(text, size, "0x%lx", offset);
    else if (symbol->function != NULL && offset == 0)
        (void)snprintf(text, size, "%s", name);
    else
        (void)snprintf(text, size, "%s+0x%lx", name, offset);
}
