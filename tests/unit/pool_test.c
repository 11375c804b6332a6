/* SPDX-License-Identifier: MIT */
/* What the buffer pool promises about loans, names and memory. */
#include "op/pool.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "support/death.h"

enum { BUF = 4096, COUNT = 16 };

static void open_pool(struct wi_pool *pool, size_t bytes)
{
    struct wi_pages pages;
    wi_pages_probe(&pages);
    CHECK_EQ(wi_pool_open(pool, &pages, bytes, BUF), 0);
}

CASE(pool_smaller_than_a_buffer_is_refused)
{
    struct wi_pool pool;
    struct wi_pages pages;
    wi_pages_probe(&pages);
    CHECK_EQ(wi_pool_open(&pool, &pages, BUF - 1, BUF), -EINVAL);
    CHECK_EQ(wi_pool_open(&pool, &pages, 0, BUF), -EINVAL);
    CHECK_EQ(wi_pool_open(&pool, &pages, (size_t)UINT32_MAX * BUF, BUF), -EINVAL);
}

CASE(pool_lends_whole_buffers_that_do_not_overlap)
{
    struct wi_pool pool;
    uint64_t loan[COUNT];
    char *data[COUNT];
    open_pool(&pool, COUNT * BUF + BUF / 2);
    for (unsigned i = 0; i < COUNT; i++) {
        void *at = NULL;
        loan[i] = wi_pool_take(&pool, &pool, &at);
        CHECK_NE(loan[i], 0);
        CHECK(at != NULL);
        data[i] = at;
        memset(data[i], (int)i + 1, BUF);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK_EQ(data[i][0], (char)(i + 1));
        CHECK_EQ(data[i][BUF - 1], (char)(i + 1));
        CHECK_EQ(wi_pool_give(&pool, loan[i]), &pool);
    }
    wi_pool_close(&pool);
}

CASE(pool_that_is_empty_lends_nothing_until_one_is_back)
{
    struct wi_pool pool;
    void *data = NULL, *again = NULL;
    open_pool(&pool, BUF);
    uint64_t loan = wi_pool_take(&pool, &pool, &data);
    CHECK_NE(loan, 0);
    CHECK_EQ(wi_pool_take(&pool, &pool, &again), 0);
    CHECK_EQ(again, NULL);
    CHECK_EQ(wi_pool_give(&pool, loan), &pool);
    CHECK_NE(loan = wi_pool_take(&pool, &pool, &again), 0);
    CHECK_EQ(again, data);
    CHECK_EQ(wi_pool_give(&pool, loan), &pool);
    wi_pool_close(&pool);
}

CASE(pool_lends_the_last_one_given_back)
{
    struct wi_pool pool;
    void *a = NULL, *b = NULL, *c = NULL;
    open_pool(&pool, COUNT * BUF);
    uint64_t x = wi_pool_take(&pool, &pool, &a), y = wi_pool_take(&pool, &pool, &b);
    CHECK_EQ(wi_pool_give(&pool, y), &pool);
    CHECK_EQ(wi_pool_give(&pool, x), &pool);
    x = wi_pool_take(&pool, &pool, &c);
    CHECK_EQ(c, a);
    y = wi_pool_take(&pool, &pool, &c);
    CHECK_EQ(c, b);
    CHECK_EQ(pool.touched, 2);
    CHECK_EQ(wi_pool_give(&pool, x), &pool);
    CHECK_EQ(wi_pool_give(&pool, y), &pool);
    wi_pool_close(&pool);
}

CASE(pool_knows_that_a_loan_is_over)
{
    struct wi_pool pool;
    void *data = NULL;
    open_pool(&pool, COUNT * BUF);
    uint64_t old = wi_pool_take(&pool, &pool, &data);
    CHECK_EQ(wi_pool_give(&pool, old), &pool);
    CHECK_EQ(wi_pool_give(&pool, old), NULL);
    uint64_t loan = wi_pool_take(&pool, &pool, &data);
    CHECK_NE(loan, old);
    CHECK_EQ(wi_pool_give(&pool, old), NULL);
    CHECK_EQ(pool.lent, 1);
    CHECK_EQ(wi_pool_give(&pool, loan), &pool);
    wi_pool_close(&pool);
}

CASE(pool_refuses_names_that_it_never_gave)
{
    struct wi_pool pool;
    void *data = NULL;
    open_pool(&pool, COUNT * BUF);
    CHECK_EQ(wi_pool_give(&pool, 0), NULL);
    CHECK_EQ(wi_pool_give(&pool, 1), NULL); /* index 0 has never been lent */
    CHECK_EQ(wi_pool_give(&pool, UINT64_MAX), NULL);
    uint64_t loan = wi_pool_take(&pool, &pool, &data);
    CHECK_EQ(wi_pool_give(&pool, loan + 1), NULL); /* the generation of a free buffer */
    CHECK_EQ(wi_pool_give(&pool, loan + 2), NULL);
    CHECK_EQ(wi_pool_give(&pool, loan | UINT64_C(1) << 40), NULL);
    CHECK_EQ(wi_pool_give(&pool, loan), &pool);
    wi_pool_close(&pool);
}

CASE(pool_tells_what_an_owner_still_holds)
{
    struct wi_pool pool;
    int anna, bert;
    void *data = NULL;
    open_pool(&pool, COUNT * BUF);
    uint64_t a = wi_pool_take(&pool, &anna, &data), b = wi_pool_take(&pool, &bert, &data);
    CHECK_EQ(wi_pool_owned_by(&pool, &anna), a);
    CHECK_EQ(wi_pool_owned_by(&pool, &bert), b);
    CHECK_EQ(wi_pool_give(&pool, a), &anna);
    CHECK_EQ(wi_pool_owned_by(&pool, &anna), 0);
    CHECK_EQ(wi_pool_give(&pool, b), &bert);
    wi_pool_close(&pool);
}

static void close_while_lent(void)
{
    struct wi_pool pool;
    void *data = NULL;
    open_pool(&pool, BUF);
    (void)wi_pool_take(&pool, &pool, &data);
    wi_pool_close(&pool);
}

CASE(pool_catches_a_loan_left_at_its_end)
{
    check_aborts(close_while_lent, "bug: pool->lent == 0");
}
