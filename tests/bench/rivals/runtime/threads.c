/* threads.c: the system's threads as tasks: a switch (two that hand a semaphore to and fro on one processor), and the memory of parked
 * ones, of which the kernel's own share (16 KiB of stack each) is not seen here. Prints `metric value` lines. Argument: how many park. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 20000 };

static sem_t ping, pong, park;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double memory_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	double kb = 0;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0)
			kb += strtod(line + 6, NULL);
	if (f != NULL)
		fclose(f);
	return kb * 1024;
}

static void *answer(void *arg)
{
	for (int i = 0; i < N; i++) {
		sem_wait(&ping);
		sem_post(&pong);
	}
	return arg;
}

static void switches(void)
{
	pthread_t t;
	cpu_set_t one, all;
	double start;

	sched_getaffinity(0, sizeof all, &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	if (pthread_create(&t, NULL, answer, NULL) != 0)
		exit(1);
	start = now_ns();
	for (int i = 0; i < N; i++) {
		sem_post(&ping);
		sem_wait(&pong);
	}
	printf("switch_ns %.1f\nqueue_pingpong_ns %.1f\n", (now_ns() - start) / (2.0 * N), (now_ns() - start) / N);
	pthread_join(t, NULL);
	sched_setaffinity(0, sizeof all, &all);
}

static void *waits(void *arg)
{
	sem_wait(&park);
	return arg;
}

static void parked(int n)
{
	pthread_t *t = calloc((size_t)n, sizeof *t);
	double before = memory_bytes();
	pthread_attr_t attr;
	int there = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	while (t != NULL && there < n && pthread_create(&t[there], &attr, waits, NULL) == 0)
		there++;
	if (there == n)
		printf("parked_%d_bytes %.1f\n", n, (memory_bytes() - before) / n);
	for (int i = 0; i < there; i++)
		sem_post(&park);
	for (int i = 0; i < there; i++)
		pthread_join(t[i], NULL);
	free(t);
}

int main(int argc, char **argv)
{
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	sem_init(&park, 0, 0);
	switches();
	parked(argc > 1 ? atoi(argv[1]) : 1000);
	return 0;
}
