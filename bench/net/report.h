/* SPDX-License-Identifier: MIT */
/* report -- the result in words for people, or as one JSON object on one line. */
#ifndef WL_REPORT_H
#define WL_REPORT_H

#include "run.h"

/* Writes to stdout. Gives false if that failed. */
bool wl_report(const struct wl_options *options, const struct wl_result *result);

#endif
