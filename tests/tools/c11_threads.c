/*
 * c11_threads.c: C11's threads on pthreads, linked into SAN=thread builds only. ThreadSanitizer sees pthread calls and not glibc's
 * thrd_*, mtx_* and cnd_*; librdkafka uses those, and crashes it. Each C11 type is at least as large as its pthread counterpart
 * in glibc, which is what the casts rest on.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t) && sizeof(cnd_t) >= sizeof(pthread_cond_t), "glibc's layout");

struct start {
	thrd_start_t body;
	void *arg;
};

static void *run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	return (void *)(intptr_t)start.body(start.arg);
}

static int answer(int rc)
{
	return rc == 0 ? thrd_success : rc == EBUSY ? thrd_busy : rc == ETIMEDOUT ? thrd_timedout : rc == ENOMEM ? thrd_nomem : thrd_error;
}

int thrd_create(thrd_t *thread, thrd_start_t body, void *arg)
{
	struct start *start = malloc(sizeof *start);
	int rc;

	if (start == NULL)
		return thrd_nomem;
	*start = (struct start){ body, arg };
	rc = pthread_create((pthread_t *)thread, NULL, run, start);
	if (rc != 0)
		free(start);
	return answer(rc);
}

int thrd_join(thrd_t thread, int *ret)
{
	void *value = NULL;
	int rc = pthread_join((pthread_t)thread, &value);

	if (rc == 0 && ret != NULL)
		*ret = (int)(intptr_t)value;
	return answer(rc);
}

int thrd_detach(thrd_t thread)
{
	return answer(pthread_detach((pthread_t)thread));
}

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attr;
	int rc;

	pthread_mutexattr_init(&attr);
	if (type & mtx_recursive)
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return answer(rc);
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
	return answer(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
	return answer(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
	return answer(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *cond)
{
	return answer(pthread_cond_init((pthread_cond_t *)cond, NULL));
}

void cnd_destroy(cnd_t *cond)
{
	pthread_cond_destroy((pthread_cond_t *)cond);
}

int cnd_signal(cnd_t *cond)
{
	return answer(pthread_cond_signal((pthread_cond_t *)cond));
}

int cnd_broadcast(cnd_t *cond)
{
	return answer(pthread_cond_broadcast((pthread_cond_t *)cond));
}

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	return answer(pthread_cond_wait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until)
{
	return answer(pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until));
}
