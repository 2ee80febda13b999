// A pool of threads that share the units of one call.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#pragma clang assume_nonnull begin

typedef struct thread_pool thread_pool;

// A pool of `count` threads, 1 to 1024: the caller's thread, and count - 1 threads that wait for calls. Null if the
// system does not provide that many threads, or not enough memory.
thread_pool *_Nullable thread_pool_create(ptrdiff_t count);

// Whether this process has the pool's threads. A child of fork does not, and a call there would wait for ever.
bool thread_pool_is_alive(const thread_pool *pool);

// Ends the threads. No call may be running.
void thread_pool_destroy(thread_pool *pool);

// Calls body(context, index) on every thread, with index 0 on the caller's thread, and returns when all of them have
// returned. Calls from several threads take turns. A call from inside a body would wait for itself. The other threads
// use the caller's floating-point mode: its rounding, and whether denormal numbers are read and written as zero. On
// them, floating-point exceptions stay masked.
void thread_pool_run(thread_pool *pool, void (*body)(void *context, ptrdiff_t index), void *context);

// Every thread of a running call waits here until all threads have arrived. A waiting thread spins for some
// microseconds and then sleeps.
void thread_pool_barrier(thread_pool *pool);

#pragma clang assume_nonnull end
