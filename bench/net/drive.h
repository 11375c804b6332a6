/* SPDX-License-Identifier: MIT */
/*
 * drive -- the policy: which connection issues a request, and what an event on one means.
 *
 * Errors go to wl_fail; the caller looks at run->failure. One thread.
 */
#ifndef WL_DRIVE_H
#define WL_DRIVE_H

#include "run.h"

/* Issues as many requests on the connection as the phase and the depth allow now. */
void wl_drive_pump(struct wl_run *run, struct wl_conn *conn);

/* Paced phases: releases the requests whose time has come, a bounded number. Gives the time of the
 * next one: `now_ns` or earlier if some are left, UINT64_MAX if the answers must come first. */
uint64_t wl_drive_release(struct wl_run *run, uint64_t now_ns);

/* Connects again where it was refused, if it is time. */
void wl_drive_reconnect(struct wl_run *run, uint64_t now_ns);

void wl_drive_event(struct wl_run *run, struct wl_conn *conn, uint32_t events);

#endif
