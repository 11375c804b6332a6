/* SPDX-License-Identifier: MIT */
/* addr_fuzz -- any text: it is refused at a position inside it, or what it says survives printing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "weir/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int cond)
{
    if (!cond)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_addr addr, again;
    char printed[WEIR_ADDR_TEXT_MAX];
    size_t bad_at = SIZE_MAX;
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    int rc = weir_addr_parse(&addr, text, &bad_at);
    if (rc < 0) {
        require(rc == -EINVAL || rc == -ENAMETOOLONG);
        require(bad_at <= strlen(text) && addr.len == 0);
    } else {
        int length = weir_addr_format(&addr, printed, sizeof printed);
        require(length > 0 && (size_t)length == strlen(printed));
        require(weir_addr_parse(&again, printed, NULL) == 0);
        /* A v4 address mapped into v6 prints, and comes back, as v4. */
        require(again.len != addr.len || memcmp(&again, &addr, sizeof addr) == 0);
    }
    free(text);
    return 0;
}
