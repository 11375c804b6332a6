/* SPDX-License-Identifier: MIT */
/* opcode -- what requests are called, for a person; the opcodes are in backend.h. */
#include "backend/backend.h"

const char *wi_opcode_name(uint8_t opcode)
{
    static const char *const names[WI_OP_COUNT] = {
        [WI_OP_NOP] = "no-op",       [WI_OP_POLL] = "poll",     [WI_OP_ACCEPT] = "accept",
        [WI_OP_CONNECT] = "connect", [WI_OP_RECV] = "receive",  [WI_OP_SEND] = "send",
        [WI_OP_SENDMSG] = "send",    [WI_OP_READ] = "read",     [WI_OP_WRITE] = "write",
        [WI_OP_FSYNC] = "sync",      [WI_OP_OPEN] = "open",     [WI_OP_CLOSE] = "close",
        [WI_OP_RENAME] = "rename",   [WI_OP_UNLINK] = "unlink", [WI_OP_STAT] = "stat",
        [WI_OP_RAW] = "raw entry",   [WI_OP_CALL] = "call"};
    return opcode < WI_OP_COUNT ? names[opcode] : "operation";
}
