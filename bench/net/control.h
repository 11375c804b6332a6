/* SPDX-License-Identifier: MIT */
/*
 * control -- measured phases by command, so that a driver can interleave many servers while all
 * connections stay up.
 *
 *     weir-load                      driver
 *     ready                 ----->
 *                           <-----   go 50            (a phase of 50 ms)
 *     {"mode":"echo",...}   ----->
 *                           <-----   requests 20000   (or of so many requests)
 *     {"mode":"echo",...}   ----->
 *                           <-----   end of file
 *
 * Between two phases nothing is outstanding and nobody runs. One thread.
 */
#ifndef WL_CONTROL_H
#define WL_CONTROL_H

#include "run.h"

/* Serves commands until standard input ends. Gives true, or false with the reason in
 * result->failure and no report of that phase written. `options` is what run->options points to. */
bool wl_control(struct wl_run *run, struct wl_options *options, struct wl_result *result);

#endif
