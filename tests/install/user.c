/* SPDX-License-Identifier: MIT */
/* user -- the smallest program outside the tree: header and library must be of one version. */
#include "weir/api.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    char header[32];
    (void)snprintf(header, sizeof header, "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
                   WEIR_VERSION_PATCH);
    (void)printf("header %s, library %s\n", header, weir_version());
    return strcmp(header, weir_version()) == 0 ? 0 : 1;
}
