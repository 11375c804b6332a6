/* SPDX-License-Identifier: MIT */
/* word -- what epoll knows about one descriptor; the rules of `ready` are in internal.h. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "backend/epoll/internal.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLPRI == POLLPRI && EPOLLOUT == POLLOUT &&
                   EPOLLERR == POLLERR && EPOLLHUP == POLLHUP && EPOLLRDHUP == 0x2000,
               "events are passed between poll(2), epoll and the seam as they are");

#define WATCHED (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define READ_BITS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define WRITE_BITS (EPOLLOUT | EPOLLHUP | EPOLLERR)

void wi_epoll_word_init(struct wi_epoll_word *word, int fd)
{
    *word = (struct wi_epoll_word){.fd = fd};
    wi_list_init(&word->reads);
    wi_list_init(&word->writes);
    wi_list_init(&word->polls);
}

int wi_epoll_word_watch(struct wi_epoll *e, struct wi_epoll_word *word)
{
    if (word->added)
        return 0;
    /* An eventfd is always writable, and its first edge would end a wait for nothing. */
    uint32_t events = word == &e->wake_word ? EPOLLIN | EPOLLET : WATCHED;
    struct epoll_event event = {.events = events, .data.ptr = word};
    if (epoll_ctl(e->fd, EPOLL_CTL_ADD, word->fd, &event) < 0)
        return -errno;
    /* What holds already comes as the first edge. */
    word->added = true;
    word->ready = 0;
    return 0;
}

/* Nobody reads the wake-up's counter on the fast path: every write to an eventfd is an edge. Left
 * alone it would make each new POLL complete at once, for ever. */
static void drain_wake(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

int wi_epoll_word_look(struct wi_epoll *e, struct wi_epoll_word *word, uint32_t mask)
{
    struct pollfd look = {.fd = word->fd, .events = (short)mask};
    while (poll(&look, 1, 0) < 0 && errno == EINTR)
        ;
    uint32_t seen = (uint16_t)look.revents;
    if (seen & POLLNVAL)
        return -EBADF;
    word->ready = (word->ready & ~mask) | seen;
    if (word == &e->wake_word && seen & POLLIN)
        drain_wake(word->fd);
    return (int)seen;
}

bool wi_epoll_worth_trying(const struct wi_epoll_word *word, uint8_t opcode)
{
    bool reads = opcode == WI_OP_RECV || opcode == WI_OP_ACCEPT;
    return (word->ready & (reads ? READ_BITS : WRITE_BITS)) != 0;
}

/* Receives that can find nothing although ordinary data is there, and so prove nothing about it. */
#define MSG_LOOKS_ELSEWHERE (MSG_OOB | MSG_ERRQUEUE | MSG_PEEK)

void wi_epoll_word_note(struct wi_epoll_word *word, const struct wi_req *req, ssize_t result)
{
    if (result != -EAGAIN)
        return;
    switch (req->opcode) {
    case WI_OP_RECV:
        if (req->msg_flags & MSG_LOOKS_ELSEWHERE)
            return;
        /* fall through */
    case WI_OP_ACCEPT:
        word->ready &= ~(uint32_t)EPOLLIN;
        return;
    case WI_OP_CONNECT:
        return; /* a full backlog at the other end */
    default:
        word->ready &= ~(uint32_t)EPOLLOUT;
        return;
    }
}

static void activate_first(struct wi_epoll *e, struct wi_list *queue)
{
    if (!wi_list_empty(queue))
        wi_epoll_activate(e, wi_container_of(queue->next, struct wi_epoll_request, queue));
}

void wi_epoll_word_edge(struct wi_epoll *e, struct wi_epoll_word *word, uint32_t events)
{
    /* epoll looked at the whole state when it handed out the edge, so this replaces the hints. */
    word->ready = events;
    for (struct wi_list *node = word->polls.next; node != &word->polls; node = node->next) {
        struct wi_epoll_request *r = wi_container_of(node, struct wi_epoll_request, queue);
        uint32_t seen = events & (r->req.events | EPOLLERR | EPOLLHUP);
        r->seen |= seen;
        if (seen != 0)
            wi_epoll_activate(e, r);
    }
    if (events & READ_BITS)
        activate_first(e, &word->reads);
    if (events & WRITE_BITS)
        activate_first(e, &word->writes);
}
