/* metrics_text.h: reads what /metrics says (Prometheus text exposition 0.0.4): sums of series, labels, percentiles of histograms. Pure. */
#ifndef CTL_METRICS_TEXT_H
#define CTL_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The sum of all series of that name that bear `label` (a whole pair, as `state="sent"`; NULL: any). 0 where there is none. */
double metrics_text_sum(const char *text, const char *name, const char *label);

/* Calls visit for each series of that name with the value of its label `key` ("" where it has none). */
typedef void(metrics_text_visit_fn)(const char *label_value, double value, void *arg);
void metrics_text_each(const char *text, const char *name, const char *key, metrics_text_visit_fn *visit, void *arg);

/* The q-quantile (0..1) of histogram `name` over all its series, linear within a bucket as Prometheus' histogram_quantile has it; the
 * highest finite bound where it lies above that. Negative where nothing was observed. */
double metrics_text_quantile(const char *text, const char *name, double q);

#endif
