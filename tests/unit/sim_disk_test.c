/* SPDX-License-Identifier: MIT */
/* A simulated disk on a good day: calls answer as Linux does, and draw nothing. */

#include "sim_disk_tools.h"

#define FILE_END (UINT64_C(1) << 44) /* files of 16 TiB; disk.h */

static struct box box;
static struct box *const b = &box;

static void begin(void)
{
    box_open(b, 1, 0);
}

/* Nothing went wrong, so nothing was chosen. */
static void end(void)
{
    for (int family = 0; family < WI_SIM_FAMILIES; family++)
        CHECK_EQ(b->choices.asked[family], 0);
    box_close(b);
}

/* ---- bytes ---- */

CASE(sim_disk_reads_what_was_written)
{
    char text[16] = {0};
    begin();
    struct wi_sim_open *f = file_of(b, "a", O_CREAT | O_RDWR);
    CHECK_EQ(wi_sim_file_write(b->disk, f, "hello", 5, 509), 5);
    CHECK_EQ(wi_sim_file_write(b->disk, f, "J", 1, 512), 1);
    CHECK_EQ(size_of(f), 514);
    CHECK_EQ(wi_sim_file_read(b->disk, f, text, sizeof text, 509), 5);
    CHECK_STR_EQ(text, "helJo");
    CHECK_EQ(wi_sim_file_read(b->disk, f, text, sizeof text, 514), 0);
    wi_sim_file_close(b->disk, f);
    end();
}

CASE(sim_disk_holes_are_zeros_and_take_no_room)
{
    struct statx stat;
    begin();
    struct wi_sim_open *f = file_of(b, "a", O_CREAT | O_RDWR);
    put_byte(b, f, 'x', 1, FILE_END - 1);
    CHECK_EQ(byte_at(b, f, 0), 0);
    CHECK_EQ(byte_at(b, f, FILE_END - 2), 0);
    CHECK_EQ(byte_at(b, f, FILE_END - 1), 'x');
    wi_sim_file_stat(f, &stat);
    CHECK_EQ(stat.stx_size, FILE_END);
    CHECK_EQ(stat.stx_blocks, 8);
    CHECK_EQ(wi_sim_file_write(b->disk, f, "x", 1, FILE_END), -EFBIG);
    CHECK_EQ(wi_sim_file_write(b->disk, f, "xy", 2, FILE_END - 1), 1);
    wi_sim_file_close(b->disk, f);
    end();
}

CASE(sim_disk_shrinking_does_not_keep_what_growing_would_show)
{
    begin();
    struct wi_sim_open *f = file_of(b, "a", O_CREAT | O_RDWR);
    put_byte(b, f, 'x', 10000, 0);
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 700), 0);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 10000), 0);
    CHECK_EQ(byte_at(b, f, 699), 'x');
    CHECK_EQ(byte_at(b, f, 700), 0);
    CHECK_EQ(byte_at(b, f, 1024), 0);
    CHECK_EQ(byte_at(b, f, 9999), 0);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, UINT64_MAX), -EINVAL);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, FILE_END + 1), -EFBIG);
    wi_sim_file_close(b->disk, f);
    end();
}

CASE(sim_disk_appending_ignores_the_place)
{
    begin();
    make_file(b, "a", 'x', 3);
    struct wi_sim_open *f = file_of(b, "a", O_APPEND | O_RDWR);
    put_byte(b, f, 'y', 2, 0);
    CHECK_EQ(size_of(f), 5);
    CHECK_EQ(byte_at(b, f, 0), 'x');
    CHECK_EQ(byte_at(b, f, 3), 'y');
    wi_sim_file_close(b->disk, f);
    end();
}

CASE(sim_disk_refuses_places_and_modes_as_the_kernel_does)
{
    char c = 0;
    begin();
    struct wi_sim_open *r = file_of(b, "a", O_CREAT | O_RDONLY);
    struct wi_sim_open *w = file_of(b, "a", O_WRONLY);
    struct wi_sim_open *d = file_of(b, "/", O_RDONLY | O_DIRECTORY);
    CHECK_EQ(wi_sim_file_read(b->disk, w, &c, 1, 0), -EBADF);
    CHECK_EQ(wi_sim_file_write(b->disk, r, &c, 1, 0), -EBADF);
    CHECK_EQ(wi_sim_file_truncate(b->disk, r, 0), -EINVAL);
    CHECK_EQ(wi_sim_file_read(b->disk, d, &c, 1, 0), -EISDIR);
    CHECK_EQ(wi_sim_file_check(d), -EISDIR);
    CHECK_EQ(wi_sim_file_check(r), 0);
    CHECK_EQ(wi_sim_file_read(b->disk, r, &c, 1, UINT64_MAX), -EINVAL);
    CHECK_EQ(wi_sim_file_read(b->disk, r, &c, 1, INT64_MAX), -EINVAL);
    CHECK_EQ(wi_sim_file_write(b->disk, w, &c, 1, UINT64_MAX), -EINVAL);
    CHECK_EQ(wi_sim_file_write(b->disk, w, &c, 0, 7), 0);
    CHECK_EQ(size_of(w), 0);
    wi_sim_file_close(b->disk, r);
    wi_sim_file_close(b->disk, w);
    wi_sim_file_close(b->disk, d);
    end();
}

/* ---- names ---- */

CASE(sim_disk_finds_paths_with_dots_and_slashes)
{
    begin();
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "/d", 0755), 0);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d//e/", 0755), 0);
    make_file(b, "d/e/f", 'x', 1);
    CHECK_EQ(first_byte(b, "/d/e/f"), 'x');
    CHECK_EQ(first_byte(b, "./d/.././d/e//../e/f"), 'x');
    CHECK_EQ(first_byte(b, "../../d/e/f"), 'x'); /* above the root is the root */
    CHECK_EQ(first_byte(b, "d/x/../e/f"), -ENOENT);
    CHECK_EQ(first_byte(b, "d/e/f/../f"), -ENOTDIR);
    CHECK_EQ(first_byte(b, "d/e/f/"), -ENOTDIR);
    CHECK_EQ(first_byte(b, ""), -ENOENT);
    end();
}

CASE(sim_disk_names_have_255_bytes_and_paths_4095)
{
    char name[300], path[4200];
    begin();
    memset(name, 'n', sizeof name);
    name[255] = 0;
    CHECK_EQ(open_says(b, name, O_CREAT | O_RDWR), 0);
    name[255] = 'n';
    name[256] = 0;
    CHECK_EQ(open_says(b, name, O_CREAT | O_RDWR), -ENAMETOOLONG);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "x", name), -ENAMETOOLONG);
    memset(path, '/', sizeof path);
    path[4095] = 0;
    CHECK_EQ(open_says(b, path, O_RDONLY), 0);
    path[4095] = '/';
    path[4096] = 0;
    CHECK_EQ(open_says(b, path, O_RDONLY), -ENAMETOOLONG);
    end();
}

CASE(sim_disk_open_says_what_open_2_says)
{
    begin();
    make_file(b, "f", 'x', 9);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
    CHECK_EQ(open_says(b, "n", O_RDWR), -ENOENT);
    CHECK_EQ(open_says(b, "n/n", O_RDWR | O_CREAT), -ENOENT);
    CHECK_EQ(open_says(b, "f/n", O_RDWR | O_CREAT), -ENOTDIR);
    CHECK_EQ(open_says(b, "f", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    CHECK_EQ(open_says(b, "f", O_RDONLY | O_DIRECTORY), -ENOTDIR);
    CHECK_EQ(open_says(b, "n/", O_RDWR | O_CREAT), -EISDIR);
    CHECK_EQ(open_says(b, "d", O_RDONLY), 0);
    CHECK_EQ(open_says(b, "d", O_RDWR), -EISDIR);
    CHECK_EQ(open_says(b, "d", O_RDONLY | O_CREAT), -EISDIR);
    CHECK_EQ(open_says(b, "d", O_RDONLY | O_CREAT | O_EXCL), -EEXIST);
    CHECK_EQ(open_says(b, "d", O_RDONLY | O_TRUNC), -EISDIR);
    CHECK_EQ(open_says(b, "f", O_PATH), -EOPNOTSUPP);
    CHECK_EQ(open_says(b, "d", O_TMPFILE | O_RDWR), -EOPNOTSUPP);
    CHECK_EQ(open_says(b, "f", O_RDWR | O_DIRECT), -EINVAL);
    CHECK_EQ(open_says(b, "f", O_ACCMODE), -EINVAL);
    CHECK_EQ(first_byte(b, "f"), 'x');
    CHECK_EQ(open_says(b, "f", O_RDWR | O_TRUNC), 0);
    CHECK_EQ(first_byte(b, "f"), 0);
    end();
}

CASE(sim_disk_stat_says_type_size_and_links)
{
    struct statx stat;
    begin();
    make_file(b, "f", 'x', 5000);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0777), 0);
    CHECK_EQ(wi_sim_disk_stat(b->disk, "f", &stat), 0);
    CHECK_EQ(stat.stx_mask & (STATX_TYPE | STATX_SIZE), STATX_TYPE | STATX_SIZE);
    CHECK_EQ(stat.stx_mode, S_IFREG | 0644);
    CHECK_EQ(stat.stx_size, 5000);
    CHECK_EQ(stat.stx_blocks, 16);
    CHECK_EQ(stat.stx_nlink, 1);
    uint64_t file = stat.stx_ino;
    CHECK_EQ(wi_sim_disk_stat(b->disk, "d", &stat), 0);
    CHECK_EQ(stat.stx_mode, S_IFDIR | 0755);
    CHECK_EQ(stat.stx_nlink, 2);
    CHECK_NE(stat.stx_ino, file);
    CHECK_EQ(wi_sim_disk_stat(b->disk, "/", &stat), 0);
    CHECK_EQ(stat.stx_nlink, 3);
    CHECK_EQ(wi_sim_disk_stat(b->disk, "n", &stat), -ENOENT);
    end();
}

CASE(sim_disk_unlinked_file_lives_while_it_is_open)
{
    struct statx stat;
    begin();
    make_file(b, "f", 'x', 5000);
    struct wi_sim_open *f = file_of(b, "f", O_RDWR);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "f", false), 0);
    CHECK_EQ(first_byte(b, "f"), -ENOENT);
    CHECK_EQ(byte_at(b, f, 4999), 'x');
    put_byte(b, f, 'y', 1, 5000);
    wi_sim_file_stat(f, &stat);
    CHECK_EQ(stat.stx_nlink, 0);
    CHECK_EQ(stat.stx_size, 5001);
    make_file(b, "f", 'z', 1);
    CHECK_EQ(byte_at(b, f, 0), 'x');
    wi_sim_file_close(b->disk, f);
    CHECK_EQ(first_byte(b, "f"), 'z');
    end();
}

CASE(sim_disk_unlink_says_what_unlink_2_and_rmdir_2_say)
{
    begin();
    make_file(b, "f", 'x', 1);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), -EEXIST);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "f", 0755), -EEXIST);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, ".", 0755), -EEXIST);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d/e", 0755), 0);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "n", false), -ENOENT);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "f/", false), -ENOTDIR);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "f", true), -ENOTDIR);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d", false), -EISDIR);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d", true), -ENOTEMPTY);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d/.", true), -EINVAL);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d/..", true), -ENOTEMPTY);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "/", true), -EBUSY);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d/.", false), -EISDIR);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d/e/", true), 0);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "d", true), 0);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "f", false), 0);
    CHECK_EQ(open_says(b, "d", O_RDONLY), -ENOENT);
    end();
}

CASE(sim_disk_rename_says_what_rename_2_says)
{
    begin();
    make_file(b, "f", 'f', 1);
    make_file(b, "g", 'g', 1);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d/e", 0755), 0);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "n", "m"), -ENOENT);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "n/m"), -ENOENT);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "d"), -EISDIR);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d", "f"), -ENOTDIR);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d", "d/e/x"), -EINVAL);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d", "d/x"), -EINVAL);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d/e", "d"), -ENOTEMPTY);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "m/"), -ENOTDIR);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d", "."), -EBUSY);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "f"), 0);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "f", "g"), 0);
    CHECK_EQ(first_byte(b, "f"), -ENOENT);
    CHECK_EQ(first_byte(b, "g"), 'f');
    CHECK_EQ(wi_sim_disk_rename(b->disk, "g", "d/e/h"), 0);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d/e", "e"), 0);
    CHECK_EQ(first_byte(b, "e/h"), 'f');
    CHECK_EQ(first_byte(b, "e/../e/h"), 'f');
    CHECK_EQ(wi_sim_disk_rename(b->disk, "d", "e"), -ENOTEMPTY);
    CHECK_EQ(wi_sim_disk_rename(b->disk, "e", "d"), 0);
    CHECK_EQ(first_byte(b, "d/h"), 'f');
    end();
}

CASE(sim_disk_remembers_who_bound_a_socket)
{
    uint64_t bound = 0, id[2], other[2];
    struct statx stat;
    begin();
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 77), 0);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 78), -EADDRINUSE);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "n/s", 78), -ENOENT);
    CHECK_EQ(wi_sim_disk_connect(b->disk, "/s", &bound), 0);
    CHECK_EQ(bound, 77);
    CHECK_EQ(wi_sim_disk_connect(b->disk, "n", &bound), -ENOENT);
    make_file(b, "f", 'x', 1);
    CHECK_EQ(wi_sim_disk_connect(b->disk, "f", &bound), -ECONNREFUSED);
    CHECK_EQ(open_says(b, "s", O_RDWR), -ENXIO);
    CHECK_EQ(wi_sim_disk_stat(b->disk, "s", &stat), 0);
    CHECK_EQ(stat.stx_mode & S_IFMT, S_IFSOCK);
    CHECK_EQ(wi_sim_disk_stat_socket(b->disk, "f", id), -ENOTSOCK);
    CHECK_EQ(wi_sim_disk_stat_socket(b->disk, "s", id), 0);
    CHECK_EQ(id[1], stat.stx_ino);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "s", false), 0);
    CHECK_EQ(wi_sim_disk_bind(b->disk, "s", 79), 0);
    CHECK_EQ(wi_sim_disk_stat_socket(b->disk, "s", other), 0);
    CHECK_EQ(other[0], id[0]);
    CHECK_NE(other[1], id[1]);
    end();
}

/* ---- room ---- */

CASE(sim_disk_that_is_full_takes_what_fits)
{
    char data[8192] = {1};
    box_open(b, 1, 512 + 2 * 512 + 3 * 4096); /* the root, two files, three pages */
    make_file(b, "a", 'x', 8192);
    struct wi_sim_open *f = file_of(b, "b", O_CREAT | O_RDWR);
    CHECK_EQ(wi_sim_file_write(b->disk, f, data, sizeof data, 0), 4096);
    CHECK_EQ(wi_sim_file_write(b->disk, f, data, 1, 4096), -ENOSPC);
    CHECK_EQ(open_says(b, "c", O_CREAT | O_RDWR), -ENOSPC);
    CHECK_EQ(wi_sim_disk_mkdir(b->disk, "c", 0755), -ENOSPC);
    CHECK_EQ(wi_sim_file_write(b->disk, f, data, 4096, 0), 4096); /* has its page */
    CHECK_EQ(size_of(f), 4096);
    CHECK_EQ(wi_sim_disk_unlink(b->disk, "a", false), 0);
    CHECK_EQ(wi_sim_file_write(b->disk, f, data, sizeof data, 4096), 8192);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 100), 0);
    CHECK_EQ(wi_sim_file_write(b->disk, f, data, sizeof data, 4096), 8192);
    CHECK_EQ(open_says(b, "c", O_CREAT | O_RDWR), 0);
    CHECK_EQ(wi_sim_file_sync(b->disk, f), 0);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 0), 0); /* room at once, synced or not */
    CHECK_EQ(wi_sim_file_write(b->disk, f, data, sizeof data, 8192), 8192);
    wi_sim_file_close(b->disk, f);
    end();
}

/* ---- memory ---- */

CASE(sim_disk_reads_from_memory_what_is_there)
{
    char data[4096];
    begin();
    struct wi_sim_open *f = file_of(b, "a", O_CREAT | O_RDWR);
    put_byte(b, f, 'x', 3000, 0);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 0), 3000);
    CHECK_EQ(data[2999], 'x');
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 3000), 0);
    CHECK_EQ(wi_sim_file_truncate(b->disk, f, 8192), 0);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 4096), -EAGAIN); /* a hole */
    CHECK_EQ(wi_sim_file_read(b->disk, f, data, sizeof data, 4096), 4096);
    CHECK_EQ(wi_sim_file_try_read(b->disk, f, data, sizeof data, 4096), 4096);
    wi_sim_file_close(b->disk, f);
    end();
}

CASE(sim_disk_of_one_history_has_one_hash)
{
    uint64_t hash[3];
    for (int i = 0; i < 3; i++) {
        begin();
        CHECK_EQ(wi_sim_disk_mkdir(b->disk, "d", 0755), 0);
        make_file(b, "d/f", 'x', 10000);
        CHECK_EQ(sync_path(b, "d"), 0);
        if (i == 2)
            CHECK_EQ(sync_path(b, "d/f"), 0); /* the same to its readers, and not the same */
        hash[i] = wi_sim_disk_hash(b->disk);
        end();
    }
    CHECK_EQ(hash[0], hash[1]);
    CHECK_NE(hash[0], hash[2]);
}
