// A pool of threads that share the units of one call.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#pragma clang assume_nonnull begin

typedef struct thread_pool thread_pool;

// A pool of `count` threads, 1 to 1024: the caller of each call and count - 1 that wait for one. Null if the system
// gives no more threads or memory.
thread_pool *_Nullable thread_pool_create(ptrdiff_t count);

// Whether the pool's threads are this process's: false in a child of fork, where a call would wait for ever.
bool thread_pool_is_alive(const thread_pool *pool);

// Ends the threads; no call may be running.
void thread_pool_destroy(thread_pool *pool);

// Calls body(context, index) on every thread, with index 0 on the caller's, and returns when all of them have returned.
// Calls from several threads take turns; a call from inside a body would wait for itself. The other threads use the
// caller's floating-point mode: its rounding, and whether denormal numbers are read and written as zero. Floating-point
// exceptions stay masked on them.
void thread_pool_run(thread_pool *pool, void (*body)(void *context, ptrdiff_t index), void *context);

// Every thread of a running call waits here until all have come. Waiting spins for some microseconds and then sleeps.
void thread_pool_barrier(thread_pool *pool);

#pragma clang assume_nonnull end
