/* SPDX-License-Identifier: MIT */
/* self -- where the thread-local lives. */
#include "base/self.h"

_Thread_local struct wi_core *wi_core_self;
