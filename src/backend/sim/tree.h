/* SPDX-License-Identifier: MIT */
/*
 * tree -- the names of a simulated disk: directories as they are seen, as they are on the platter,
 * and the changes between the two.
 *
 *     directory   now       name -> entry -> inode        by name
 *                 durable   name -> entry -> inode
 *     changes     oldest <--> ... <--> newest             made in `now`, not yet in `durable`
 *
 * A change is one call: an entry that comes, goes, or both, and one that is replaced, together or not
 * at all. It belongs to every directory that it alters or needs empty. Of one directory's changes the
 * older is durable first; changes that have no directory in common are independent, except that two
 * moves are barriers between all before them and all after: that of a directory to another one, as two
 * such could otherwise survive that together close a circle, and that of a file to a directory whose
 * own name is not durable yet, as the file could go down with it. So any set of changes that has with
 * each one those it stands on is a consistent tree in which nothing that was durable is lost by a
 * move, and syncing a directory makes durable what belongs to it and what that stands on. Beyond
 * WI_SIM_CHANGES_MAX the oldest change is durable by itself, as a journal that is committed now and
 * then would have it.
 *
 * Entries and inodes are counted: maps and changes hold entries, entries and open files hold inodes,
 * changes hold directories. An inode without a name that nobody has open takes no space. Inodes are
 * in the order of their numbers, which are never given twice.
 */
#ifndef WI_BACKEND_SIM_TREE_H
#define WI_BACKEND_SIM_TREE_H

#include <sys/stat.h>

#include "backend/sim/content.h"
#include "base/list.h"

enum { WI_SIM_CHANGES_MAX = 1024, WI_SIM_INODE_BYTES = 512, WI_SIM_NAME_MAX = 255 };

struct wi_sim_inode;

struct wi_sim_entry {
    struct wi_sim_inode *inode;
    struct wi_sim_entry *next_dead;
    unsigned holders;
    char name[];
};

struct wi_sim_names {
    struct wi_sim_entry **at; /* by name, byte by byte */
    size_t count, room;
};

struct wi_sim_inode {
    struct wi_list all; /* in tree->inodes, or in tree->dead */
    uint64_t number;
    uint32_t mode; /* S_IFREG, S_IFDIR or S_IFSOCK, and permissions */
    unsigned holders;
    unsigned opens;
    bool named;   /* in a directory's `now`; the root too */
    bool charged; /* counted in the space */

    struct wi_sim_content content; /* of a file */
    uint64_t errors;               /* syncs of the file that failed */

    struct wi_sim_inode *parent; /* of a directory that is named */
    struct wi_sim_names now, durable;
    size_t changes; /* pending ones that belong to it */
    size_t keep;    /* during a crash: how many more of them survive */
    bool marked;    /* during a crash: one is lost. During a sync: its changes are wanted */
    bool met;       /* during a crash */

    uint64_t socket; /* what its binder gave; 0 when it is dead */
};

struct wi_sim_tree {
    struct wi_sim_inode *root;
    struct wi_list inodes; /* by number */
    struct wi_list dead;   /* not held any more; freed before a call returns */
    struct wi_sim_entry *dead_entries;
    struct wi_list changes;
    size_t change_count;
    uint64_t next_number;
    struct wi_sim_space space;
};

/* 0 or -ENOMEM. */
int wi_sim_tree_init(struct wi_sim_tree *tree, uint64_t capacity);
void wi_sim_tree_drop(struct wi_sim_tree *tree);

static inline bool wi_sim_is_dir(const struct wi_sim_inode *inode)
{
    return S_ISDIR(inode->mode);
}

/* Looks a name up in a directory as it is seen, or gives NULL. */
struct wi_sim_entry *wi_sim_tree_find(const struct wi_sim_inode *dir, const char *name, size_t len);

/* Makes an inode under a name that is free. -ENOSPC, -ENOMEM. */
int wi_sim_tree_create(struct wi_sim_tree *tree, struct wi_sim_inode *dir, const char *name,
                       size_t len, uint32_t mode, struct wi_sim_inode **out);

/* Takes a name away: of a file, or of an empty directory. -ENOMEM. */
int wi_sim_tree_remove(struct wi_sim_tree *tree, struct wi_sim_inode *dir,
                       struct wi_sim_entry *entry);

/* Moves an entry to another name, which may be in use by `over`: of the same kind, and empty if it
 * is a directory. A directory does not go into itself. -ENOMEM. */
struct wi_sim_move {
    struct wi_sim_inode *from, *to;
    struct wi_sim_entry *entry, *over;
    const char *name;
    size_t len;
};
int wi_sim_tree_move(struct wi_sim_tree *tree, const struct wi_sim_move *move);

/* Makes durable the changes of a directory, and what they stand on. */
void wi_sim_tree_sync(struct wi_sim_tree *tree, struct wi_sim_inode *dir);

/* An open file begins or ends to hold an inode. */
void wi_sim_tree_hold(struct wi_sim_inode *inode);
void wi_sim_tree_release(struct wi_sim_tree *tree, struct wi_sim_inode *inode);

/* Power loss: of each directory's changes the older ones survive, how many is chosen; of each file
 * that is left what wi_sim_content_crash says. Nothing is open. */
void wi_sim_tree_crash(struct wi_sim_tree *tree, struct wi_choices *choices,
                       struct wi_sim_loss *loss);

uint64_t wi_sim_tree_hash(const struct wi_sim_tree *tree, uint64_t hash);

/* Aborts if the counts, the names or the space are not what the rules at the top make them. */
void wi_sim_tree_audit(const struct wi_sim_tree *tree);

#endif /* WI_BACKEND_SIM_TREE_H */
