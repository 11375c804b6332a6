/* SPDX-License-Identifier: MIT */
/* tree -- mechanism; the contract and what stands on what are in tree.h. */
#include "backend/sim/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/require.h"

enum { ROOM_FIRST = 8 };

struct change {
    struct wi_list link;
    struct wi_sim_inode *from, *to, *emptied; /* the directories that it belongs to, or NULL */
    struct wi_sim_entry *gone;                /* leaves `from` */
    struct wi_sim_entry *over, *fresh;        /* leaves and enters `to` */
    bool barrier;
    bool wanted;
};

/* ---- what is counted ---- */

static void release_inode(struct wi_sim_tree *tree, struct wi_sim_inode *inode)
{
    if (--inode->holders > 0)
        return;
    wi_list_remove(&inode->all);
    wi_list_push_back(&tree->dead, &inode->all);
}

static void release_entry(struct wi_sim_tree *tree, struct wi_sim_entry *entry)
{
    if (entry == NULL || --entry->holders > 0)
        return;
    release_inode(tree, entry->inode);
    entry->next_dead = tree->dead_entries;
    tree->dead_entries = entry;
}

static void clear_names(struct wi_sim_tree *tree, struct wi_sim_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        release_entry(tree, names->at[i]);
    names->count = 0;
}

static void uncharge(struct wi_sim_tree *tree, struct wi_sim_inode *inode)
{
    wi_sim_content_uncharge(&inode->content);
    if (inode->charged)
        tree->space.used -= WI_SIM_INODE_BYTES;
    inode->charged = false;
}

/* One after the other and not by recursion: trees may be deep. What is in a directory joins the end of
 * the list. */
static void bury(struct wi_sim_tree *tree)
{
    struct wi_list *next;
    for (struct wi_list *node = tree->dead.next; node != &tree->dead; node = next) {
        struct wi_sim_inode *inode = wi_container_of(node, struct wi_sim_inode, all);
        uncharge(tree, inode);
        wi_sim_content_drop(&inode->content);
        clear_names(tree, &inode->now);
        clear_names(tree, &inode->durable);
        free(inode->now.at);
        free(inode->durable.at);
        next = node->next;
        free(inode);
    }
    wi_list_init(&tree->dead);
    while (tree->dead_entries != NULL) {
        struct wi_sim_entry *entry = tree->dead_entries;
        tree->dead_entries = entry->next_dead;
        free(entry);
    }
}

static void uncharge_unseen(struct wi_sim_tree *tree, struct wi_sim_inode *inode)
{
    if (!inode->named && inode->opens == 0)
        uncharge(tree, inode);
}

void wi_sim_tree_hold(struct wi_sim_inode *inode)
{
    inode->opens++;
    inode->holders++;
}

void wi_sim_tree_release(struct wi_sim_tree *tree, struct wi_sim_inode *inode)
{
    wi_assert(inode->opens > 0);
    inode->opens--;
    uncharge_unseen(tree, inode);
    release_inode(tree, inode);
    bury(tree);
}

/* ---- names ---- */

static int compare(const struct wi_sim_entry *entry, const char *name, size_t len)
{
    int order = strncmp(entry->name, name, len);
    return order != 0 ? order : entry->name[len] != 0;
}

static size_t place_of(const struct wi_sim_names *names, const char *name, size_t len)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare(names->at[mid], name, len) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct wi_sim_entry *wi_sim_tree_find(const struct wi_sim_inode *dir, const char *name, size_t len)
{
    size_t i = place_of(&dir->now, name, len);
    return i < dir->now.count && compare(dir->now.at[i], name, len) == 0 ? dir->now.at[i] : NULL;
}

static int make_room(struct wi_sim_names *names, size_t count)
{
    if (count <= names->room)
        return 0;
    size_t room = names->room > 0 ? names->room * 2 : ROOM_FIRST;
    while (room < count)
        room *= 2;
    struct wi_sim_entry **at = realloc(names->at, room * sizeof(struct wi_sim_entry *));
    if (at == NULL)
        return -ENOMEM;
    names->at = at;
    names->room = room;
    return 0;
}

/* Room for one more name now, when it becomes durable, and in `now` for all that is durable by
 * then: neither a sync nor a crash can fail for want of it. */
static int reserve(struct wi_sim_inode *dir)
{
    size_t durable = dir->durable.count + dir->changes + 1, now = dir->now.count + 1;
    int rc = make_room(&dir->durable, durable);
    return rc == 0 ? make_room(&dir->now, now > durable ? now : durable) : rc;
}

static void names_add(struct wi_sim_names *names, struct wi_sim_entry *entry)
{
    size_t i = place_of(names, entry->name, strlen(entry->name));
    wi_assert(names->count < names->room);
    memmove(names->at + i + 1, names->at + i, (names->count - i) * sizeof(struct wi_sim_entry *));
    names->at[i] = entry;
    names->count++;
    entry->holders++;
}

static void names_remove(struct wi_sim_tree *tree, struct wi_sim_names *names,
                         struct wi_sim_entry *entry)
{
    size_t i = place_of(names, entry->name, strlen(entry->name));
    wi_assert(i < names->count && names->at[i] == entry);
    names->count--;
    memmove(names->at + i, names->at + i + 1, (names->count - i) * sizeof(struct wi_sim_entry *));
    release_entry(tree, entry);
}

/* ---- changes ---- */

/* The directories of a change, each once; returns how many. */
static unsigned dirs_of(const struct change *change, struct wi_sim_inode *dir[3])
{
    unsigned count = 0;
    if (change->from != NULL)
        dir[count++] = change->from;
    if (change->to != NULL && change->to != change->from)
        dir[count++] = change->to;
    if (change->emptied != NULL)
        dir[count++] = change->emptied;
    return count;
}

static void let_go(struct wi_sim_tree *tree, struct change *change)
{
    struct wi_sim_inode *dir[3];
    unsigned dirs = dirs_of(change, dir);
    wi_list_remove(&change->link);
    tree->change_count--;
    release_entry(tree, change->gone);
    release_entry(tree, change->over);
    release_entry(tree, change->fresh);
    for (unsigned i = 0; i < dirs; i++) {
        dir[i]->changes--;
        release_inode(tree, dir[i]);
    }
    free(change);
}

static void commit(struct wi_sim_tree *tree, struct change *change)
{
    if (change->gone != NULL)
        names_remove(tree, &change->from->durable, change->gone);
    if (change->over != NULL)
        names_remove(tree, &change->to->durable, change->over);
    if (change->fresh != NULL)
        names_add(&change->to->durable, change->fresh);
    let_go(tree, change);
}

static struct change *oldest(const struct wi_sim_tree *tree)
{
    return wi_container_of(tree->changes.next, struct change, link);
}

static void show(struct wi_sim_tree *tree, const struct change *change)
{
    if (change->gone != NULL) {
        change->gone->inode->named = false;
        names_remove(tree, &change->from->now, change->gone);
    }
    if (change->over != NULL) {
        change->over->inode->named = false;
        names_remove(tree, &change->to->now, change->over);
    }
    if (change->fresh != NULL) {
        change->fresh->inode->named = true;
        change->fresh->inode->parent = change->to;
        names_add(&change->to->now, change->fresh);
    }
}

/* Takes over the change, and makes it where everybody sees it. Room has been reserved. */
static void make(struct wi_sim_tree *tree, struct change *change)
{
    struct wi_sim_inode *dir[3];
    unsigned dirs = dirs_of(change, dir);
    for (unsigned i = 0; i < dirs; i++) {
        dir[i]->changes++;
        dir[i]->holders++;
    }
    struct wi_sim_entry *held[] = {change->gone, change->over, change->fresh};
    for (unsigned i = 0; i < 3; i++)
        if (held[i] != NULL)
            held[i]->holders++;
    show(tree, change);
    for (unsigned i = 0; i < 2; i++)
        if (held[i] != NULL)
            uncharge_unseen(tree, held[i]->inode);
    wi_list_push_back(&tree->changes, &change->link);
    if (++tree->change_count > WI_SIM_CHANGES_MAX)
        commit(tree, oldest(tree));
    bury(tree);
}

static struct change *new_change(struct change value)
{
    struct change *change = malloc(sizeof *change);
    if (change != NULL) {
        *change = value;
        wi_list_init(&change->link);
    }
    return change;
}

static struct wi_sim_entry *new_entry(struct wi_sim_inode *inode, const char *name, size_t len)
{
    struct wi_sim_entry *entry = malloc(sizeof *entry + len + 1);
    if (entry == NULL)
        return NULL;
    *entry = (struct wi_sim_entry){.inode = inode};
    memcpy(entry->name, name, len);
    entry->name[len] = 0;
    inode->holders++;
    return entry;
}

static struct wi_sim_inode *new_inode(struct wi_sim_tree *tree, uint32_t mode)
{
    struct wi_sim_inode *inode = calloc(1, sizeof *inode);
    if (inode == NULL)
        return NULL;
    inode->number = tree->next_number++;
    inode->mode = mode;
    inode->charged = true;
    wi_sim_content_init(&inode->content, &tree->space);
    wi_list_push_back(&tree->inodes, &inode->all);
    return inode;
}

static void discard_new(struct wi_sim_tree *tree, struct wi_sim_inode *inode,
                        struct wi_sim_entry *entry)
{
    free(entry);
    if (inode == NULL) {
        tree->space.used -= WI_SIM_INODE_BYTES;
        return;
    }
    wi_list_remove(&inode->all);
    wi_list_push_back(&tree->dead, &inode->all);
    bury(tree);
}

int wi_sim_tree_create(struct wi_sim_tree *tree, struct wi_sim_inode *dir, const char *name,
                       size_t len, uint32_t mode, struct wi_sim_inode **out)
{
    int rc = reserve(dir);
    if (rc == 0)
        rc = wi_sim_space_take(&tree->space, WI_SIM_INODE_BYTES);
    if (rc < 0)
        return rc;
    struct wi_sim_inode *inode = new_inode(tree, mode);
    struct wi_sim_entry *entry = inode != NULL ? new_entry(inode, name, len) : NULL;
    struct change *change =
        entry != NULL ? new_change((struct change){.to = dir, .fresh = entry}) : NULL;
    if (change == NULL) {
        discard_new(tree, inode, entry);
        return -ENOMEM;
    }
    make(tree, change);
    *out = inode;
    return 0;
}

int wi_sim_tree_remove(struct wi_sim_tree *tree, struct wi_sim_inode *dir,
                       struct wi_sim_entry *entry)
{
    struct wi_sim_inode *emptied = wi_sim_is_dir(entry->inode) ? entry->inode : NULL;
    struct change *change =
        new_change((struct change){.from = dir, .gone = entry, .emptied = emptied});
    if (change == NULL)
        return -ENOMEM;
    make(tree, change);
    return 0;
}

/* Whether a crash would find the directory, whatever it takes. */
static bool is_durable(const struct wi_sim_tree *tree, const struct wi_sim_inode *dir)
{
    for (; dir != tree->root; dir = dir->parent) {
        const struct wi_sim_names *names = &dir->parent->durable;
        size_t i = 0;
        while (i < names->count && names->at[i]->inode != dir)
            i++;
        if (i == names->count)
            return false;
    }
    return true;
}

/* What a change stands on besides those of its own directories is every one before it: that no circle
 * is closed, and that nothing goes down with a directory whose name is lost. */
static bool is_barrier(const struct wi_sim_tree *tree, const struct wi_sim_move *move)
{
    return move->from != move->to &&
           (wi_sim_is_dir(move->entry->inode) || !is_durable(tree, move->to));
}

int wi_sim_tree_move(struct wi_sim_tree *tree, const struct wi_sim_move *move)
{
    int rc = reserve(move->to);
    if (rc < 0)
        return rc;
    struct wi_sim_inode *inode = move->entry->inode;
    struct wi_sim_entry *fresh = new_entry(inode, move->name, move->len);
    if (fresh == NULL)
        return -ENOMEM;
    struct change *change = new_change((struct change){.from = move->from,
                                                       .gone = move->entry,
                                                       .to = move->to,
                                                       .over = move->over,
                                                       .fresh = fresh,
                                                       .barrier = is_barrier(tree, move)});
    if (change == NULL) {
        free(fresh);
        inode->holders--;
        return -ENOMEM;
    }
    if (move->over != NULL && wi_sim_is_dir(move->over->inode))
        change->emptied = move->over->inode;
    make(tree, change);
    return 0;
}

/* ---- syncing ---- */

/* Marks, from the newest to the oldest, what belongs to a wanted directory; with a barrier, all
 * before it, and it if anything after it is wanted. */
static void mark_wanted(struct wi_sim_tree *tree)
{
    bool any = false, all = false;
    for (struct wi_list *node = tree->changes.prev; node != &tree->changes; node = node->prev) {
        struct change *change = wi_container_of(node, struct change, link);
        struct wi_sim_inode *dir[3];
        unsigned dirs = dirs_of(change, dir);
        change->wanted = all || (change->barrier && any);
        for (unsigned i = 0; i < dirs; i++)
            change->wanted |= dir[i]->marked;
        if (!change->wanted)
            continue;
        any = true;
        all |= change->barrier;
        for (unsigned i = 0; i < dirs; i++)
            dir[i]->marked = true;
    }
}

static void unmark(struct wi_sim_tree *tree)
{
    for (struct wi_list *node = tree->inodes.next; node != &tree->inodes; node = node->next) {
        struct wi_sim_inode *inode = wi_container_of(node, struct wi_sim_inode, all);
        inode->marked = inode->met = false;
    }
}

void wi_sim_tree_sync(struct wi_sim_tree *tree, struct wi_sim_inode *dir)
{
    if (dir->changes == 0)
        return;
    dir->marked = true;
    mark_wanted(tree);
    struct wi_list *next;
    for (struct wi_list *node = tree->changes.next; node != &tree->changes; node = next) {
        struct change *change = wi_container_of(node, struct change, link);
        next = node->next;
        if (change->wanted)
            commit(tree, change);
    }
    bury(tree);
    unmark(tree);
}

/* ---- power loss ---- */

/* How many of a directory's changes survive: any number is as likely as any other, all of them the
 * quiet answer. */
static void meet(struct wi_sim_inode *dir, struct wi_choices *choices)
{
    if (dir->met)
        return;
    dir->met = true;
    dir->keep = dir->changes - wi_choose(choices, WI_SIM_DISK, dir->changes + 1);
}

static bool survives(const struct change *change, struct wi_choices *choices)
{
    struct wi_sim_inode *dir[3];
    unsigned dirs = dirs_of(change, dir);
    bool kept = true;
    for (unsigned i = 0; i < dirs; i++) {
        meet(dir[i], choices);
        kept &= !dir[i]->marked && dir[i]->keep > 0;
    }
    for (unsigned i = 0; i < dirs; i++) {
        dir[i]->marked |= !kept;
        dir[i]->keep -= kept;
    }
    return kept;
}

static void settle_changes(struct wi_sim_tree *tree, struct wi_choices *choices,
                           struct wi_sim_loss *loss)
{
    bool lost = false, shut = false; /* shut: a barrier is lost, and all after it */
    struct wi_list *next;
    for (struct wi_list *node = tree->changes.next; node != &tree->changes; node = next) {
        struct change *change = wi_container_of(node, struct change, link);
        next = node->next;
        loss->names++;
        if (shut || (change->barrier && lost) || !survives(change, choices)) {
            lost = true;
            loss->names_lost++;
            shut |= change->barrier;
            let_go(tree, change);
        } else {
            commit(tree, change);
        }
    }
}

/* What is left afterwards has a durable name, up to the root. */
static void forget_names(struct wi_sim_tree *tree)
{
    for (struct wi_list *node = tree->inodes.next; node != &tree->inodes; node = node->next) {
        struct wi_sim_inode *inode = wi_container_of(node, struct wi_sim_inode, all);
        inode->named = inode == tree->root;
        clear_names(tree, &inode->now);
    }
    bury(tree);
}

static void show_durable(struct wi_sim_inode *dir)
{
    wi_assert(dir->now.room >= dir->durable.count);
    dir->now.count = dir->durable.count;
    for (size_t i = 0; i < dir->durable.count; i++) {
        struct wi_sim_entry *entry = dir->durable.at[i];
        dir->now.at[i] = entry;
        entry->holders++;
        entry->inode->named = true;
        entry->inode->parent = dir;
    }
}

void wi_sim_tree_crash(struct wi_sim_tree *tree, struct wi_choices *choices,
                       struct wi_sim_loss *loss)
{
    settle_changes(tree, choices, loss);
    forget_names(tree);
    for (struct wi_list *node = tree->inodes.next; node != &tree->inodes; node = node->next)
        show_durable(wi_container_of(node, struct wi_sim_inode, all));
    unmark(tree);
    for (struct wi_list *node = tree->inodes.next; node != &tree->inodes; node = node->next) {
        struct wi_sim_inode *inode = wi_container_of(node, struct wi_sim_inode, all);
        wi_assert(inode->opens == 0);
        wi_sim_content_crash(&inode->content, choices, loss);
        inode->errors = 0;
        inode->socket = 0;
        if (!inode->charged)
            tree->space.used += WI_SIM_INODE_BYTES;
        inode->charged = true;
    }
}

/* ---- life ---- */

int wi_sim_tree_init(struct wi_sim_tree *tree, uint64_t capacity)
{
    *tree = (struct wi_sim_tree){.next_number = 2, .space = {.limit = capacity}}; /* as ext4's */
    wi_list_init(&tree->inodes);
    wi_list_init(&tree->dead);
    wi_list_init(&tree->changes);
    tree->root = new_inode(tree, S_IFDIR | 0755);
    if (tree->root == NULL)
        return -ENOMEM;
    tree->root->named = true;
    tree->root->holders = 1;
    tree->root->parent = tree->root;
    tree->space.used = WI_SIM_INODE_BYTES;
    return 0;
}

void wi_sim_tree_drop(struct wi_sim_tree *tree)
{
    struct wi_list *next;
    for (struct wi_list *node = tree->changes.next; node != &tree->changes; node = next) {
        next = node->next;
        let_go(tree, wi_container_of(node, struct change, link));
    }
    release_inode(tree, tree->root);
    bury(tree);
    wi_assert(wi_list_empty(&tree->inodes)); /* else a file is open still */
    wi_assert(tree->space.used == 0);
}

/* ---- looking at it ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (const char *c = text; *c != 0; c++)
        hash = wi_sim_mix(hash ^ (unsigned char)*c) + 1;
    return wi_sim_mix(hash);
}

static uint64_t hash_names(uint64_t hash, const struct wi_sim_names *names)
{
    hash = wi_sim_mix(hash ^ names->count);
    for (size_t i = 0; i < names->count; i++)
        hash = hash_text(hash ^ names->at[i]->inode->number, names->at[i]->name);
    return hash;
}

static uint64_t number_of(const struct wi_sim_entry *entry)
{
    return entry != NULL ? entry->inode->number : 0;
}

static uint64_t hash_change(uint64_t hash, const struct change *change)
{
    struct wi_sim_inode *dir[3];
    unsigned dirs = dirs_of(change, dir);
    for (unsigned i = 0; i < dirs; i++)
        hash = wi_sim_mix(hash ^ dir[i]->number);
    hash = wi_sim_mix(hash ^ number_of(change->gone));
    hash = wi_sim_mix(hash ^ number_of(change->over));
    return hash_text(hash ^ number_of(change->fresh),
                     change->fresh != NULL ? change->fresh->name : "");
}

uint64_t wi_sim_tree_hash(const struct wi_sim_tree *tree, uint64_t hash)
{
    hash = wi_sim_mix(hash ^ tree->space.used);
    for (struct wi_list *node = tree->inodes.next; node != &tree->inodes; node = node->next) {
        const struct wi_sim_inode *inode = wi_container_of(node, struct wi_sim_inode, all);
        hash = wi_sim_mix(hash ^ inode->number);
        hash = wi_sim_mix(hash ^ ((uint64_t)inode->mode << 32 | inode->opens));
        hash = wi_sim_mix(hash ^ inode->errors);
        hash = wi_sim_mix(hash ^ inode->socket);
        hash = wi_sim_content_hash(&inode->content, hash);
        hash = hash_names(hash_names(hash, &inode->now), &inode->durable);
    }
    for (struct wi_list *node = tree->changes.next; node != &tree->changes; node = node->next)
        hash = hash_change(hash, wi_container_of(node, struct change, link));
    return hash;
}

static void audit_names(const struct wi_sim_names *names)
{
    for (size_t i = 1; i < names->count; i++)
        wi_assert(strcmp(names->at[i - 1]->name, names->at[i]->name) < 0);
}

/* A directory that is named leads up to the root. */
static void audit_dir(const struct wi_sim_tree *tree, const struct wi_sim_inode *dir)
{
    size_t most = tree->next_number;
    audit_names(&dir->now);
    audit_names(&dir->durable);
    wi_assert(!dir->marked && !dir->met);
    for (size_t i = 0; i < dir->now.count; i++) {
        wi_assert(dir->now.at[i]->inode->named);
        wi_assert(dir->now.at[i]->inode->parent == dir);
    }
    for (const struct wi_sim_inode *up = dir; dir->named && up != tree->root; up = up->parent)
        wi_assert(up->named && most-- > 0);
}

void wi_sim_tree_audit(const struct wi_sim_tree *tree)
{
    uint64_t used = 0, last = 0;
    wi_assert(wi_list_empty(&tree->dead));
    for (struct wi_list *node = tree->inodes.next; node != &tree->inodes; node = node->next) {
        const struct wi_sim_inode *inode = wi_container_of(node, struct wi_sim_inode, all);
        wi_assert(inode->number > last && inode->holders > 0);
        wi_assert(inode->charged == (inode->named || inode->opens > 0));
        last = inode->number;
        used += inode->charged ? WI_SIM_INODE_BYTES : 0;
        used += wi_sim_content_charged(&inode->content);
        wi_sim_content_audit(&inode->content);
        audit_dir(tree, inode);
    }
    wi_assert(used == tree->space.used);
}
