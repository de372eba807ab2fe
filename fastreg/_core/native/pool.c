/* Design: one mutex, two conditions. A caller that finds the pool taken does not wait for it: nested
 * and simultaneous calls cannot block each other. A caller waits only for helpers that have begun
 * a task, never for one that is still to wake up. */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"

static void run_alone(fastreg_task task, void *context, ptrdiff_t n_tasks)
{
    for (ptrdiff_t k = 0; k < n_tasks; k++)
        task(context, k, 0);
}

#if defined(_WIN32)

void fastreg_run(fastreg_task task, void *context, ptrdiff_t n_tasks, int n_threads)
{
    (void)n_threads;
    run_alone(task, context, n_tasks);
}

#else

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define MAX_HELPERS 255

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_there = PTHREAD_COND_INITIALIZER;
static pthread_cond_t work_done = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* All guarded by `lock`, but for `next`. */
static int taken, n_helpers, n_wanted, n_running, n_joined;
static fastreg_task current_task;
static void *current_context;
static ptrdiff_t current_count;
static atomic_ptrdiff_t next;

static void before_fork(void) { pthread_mutex_lock(&lock); }

static void after_fork_in_parent(void) { pthread_mutex_unlock(&lock); }

/* The helpers are not there any more, nor is a caller that had the pool. */
static void after_fork_in_child(void)
{
    taken = n_helpers = n_wanted = n_running = 0;
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&work_there, NULL);
    pthread_cond_init(&work_done, NULL);
}

static void prepare_for_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void do_tasks(fastreg_task task, void *context, ptrdiff_t count, int who)
{
    for (;;) {
        ptrdiff_t k = atomic_fetch_add(&next, 1);
        if (k >= count)
            return;
        task(context, k, who);
    }
}

static void *help(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (n_wanted == 0)
            pthread_cond_wait(&work_there, &lock);
        n_wanted--;
        n_running++;
        int who = ++n_joined;
        fastreg_task task = current_task;
        void *context = current_context;
        ptrdiff_t count = current_count;
        pthread_mutex_unlock(&lock);
        do_tasks(task, context, count, who);
        pthread_mutex_lock(&lock);
        if (--n_running == 0)
            pthread_cond_signal(&work_done);
    }
    return NULL;
}

/* Signals are for the threads of Python. */
static void start_helpers(int wanted)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    while (n_helpers < wanted && n_helpers < MAX_HELPERS) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, help, NULL) != 0)
            break;
        pthread_detach(thread);
        n_helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void fastreg_run(fastreg_task task, void *context, ptrdiff_t n_tasks, int n_threads)
{
    int helpers = n_threads - 1;
    if (n_tasks - 1 < helpers)
        helpers = (int)(n_tasks - 1);
    if (helpers <= 0) {
        run_alone(task, context, n_tasks);
        return;
    }
    pthread_once(&once, prepare_for_forks);
    pthread_mutex_lock(&lock);
    if (taken) {
        pthread_mutex_unlock(&lock);
        run_alone(task, context, n_tasks);
        return;
    }
    taken = 1;
    start_helpers(helpers);
    current_task = task;
    current_context = context;
    current_count = n_tasks;
    atomic_store(&next, 0);
    n_joined = 0;
    n_wanted = helpers < n_helpers ? helpers : n_helpers;
    pthread_cond_broadcast(&work_there);
    pthread_mutex_unlock(&lock);

    do_tasks(task, context, n_tasks, 0);

    pthread_mutex_lock(&lock);
    n_wanted = 0;
    while (n_running > 0)
        pthread_cond_wait(&work_done, &lock);
    taken = 0;
    pthread_mutex_unlock(&lock);
}

#endif
