/* SPDX-License-Identifier: MIT */
/* trace -- mechanism; the contract is in trace.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrorname_np */
#endif
#include "backend/sim/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "backend/sim/address.h"
#include "backend/sim/node.h"
#include "backend/sim/world.h"

enum { ERRNO_MAX = 4095, RESULT_TEXT_MAX = 32 };

static const char *const opcodes[WI_OP_COUNT] = {
    [WI_OP_NOP] = "nop",         [WI_OP_POLL] = "poll",     [WI_OP_ACCEPT] = "accept",
    [WI_OP_CONNECT] = "connect", [WI_OP_RECV] = "recv",     [WI_OP_SEND] = "send",
    [WI_OP_SENDMSG] = "sendmsg", [WI_OP_READ] = "read",     [WI_OP_WRITE] = "write",
    [WI_OP_FSYNC] = "fsync",     [WI_OP_OPEN] = "open",     [WI_OP_CLOSE] = "close",
    [WI_OP_RENAME] = "rename",   [WI_OP_UNLINK] = "unlink", [WI_OP_STAT] = "stat",
    [WI_OP_RAW] = "raw",         [WI_OP_CALL] = "call"};

static const char *const ctls[] = {[WI_CTL_SOCKET] = "socket",     [WI_CTL_BIND] = "bind",
                                   [WI_CTL_LISTEN] = "listen",     [WI_CTL_SETOPT] = "setopt",
                                   [WI_CTL_GETOPT] = "getopt",     [WI_CTL_LOCALNAME] = "localname",
                                   [WI_CTL_PEERNAME] = "peername", [WI_CTL_SHUTDOWN] = "shutdown",
                                   [WI_CTL_CLOSE] = "close",       [WI_CTL_ABANDON] = "abandon",
                                   [WI_CTL_STATPATH] = "statpath", [WI_CTL_UNLINK] = "unlink",
                                   [WI_CTL_FILE] = "file",         [WI_CTL_ADOPT] = "adopt",
                                   [WI_CTL_HOST] = "host",         [WI_CTL_RAW] = "raw"};

int wi_sim_trace_open(FILE **out, const char *path, struct wi_why *why)
{
    *out = strcmp(path, "-") == 0 ? stderr : fopen(path, "we");
    if (*out == NULL) {
        int error = errno;
        (void)snprintf(why->text, sizeof why->text, "%.160s: %s", path, strerrorname_np(error));
        return -error;
    }
    if (*out != stderr)
        (void)setvbuf(*out, NULL, _IOLBF, 0);
    return 0;
}

int wi_sim_trace_close(FILE *file, const char *path, struct wi_why *why)
{
    if (file == NULL || file == stderr)
        return 0;
    bool failed = ferror(file) != 0;
    if (fclose(file) == 0 && !failed)
        return 0;
    (void)snprintf(why->text, sizeof why->text, "%.160s: cannot be written", path);
    return -EIO;
}

static void begin_line(const struct wi_sim_world *world, const struct wi_sim_node *node)
{
    weir_ns at = world->now - WI_SIM_BIRTH;
    (void)fprintf(world->trace, "%" PRId64 ".%09" PRId64 "  %-8s ", (int64_t)(at / WEIR_SEC),
                  (int64_t)(at % WEIR_SEC), node != NULL ? node->name : "-");
}

void wi_sim_trace(const struct wi_sim_world *world, const struct wi_sim_node *node,
                  const char *format, ...)
{
    va_list args;
    begin_line(world, node);
    va_start(args, format);
    (void)vfprintf(world->trace, format, args);
    va_end(args);
    (void)fputc('\n', world->trace);
}

static const char *result_text(char text[RESULT_TEXT_MAX], int64_t res)
{
    const char *name = res < 0 && res >= -ERRNO_MAX ? strerrorname_np((int)-res) : NULL;
    if (name != NULL)
        (void)snprintf(text, RESULT_TEXT_MAX, "-%s", name);
    else
        (void)snprintf(text, RESULT_TEXT_MAX, "%" PRId64, res);
    return text;
}

static void print_path(FILE *file, const struct sockaddr_un *name, uint32_t len)
{
    struct wi_sim_path path;
    if (wi_sim_path_read(&path, name, len) < 0 || path.len == 0)
        return;
    bool is_file = wi_sim_path_is_file(&path);
    (void)fprintf(file, " to \"%s%.*s\"", is_file ? "" : "@", (int)path.len - !is_file,
                  path.text + !is_file);
}

/* Of whatever a program wrote there; what is no address is refused in a moment. */
static void print_address(FILE *file, const void *mem, uint32_t len)
{
    char host[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    memcpy(&name, mem, len < sizeof name ? len : sizeof name);
    if (name.ss_family == AF_UNIX) {
        print_path(file, mem, len);
    } else if (name.ss_family == AF_INET) {
        const struct sockaddr_in *sin = (const void *)&name;
        (void)inet_ntop(AF_INET, &sin->sin_addr, host, sizeof host);
        (void)fprintf(file, " to %s:%u", host, ntohs(sin->sin_port));
    } else if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *sin6 = (const void *)&name;
        (void)inet_ntop(AF_INET6, &sin6->sin6_addr, host, sizeof host);
        (void)fprintf(file, " to [%s]:%u", host, ntohs(sin6->sin6_port));
    }
}

/* Where a request has no descriptor it has a path. */
static void print_req(FILE *file, const struct wi_req *req)
{
    (void)fprintf(file, "%s", opcodes[req->opcode]);
    switch (req->opcode) {
    case WI_OP_STAT:
        if (req->path != NULL)
            (void)fprintf(file, " \"%s\"", req->path);
        else
            (void)fprintf(file, " on %d", (int)req->fd);
        break;
    case WI_OP_CONNECT:
        (void)fprintf(file, " on %d", (int)req->fd);
        print_address(file, req->mem, req->len);
        break;
    case WI_OP_OPEN:
    case WI_OP_UNLINK:
        (void)fprintf(file, " \"%s\"", (const char *)req->mem);
        break;
    case WI_OP_RENAME:
        (void)fprintf(file, " \"%s\" to \"%s\"", (const char *)req->mem, req->to);
        break;
    case WI_OP_NOP:
    case WI_OP_CALL:
        break;
    default:
        (void)fprintf(file, " on %d", (int)req->fd);
    }
}

static void print_wanted(FILE *file, const struct wi_req *req)
{
    print_req(file, req);
    if (req->opcode == WI_OP_RECV || req->opcode == WI_OP_SEND || req->opcode == WI_OP_READ ||
        req->opcode == WI_OP_WRITE)
        (void)fprintf(file, ", %" PRIu32 " bytes", req->len);
    if (req->opcode == WI_OP_READ || req->opcode == WI_OP_WRITE)
        (void)fprintf(file, " at %" PRIu64, req->off);
    if (req->flags & WI_REQ_MULTI)
        (void)fprintf(file, ", again and again");
}

void wi_sim_trace_begin(const struct wi_sim_world *world, const struct wi_sim_node *node,
                        uint64_t token, const struct wi_req *req)
{
    begin_line(world, node);
    (void)fprintf(world->trace, "begins slot %u: ", (unsigned)wi_token_slot(token));
    print_wanted(world->trace, req);
    (void)fputc('\n', world->trace);
}

void wi_sim_trace_end(const struct wi_sim_world *world, const struct wi_sim_node *node,
                      const struct wi_cqe *cqe, const struct wi_req *req)
{
    char text[RESULT_TEXT_MAX];
    begin_line(world, node);
    (void)fprintf(world->trace, "gets slot %u: ", (unsigned)wi_token_slot(cqe->token));
    if (req != NULL)
        print_req(world->trace, req);
    else
        (void)fprintf(world->trace, "cancel");
    (void)fprintf(world->trace, " = %s%s\n", result_text(text, cqe->res),
                  cqe->flags & WI_CQE_MORE ? ", and more will come" : "");
}

void wi_sim_trace_try(const struct wi_sim_world *world, const struct wi_sim_node *node,
                      const struct wi_req *req, ssize_t res)
{
    char text[RESULT_TEXT_MAX];
    begin_line(world, node);
    print_wanted(world->trace, req);
    (void)fprintf(world->trace, " = %s\n", result_text(text, res));
}

void wi_sim_trace_ctl(const struct wi_sim_world *world, const struct wi_sim_node *node,
                      const struct wi_ctl *ctl, int res)
{
    char text[RESULT_TEXT_MAX];
    begin_line(world, node);
    (void)fprintf(world->trace, "%s", ctls[ctl->what]);
    if (ctl->what == WI_CTL_STATPATH || ctl->what == WI_CTL_UNLINK)
        (void)fprintf(world->trace, " \"%s\"", (const char *)ctl->mem);
    else if (ctl->what == WI_CTL_HOST)
        (void)fprintf(world->trace, " \"%s\"", ((const struct wi_host_query *)ctl->mem)->name);
    else if (ctl->what != WI_CTL_SOCKET)
        (void)fprintf(world->trace, " on %d", ctl->fd);
    if (ctl->what == WI_CTL_BIND)
        print_address(world->trace, ctl->mem, ctl->len);
    (void)fprintf(world->trace, " = %s\n", result_text(text, res));
}

void wi_sim_trace_fault(void *world, const char *odds)
{
    const char *name = odds + strlen(odds);
    while (name > odds && name[-1] != '.' && name[-1] != '>')
        name--;
    wi_sim_trace(world, NULL, "fault %s", name);
}
