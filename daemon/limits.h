/* limits.h: file descriptors: the soft limit is raised to the hard one, and what is configured has to fit. Control thread. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct config;

/* Raises the soft NOFILE limit to the hard one; how many descriptors that makes. */
uint64_t limits_raise_files(void);
/* How many descriptors `inflight` messages may need with this configuration: a connection each, at most max_inflight a provider, and
 * what the process itself needs. Providers run with the limits of `read`, the configuration that was read last, where it has them. */
uint64_t limits_files_needed(const struct config *config, const struct config *read, unsigned inflight);
/* The most messages in flight that fit into `files`; 0: not even one. */
unsigned limits_inflight_max(const struct config *config, const struct config *read, uint64_t files);

#endif
