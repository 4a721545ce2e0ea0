/* http2_provider: a provider over HTTP/2 with prior knowledge (h2c), nghttp2 on epoll: any request is
 * answered 200 {"id":"p<counter>"} after DELAY_MS; one write per connection and loop turn.  http2_provider [-p PORT] [-d DELAY_MS] [-m MAX_STREAMS] */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef struct conn { int fd, dead, refs, dirty; size_t olen, ocap; nghttp2_session *h2; struct conn *nd; char *out; } conn;
struct pend { conn *c; int32_t sid; double due; };
typedef struct { int n; char b[40]; } ans;
enum { QM = 1 << 17 }; static struct pend *q; static unsigned qh, qt;
static conn *dirty; static double delay, now; static unsigned long long ctr;
static double mono(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void unref(conn *c) { if (--c->refs == 0) { free(c->out); free(c); } }
static void cclose(conn *c) { if (c->dead) return; c->dead = 1; nghttp2_session_del(c->h2); close(c->fd); unref(c); }
static void mark(conn *c) { if (!c->dirty) { c->dirty = 1; c->refs++; c->nd = dirty; dirty = c; } }
static ssize_t body(nghttp2_session *s, int32_t sid, uint8_t *b, size_t len, uint32_t *df, nghttp2_data_source *src, void *u) {
    (void)s; (void)sid; (void)len; (void)u; int n = sprintf((char *)b, "{\"id\":\"p%llu\"}", (unsigned long long)(uintptr_t)src->ptr); *df = NGHTTP2_DATA_FLAG_EOF; return n; }
static void respond(conn *c, int32_t sid) {
    if (c->dead) return;
    char t[32], cl[8]; ++ctr; int n = snprintf(t, sizeof t, "%llu", ctr) + 10, cn = snprintf(cl, sizeof cl, "%d", n);   /* {"id":"p"} is 10 */
    nghttp2_nv nv[] = { { (uint8_t *)":status", (uint8_t *)"200", 7, 3, 6 }, { (uint8_t *)"content-type", (uint8_t *)"application/json", 12, 16, 6 }, { (uint8_t *)"content-length", (uint8_t *)cl, 14, cn, NGHTTP2_NV_FLAG_NO_COPY_NAME } };
    nghttp2_data_provider dp = { { .ptr = (void *)(uintptr_t)ctr }, body }; nghttp2_submit_response(c->h2, sid, nv, 3, &dp); mark(c); }
static int onframe(nghttp2_session *s, const nghttp2_frame *f, void *u) {
    conn *c = u; (void)s;
    if ((f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) && (f->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        if (delay == 0) respond(c, f->hd.stream_id); else { c->refs++; q[qt++ & (QM - 1)] = (struct pend){ c, f->hd.stream_id, now + delay }; } }
    return 0; }
static void flush(conn *c) {
    const uint8_t *d; ssize_t n; if (c->dead) return;
    while ((n = nghttp2_session_mem_send(c->h2, &d)) > 0) { if (c->olen + n > c->ocap) c->out = realloc(c->out, c->ocap = (c->olen + n) * 2); memcpy(c->out + c->olen, d, n); c->olen += n; }
    size_t off = 0; while (off < c->olen) { n = write(c->fd, c->out + off, c->olen - off); if (n <= 0) { if (errno != EAGAIN) { cclose(c); return; } break; } off += n; }
    memmove(c->out, c->out + off, c->olen - off); c->olen -= off; }
static void onread(conn *c) {
    static uint8_t b[65536];
    for (;;) { ssize_t n = read(c->fd, b, sizeof b); if (n <= 0) { if (n == 0 || errno != EAGAIN) cclose(c); return; }
        if (nghttp2_session_mem_recv(c->h2, b, n) < 0) { cclose(c); return; } mark(c); if (n < (ssize_t)sizeof b) return; } }
int main(int argc, char **argv) {
    int o, port = 18080, ms = 2000; while ((o = getopt(argc, argv, "p:d:m:")) != -1) if (o == 'p') port = atoi(optarg); else if (o == 'd') delay = atof(optarg) / 1e3; else if (o == 'm') ms = atoi(optarg); else return 2;
    signal(SIGPIPE, SIG_IGN); q = malloc(sizeof *q * QM);
    nghttp2_session_callbacks *cb; nghttp2_session_callbacks_new(&cb); nghttp2_session_callbacks_set_on_frame_recv_callback(cb, onframe);
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1; setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) { perror("bind"); return 1; }
    int ep = epoll_create1(0); struct epoll_event ev = { EPOLLIN, { .ptr = NULL } }, evs[64]; epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
    for (;;) {
        int to = -1; if (qh != qt) { now = mono(); double d = q[qh & (QM - 1)].due - now; to = d <= 0 ? 0 : (int)(d * 1e3) + 1; }
        int n = epoll_wait(ep, evs, 64, to); now = mono();
        for (int i = 0; i < n; i++) { conn *c = evs[i].data.ptr; if (c) { c->refs++; onread(c); if (!c->dead && c->olen) mark(c); unref(c); continue; }
            int s; while ((s = accept4(ls, NULL, NULL, SOCK_NONBLOCK)) >= 0) { setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); c = calloc(1, sizeof *c); c->fd = s; c->refs = 1;
                nghttp2_session_server_new(&c->h2, cb, c); nghttp2_settings_entry iv[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, ms }, { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20 } };
                nghttp2_submit_settings(c->h2, 0, iv, 2); nghttp2_session_set_local_window_size(c->h2, 0, 0, 1 << 24); mark(c);
                ev.events = EPOLLIN | EPOLLET | EPOLLOUT; ev.data.ptr = c; epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev); } }
        while (qh != qt && q[qh & (QM - 1)].due <= now) { struct pend *p = &q[qh++ & (QM - 1)]; respond(p->c, p->sid); unref(p->c); }
        while (dirty) { conn *c = dirty; dirty = c->nd; c->dirty = 0; flush(c); unref(c); } } }
