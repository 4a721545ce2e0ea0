/* job.c: the little that everybody does with a job. Pure. */
#include "dispatch/job.h"

#include <string.h>

#include "daemon/base/alloc.h"

const char *job_mask_number(const char *number, char ret[24])
{
	size_t len = strlen(number), shown = len > 3 ? 3 : 0, masked = len - shown;

	if (masked > 20)
		masked = 20;
	memset(ret, '*', masked);
	memcpy(ret + masked, number + len - shown, shown);
	ret[masked + shown] = '\0';
	return ret;
}

void job_free(struct job *job)
{
	mem_free(job);
}
