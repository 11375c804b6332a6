/* SPDX-License-Identifier: MIT */
/* fs -- opening and the end of a core's files; the drawing is in fs.h. */
#include "fs/fs.h"

void wi_fs_open(struct wi_fs *fs, struct wi_core *core)
{
    struct wi_backend *be = core->engine.be;
    *fs = (struct wi_fs){.core = core};
    /* RLIMIT_NOFILE is what bounds them. */
    wi_slab_init(&fs->files, sizeof(struct wi_file), WI_HANDLE_SLOTS - 1, be->ops->entropy(be));
    wi_list_init(&fs->open);
    wi_list_init(&fs->closing);
    core->fs = fs;
}

void wi_fs_begin_close(struct wi_fs *fs)
{
    for (struct wi_list *at; (at = fs->open.next) != &fs->open;) {
        struct wi_file *file = wi_container_of(at, struct wi_file, link);
        wi_log(fs->core->log, WEIR_LOG_WARN,
               "a file opened at %p is still open at the end of the run; closed", file->origin);
        fs->forgotten++;
        wi_file_close(file, NULL);
    }
}

bool wi_fs_ended(const struct wi_fs *fs)
{
    return fs->files.live == 0;
}

void wi_fs_close(struct wi_fs *fs)
{
    wi_slab_destroy(&fs->files);
    fs->core->fs = NULL;
}

void wi_fs_discard(struct wi_fs *fs)
{
    wi_slab_discard(&fs->files);
    fs->core->fs = NULL;
}

/* One whose close is in flight is the kernel's to close; its number may be another file's by now. */
void wi_fs_abandon(struct wi_fs *fs)
{
    struct wi_backend *be = fs->core->engine.be;
    for (uint32_t i = 0; i < fs->files.made; i++) {
        struct wi_slab_node *node = wi_slab_at(&fs->files, i);
        const struct wi_file *file = wi_container_of(node, struct wi_file, node);
        struct wi_ctl close = {.what = WI_CTL_ABANDON, .fd = file->fd};
        if (node->live && file->fd >= 0)
            (void)be->ops->ctl(be, &close);
    }
    wi_slab_keep(&fs->files);
    fs->core->fs = NULL;
}
