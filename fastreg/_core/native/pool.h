/* A small pool of plain threads for loops that hold no Python state.
 *
 * fastreg_run calls task(context, k, who) once for every k < n_tasks and returns when all are done.
 * The calling thread works, too; `who` < n_threads tells apart those that work at the same time.
 * Which thread does which task is left open: a task may depend on k alone. Helpers start when they
 * are first needed, sleep in between and never keep a process alive. Where the pool is in use by
 * another caller, in a child after a fork, or where no thread can be had, the caller does the rest
 * of the work itself.
 */
#ifndef FASTREG_POOL_H
#define FASTREG_POOL_H

#include <stddef.h>

typedef void (*fastreg_task)(void *context, ptrdiff_t k, int who);

void fastreg_run(fastreg_task task, void *context, ptrdiff_t n_tasks, int n_threads);

#endif
