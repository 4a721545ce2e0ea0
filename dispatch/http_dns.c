/*
 * http_dns.c: getaddrinfo in the offload pool, under a bounded cache. On its loop's thread; only resolve() runs on a pool's. An outage of
 * the resolver is survived with the last good addresses for an hour; after that, sending to a host that may have moved is worse.
 */
#include "dispatch/http_dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <string.h>

#include "daemon/base/alloc.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "dispatch/coro/coro.h"

enum { RESOLVE_MS = 10000 };

/* A resolution under way. Shared by the task that waits for it and the pool's thread, which may end later than the task. */
struct http_dns_job {
	atomic_uint refs;
	struct http_dns *dns;           /* NULL: it has gone */
	struct co_future *task;
	bool started;
	uint16_t port;
	size_t n;
	struct http_address addresses[HTTP_DNS_MAX];
	char host[];
};

static void job_unref(void *arg)
{
	struct http_dns_job *job = arg;

	if (atomic_fetch_sub(&job->refs, 1) == 1)
		mem_free(job);
}

static void take_address(struct http_dns_job *job, const struct addrinfo *ai)
{
	struct http_address *a = &job->addresses[job->n];

	if (job->n == HTTP_DNS_MAX || ai->ai_addrlen > sizeof a->sa || (ai->ai_family != AF_INET && ai->ai_family != AF_INET6))
		return;
	memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
	a->len = ai->ai_addrlen;
	if (ai->ai_family == AF_INET)
		a->sa.v4.sin_port = htons(job->port);
	else
		a->sa.v6.sin6_port = htons(job->port);
	job->n++;
}

/* On a thread of the pool. */
static int resolve(void *arg)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct http_dns_job *job = arg;
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(job->host, NULL, &hints, &list);

	if (rc == EAI_ADDRFAMILY || rc == EAI_NONAME)   /* AI_ADDRCONFIG hides loopback addresses where there is no network */
		rc = getaddrinfo(job->host, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &list);
	if (rc != 0)
		return rc == EAI_MEMORY ? -ENOMEM : -ENOENT;
	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
		take_address(job, ai);
	freeaddrinfo(list);
	return job->n > 0 ? 0 : -ENOENT;
}

static void take_result(struct http_dns *dns, const struct http_dns_job *job, int rc)
{
	if (rc != 0) {
		dns->failed_us = clock_mono_us();
		log_warn("provider's name can't be resolved", LOG_STR("host", dns->host), LOG_STR("error", strerror(-rc)),
			 LOG_UINT("kept_addresses", dns->n));
		return;
	}
	memcpy(dns->addresses, job->addresses, sizeof dns->addresses);
	dns->n = job->n;
	dns->first = 0;
	dns->resolved_us = clock_mono_us();
	dns->failed_us = 0;
}

static int resolve_task(void *arg)
{
	struct http_dns_job *job = arg;
	struct http_dns *dns;
	int rc;

	job->started = true;
	atomic_fetch_add(&job->refs, 1);
	rc = co_offload(resolve, job, job_unref, clock_mono_us() + RESOLVE_MS * 1000);
	dns = job->dns;
	if (dns != NULL) {
		dns->job = NULL;
		co_unref(job->task);
		take_result(dns, job, rc);
		dns->on_done(dns->arg);
	}
	job_unref(job);
	return rc == -ECANCELED ? rc : 0;
}

/* Out of memory is one more reason why there is no address: the next request tries again. */
static void start(struct http_dns *dns)
{
	size_t len = strlen(dns->host) + 1;
	struct http_dns_job *job = mem_zalloc(sizeof *job + len);

	if (job == NULL)
		return;
	atomic_init(&job->refs, 1);
	job->dns = dns;
	job->port = dns->port;
	memcpy(job->host, dns->host, len);
	job->task = co_task_new_static(resolve_task, job, "resolve a provider's name");
	if (job->task == NULL) {
		mem_free(job);
		return;
	}
	dns->job = job;
}

void http_dns_init(struct http_dns *dns, const char *host, uint16_t port, void (*on_done)(void *arg), void *arg)
{
	struct http_address *a = &dns->addresses[0];

	*dns = (struct http_dns){ .host = host, .port = port, .on_done = on_done, .arg = arg };
	if (inet_pton(AF_INET, host, &a->sa.v4.sin_addr) == 1) {
		a->sa.v4.sin_family = AF_INET;
		a->sa.v4.sin_port = htons(port);
		a->len = sizeof a->sa.v4;
	} else if (inet_pton(AF_INET6, host, &a->sa.v6.sin6_addr) == 1) {
		a->sa.v6.sin6_family = AF_INET6;
		a->sa.v6.sin6_port = htons(port);
		a->len = sizeof a->sa.v6;
	} else {
		return;
	}
	dns->literal = true;
	dns->n = 1;
}

void http_dns_fini(struct http_dns *dns)
{
	struct http_dns_job *job = dns->job;

	if (job == NULL)
		return;
	dns->job = NULL;
	job->dns = NULL;
	co_cancel(job->task);
	co_unref(job->task);
	if (!job->started)              /* nor will it ever run */
		job_unref(job);
}

size_t http_dns_get(struct http_dns *dns)
{
	int64_t now = clock_mono_us(), age_us = now - dns->resolved_us;
	bool held = dns->failed_us != 0 && now - dns->failed_us < HTTP_DNS_RETRY_MS * INT64_C(1000);

	if (dns->literal)
		return 1;
	if (dns->n > 0 && age_us > HTTP_DNS_STALE_S * INT64_C(1000000))
		dns->n = 0;
	if (dns->job == NULL && !held && (dns->n == 0 || age_us > HTTP_DNS_FRESH_S * INT64_C(1000000)))
		start(dns);
	return dns->n;
}

bool http_dns_failed(const struct http_dns *dns)
{
	return dns->n == 0 && dns->job == NULL;
}

void http_dns_blame(struct http_dns *dns, size_t index)
{
	if (dns->n > 0 && index == dns->first)
		dns->first = (dns->first + 1) % dns->n;
}
