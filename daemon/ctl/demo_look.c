/* demo_look.c: see demo_look.h. It asks and counts; what follows from it is demo_report's to say. */
#include "daemon/ctl/demo_look.h"

#include <jansson.h>
#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/ctl/admin_client.h"
#include "daemon/ctl/call.h"
#include "daemon/ctl/demo_report.h"
#include "daemon/ctl/metrics_text.h"

enum { ANSWER_MS = 5000, LOOK_UPS_MAX = 3000, LOOK_UP_US = 10000000 };

static uint64_t count(const char *metrics, const char *name, const char *label)
{
	return (uint64_t)metrics_text_sum(metrics, name, label);
}

static void read_metrics(const char *m, struct demo_seen *seen, struct demo_result *r)
{
	static const char latency[] = "smstrack_accepted_to_sent_seconds";
	uint64_t open;

	r->accepted = count(m, "smstrack_records_total", NULL) - count(m, "smstrack_records_rejected_total", NULL);
	open = count(m, "smstrack_records_open", NULL);
	r->settled = r->accepted > open ? r->accepted - open : 0;
	seen->inflight = count(m, "smstrack_inflight", NULL);
	seen->quiet = open == 0 && seen->inflight == 0 ? seen->quiet + 1 : 0;
	r->sent = count(m, "smstrack_sent_total", NULL);
	r->refused = count(m, "smstrack_refused_total", NULL);
	r->failed = count(m, "smstrack_failed_total", NULL);
	r->lapsed = count(m, "smstrack_lapsed_total", NULL);
	r->uncertain = count(m, "smstrack_store_uncertain_total", NULL);
	r->extra_sends = count(m, "smstrack_store_extra_sends_total", NULL);
	r->duplicates = count(m, "smstrack_store_duplicates_total", NULL);
	r->p50_s = metrics_text_quantile(m, latency, 0.50);
	r->p90_s = metrics_text_quantile(m, latency, 0.90);
	r->p99_s = metrics_text_quantile(m, latency, 0.99);
}

int demo_look(const struct demo_world *w, struct demo_seen *seen, struct demo_result *r)
{
	char err[ADMIN_ERR_MAX];
	struct admin_reply reply;
	int rc = admin_call(w->admin, "GET", "/metrics", NULL, ANSWER_MS, &reply, err);

	if (rc < 0)
		return rc;
	if (reply.status == 200)
		read_metrics(reply.body, seen, r);
	admin_reply_fini(&reply);
	return 0;
}

/* Why a message was not sent, as its own record in Redis says. Without a record it is still on the topic. */
static void look_up(const struct demo_world *w, size_t n, struct demo_result *r)
{
	char target[64], err[ADMIN_ERR_MAX];
	struct admin_reply reply;
	json_t *record;

	snprintf(target, sizeof target, "/v1/messages/" DEMO_ID_PREFIX "%06zu", n);
	if (admin_call(w->admin, "GET", target, NULL, ANSWER_MS, &reply, err) < 0) {
		r->reasons_more++;
		return;
	}
	record = reply.status == 200 ? json_loads(reply.body, 0, NULL) : NULL;
	if (record != NULL)
		demo_result_reason(r, call_str(record, "state"), call_str(record, "error"));
	else if (reply.status != 404)
		r->reasons_more++;
	json_decref(record);
	admin_reply_fini(&reply);
}

void demo_look_up(const struct demo_world *w, size_t n_put, demo_stop_fn *stop, void *arg, struct demo_result *r)
{
	int64_t deadline_us = clock_mono_exact_us() + LOOK_UP_US;
	size_t looked = 0;

	for (size_t n = 0; n < n_put; n++) {
		if (demo_provider_taken(w->provider, n) > 0)
			continue;
		if (looked < LOOK_UPS_MAX && clock_mono_exact_us() < deadline_us && !stop(arg)) {
			look_up(w, n, r);
			looked++;
		} else {
			r->reasons_more++;
		}
	}
	if (r->reasons_more == 0)
		demo_result_take_ends(r);
}

void demo_look_ledger(const struct demo_world *w, size_t n_put, struct demo_result *r)
{
	demo_provider_ledger(w->provider, &r->ledger);
	for (size_t n = 0; n < n_put; n++) {
		unsigned taken = demo_provider_taken(w->provider, n);

		r->ids_once += taken == 1;
		r->ids_more += taken > 1;
	}
}
