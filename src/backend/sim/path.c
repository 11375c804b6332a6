/* SPDX-License-Identifier: MIT */
/* path -- mechanism; the contract is in path.h. */
#include "backend/sim/path.h"

#include <string.h>

static enum wi_sim_last kind_of(const char *name, size_t len)
{
    if (len == 1 && name[0] == '.')
        return WI_SIM_LAST_DOT;
    if (len == 2 && name[0] == '.' && name[1] == '.')
        return WI_SIM_LAST_DOTDOT;
    return WI_SIM_LAST_NAME;
}

/* One component, in spot->dir. */
static int step(struct wi_sim_spot *spot)
{
    spot->entry = NULL;
    spot->last = kind_of(spot->name, spot->len);
    if (spot->last == WI_SIM_LAST_DOT) {
        spot->inode = spot->dir;
    } else if (spot->last == WI_SIM_LAST_DOTDOT) {
        spot->inode = spot->dir->parent;
    } else if (spot->len > WI_SIM_NAME_MAX) {
        return -ENAMETOOLONG;
    } else {
        spot->entry = wi_sim_tree_find(spot->dir, spot->name, spot->len);
        spot->inode = spot->entry != NULL ? spot->entry->inode : NULL;
    }
    return 0;
}

int wi_sim_path_walk(const struct wi_sim_tree *tree, const char *path, struct wi_sim_spot *out)
{
    if (path[0] == 0)
        return -ENOENT;
    if (strnlen(path, WI_SIM_PATH_MAX) == WI_SIM_PATH_MAX)
        return -ENAMETOOLONG;
    *out = (struct wi_sim_spot){.last = WI_SIM_LAST_ROOT, .dir = tree->root, .inode = tree->root};
    for (path += strspn(path, "/"); *path != 0; path += strspn(path, "/")) {
        if (out->inode == NULL)
            return -ENOENT;
        if (!wi_sim_is_dir(out->inode))
            return -ENOTDIR;
        out->dir = out->inode;
        out->name = path;
        out->len = strcspn(path, "/");
        int rc = step(out);
        if (rc < 0)
            return rc;
        path += out->len;
        out->slash = *path != 0;
    }
    return 0;
}

int wi_sim_path_find(const struct wi_sim_tree *tree, const char *path, struct wi_sim_spot *out)
{
    int rc = wi_sim_path_walk(tree, path, out);
    if (rc < 0)
        return rc;
    if (out->inode == NULL)
        return -ENOENT;
    return out->slash && !wi_sim_is_dir(out->inode) ? -ENOTDIR : 0;
}

bool wi_sim_path_below(const struct wi_sim_tree *tree, const struct wi_sim_inode *inode,
                       const struct wi_sim_inode *top)
{
    while (inode != top && inode != tree->root)
        inode = inode->parent;
    return inode == top;
}
