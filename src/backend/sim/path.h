/* SPDX-License-Identifier: MIT */
/*
 * path -- from a path to the place in the tree that it names. path_resolution(7), without links; the
 * working directory is the root.
 *
 *     "a/./b/../c/"  -->  dir: a, name: "c", slash: it must be a directory, entry: c or NULL
 *
 * Pure look-up; what it gives points into the tree and the path.
 */
#ifndef WI_BACKEND_SIM_PATH_H
#define WI_BACKEND_SIM_PATH_H

#include "backend/sim/tree.h"

enum { WI_SIM_PATH_MAX = 4096 }; /* with its 0; PATH_MAX */

enum wi_sim_last { WI_SIM_LAST_NAME, WI_SIM_LAST_DOT, WI_SIM_LAST_DOTDOT, WI_SIM_LAST_ROOT };

struct wi_sim_spot {
    enum wi_sim_last last;
    struct wi_sim_inode *dir; /* in which the last component is */
    const char *name;         /* the last component */
    size_t len;
    bool slash;                 /* behind it */
    struct wi_sim_entry *entry; /* NULL: no such name, or not LAST_NAME */
    struct wi_sim_inode *inode; /* NULL: no such name */
};

/* 0, whether or not the last component exists; -ENOENT, -ENOTDIR, -ENAMETOOLONG. */
int wi_sim_path_walk(const struct wi_sim_tree *tree, const char *path, struct wi_sim_spot *out);

/* As walk, and what the path names is there, and a directory if there is a slash behind it. */
int wi_sim_path_find(const struct wi_sim_tree *tree, const char *path, struct wi_sim_spot *out);

/* Whether `inode` is `top`, or below it. */
bool wi_sim_path_below(const struct wi_sim_tree *tree, const struct wi_sim_inode *inode,
                       const struct wi_sim_inode *top);

#endif /* WI_BACKEND_SIM_PATH_H */
