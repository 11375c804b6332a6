/* SPDX-License-Identifier: MIT */
/* weir.h -- the whole library: tasks in scopes, deadlines by block, errors as results. */
#ifndef WEIR_H
#define WEIR_H

#include "weir/addr.h"
#include "weir/api.h"
#include "weir/buf.h"
#include "weir/chan.h"
#include "weir/claim.h"
#include "weir/core.h"
#include "weir/dump.h"
#include "weir/error.h"
#include "weir/event.h"
#include "weir/file.h"
#include "weir/interval.h"
#include "weir/local.h"
#include "weir/op.h"
#include "weir/random.h"
#include "weir/run.h"
#include "weir/scope.h"
#include "weir/signal.h"
#include "weir/sim.h"
#include "weir/sock.h"
#include "weir/stats.h"
#include "weir/task.h"
#include "weir/tcp.h"
#include "weir/time.h"
#include "weir/timer.h"
#include "weir/wake.h"

#endif /* WEIR_H */
