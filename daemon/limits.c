/* limits.c: see limits.h. */
#include "daemon/limits.h"

#include <sys/resource.h>

#include "daemon/config.h"

/* Log, admin connections, epoll, eventfds; librdkafka has a socket and a wake-up pipe per broker. */
enum { FILES_OWN = 192, FILES_WORKER = 16, INFLIGHT_MAX = 1000000 };

uint64_t limits_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = { limit.rlim_max, limit.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	return limit.rlim_cur;
}

uint64_t limits_files_needed(const struct config *config, const struct config *read, unsigned inflight)
{
	uint64_t n = FILES_OWN + (uint64_t)config->daemon.workers * FILES_WORKER;

	for (size_t i = 0; i < config->n_providers; i++) {
		const struct provider_options *p = config_provider(read, config->providers[i].name);
		unsigned most = p != NULL ? p->max_inflight : config->providers[i].max_inflight;

		n += most < inflight ? most : inflight;
	}
	return n;
}

unsigned limits_inflight_max(const struct config *config, const struct config *read, uint64_t files)
{
	unsigned low = 0, high = INFLIGHT_MAX;

	while (low < high) {
		unsigned mid = low + (high - low + 1) / 2;

		if (limits_files_needed(config, read, mid) <= files)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}
