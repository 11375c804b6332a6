/* SPDX-License-Identifier: MIT */
/* Codes, their names and their texts: own ones from the table, errno's from the C library. */
#include "weir/error.h"

#include <errno.h>
#include <string.h>

#include "check.h"

static const struct row {
    const char *name;
    int code;
    const char *text;
} rows[] = {
#define ROW(name, code, text) {#name, code, text},
    WEIR_ERRORS(ROW)
#undef ROW
};

enum { ROWS = sizeof rows / sizeof *rows };

CASE(error_table_has_a_name_and_a_text_for_every_row)
{
    for (unsigned i = 0; i < ROWS; i++) {
        CHECK_STR_EQ(weir_errname(rows[i].code), rows[i].name);
        CHECK_STR_EQ(weir_strerror(rows[i].code), rows[i].text);
    }
}

CASE(error_codes_of_our_own_lie_below_errno_and_differ)
{
    for (unsigned i = 0; i < ROWS; i++) {
        CHECK_LT(rows[i].code, -4095);
        for (unsigned k = 0; k < i; k++) {
            CHECK_NE(rows[i].code, rows[k].code);
            CHECK(strcmp(rows[i].text, rows[k].text) != 0);
        }
    }
    CHECK_EQ(WEIR_ETORN, -4096);
    CHECK_EQ(WEIR_ELOANS, -4097);
    CHECK_EQ(WEIR_EABANDONED, -4098);
}

CASE(error_names_of_errno_are_the_c_librarys)
{
    CHECK_STR_EQ(weir_errname(-ECONNREFUSED), "ECONNREFUSED");
    CHECK_STR_EQ(weir_errname(-ECANCELED), "ECANCELED");
    CHECK_STR_EQ(weir_strerror(-ECONNREFUSED), "Connection refused");
    for (int err = 1; err < 4096; err++) {
        const char *name = strerrorname_np(err);
        CHECK_STR_EQ(weir_errname(-err), name != NULL ? name : "?");
        CHECK_NE(weir_strerror(-err), NULL);
        CHECK_GT(strlen(weir_strerror(-err)), 0);
    }
}

CASE(error_of_a_success_is_none)
{
    CHECK_STR_EQ(weir_errname(0), "OK");
    CHECK_STR_EQ(weir_errname(4096), "OK");
    CHECK_STR_EQ(weir_strerror(0), "no error");
    CHECK_STR_EQ(weir_strerror(INT32_MAX), "no error");
}

CASE(error_that_nobody_knows_still_has_a_text)
{
    static const int unknown[] = {-4095, -4199, -100000, INT32_MIN, INT32_MIN + 1};
    for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_STR_EQ(weir_errname(unknown[i]), "?");
        CHECK_STR_EQ(weir_strerror(unknown[i]), "unknown error");
    }
}
