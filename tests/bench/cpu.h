/*
 * Benchmark: processors, time and who spent it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_BENCH_CPU_H
#define TESTS_BENCH_CPU_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * What a process spent. Busy and wait are exact, from the scheduler
 * (/proc/PID/task/TID/schedstat); the split of busy into user and system time
 * is sampled by the kernel's tick, good to a few percent over a second.
 */
typedef struct AxbCpuTime {
    uint64_t busy_ns;       /* running */
    uint64_t wait_ns;       /* ready to run while somebody else did */
    uint64_t user_ticks;
    uint64_t system_ticks;
} AxbCpuTime;

/* axb_now: monotonic time in ns. */
static inline uint64_t axb_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/*
 * axb_cpu_allowed: the processors this process may use, in order, as they
 * were at the first call, before anything was pinned.
 * @cpus: filled with at most @max numbers. Returns how many.
 */
unsigned axb_cpu_allowed(int *cpus, unsigned max);

/* axb_cpu_pin: bind the calling thread to the processors in the list. */
void axb_cpu_pin(const int *cpus, unsigned n);

/*
 * axb_cpu_urgent: let the calling thread run as soon as it wakes, to the
 * microsecond, whoever else is busy on its processor. For threads that sleep
 * nearly all the time. Without the privilege nothing changes.
 */
void axb_cpu_urgent(void);

/*
 * axb_cpu_time: what all threads of process @pid spent so far.
 * @tid: only that thread, or 0. Returns false if it is gone.
 */
bool axb_cpu_time(pid_t pid, pid_t tid, AxbCpuTime *out);

/*
 * axb_cpu_stolen: time that the hypervisor gave to others while a processor
 * of ours was ready to run, in ns, of all processors; 0 on real hardware.
 */
uint64_t axb_cpu_stolen(void);

#endif /* TESTS_BENCH_CPU_H */
