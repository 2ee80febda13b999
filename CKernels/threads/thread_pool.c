#define _GNU_SOURCE
#include "thread_pool.h"

#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

// The number of forks since the program started, from parent to child. A child does not have its parent's threads.
static atomic_long forks;
static void count_fork(void) { atomic_fetch_add(&forks, 1); }
static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

// A thread's rounding and treatment of denormal numbers, without its exception masks and flags.
#if defined(__x86_64__)
typedef unsigned floating_point_mode;
enum { rounding_and_denormals = 0xe040, masked_exceptions = 0x1f80 };  // of MXCSR
static floating_point_mode current_mode(void) { return __builtin_ia32_stmxcsr() & rounding_and_denormals; }
static void adopt_mode(floating_point_mode mode) { __builtin_ia32_ldmxcsr(mode | masked_exceptions); }
#elif defined(__aarch64__)
typedef unsigned long floating_point_mode;
enum { rounding_and_denormals = 0x03c80003 };  // of FPCR: DN, FZ, RMode, FZ16, AH, FIZ
static floating_point_mode current_mode(void) {
  floating_point_mode mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode & rounding_and_denormals;
}
static void adopt_mode(floating_point_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
typedef int floating_point_mode;
static floating_point_mode current_mode(void) { return fegetround(); }
static void adopt_mode(floating_point_mode mode) { fesetround(mode); }
#endif

struct thread_pool {
  ptrdiff_t count;
  long forks;  // the number of forks when the pool was made
  long spins;  // how often a waiting thread spins before it sleeps
  pthread_mutex_t calls;
  void (*body)(void *context, ptrdiff_t index);
  void *context;
  floating_point_mode mode;  // of the current call's caller
  bool ends;

  // The barrier. The last of `count` threads to arrive starts the next phase.
  _Alignas(64) atomic_long arrived;
  _Alignas(64) atomic_long phase;
  atomic_long sleeping;
  pthread_mutex_t mutex;
  pthread_cond_t opened;

  struct worker {
    struct thread_pool *pool;
    ptrdiff_t index;
    pthread_t thread;
  } workers[];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// The number of processors that this process may run on.
static long processors(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return sysconf(_SC_NPROCESSORS_ONLN);
}

void thread_pool_barrier(thread_pool *pool) {
  const long phase = atomic_load(&pool->phase), count = pool->count;
  if (atomic_fetch_add(&pool->arrived, 1) + 1 == count) {
    atomic_store(&pool->arrived, 0);
    atomic_store(&pool->phase, phase + 1);
    // A thread that is about to sleep adds itself to `sleeping` before it reads the phase once more.
    if (atomic_load(&pool->sleeping) > 0) {
      pthread_mutex_lock(&pool->mutex);
      pthread_cond_broadcast(&pool->opened);
      pthread_mutex_unlock(&pool->mutex);
    }
    return;
  }
  for (long spin = 0; spin < pool->spins; spin++) {
    if (atomic_load_explicit(&pool->phase, memory_order_acquire) != phase) return;
    pause_briefly();
  }
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleeping, 1);
  while (atomic_load(&pool->phase) == phase) pthread_cond_wait(&pool->opened, &pool->mutex);
  atomic_fetch_sub(&pool->sleeping, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void *work(void *argument) {
  const struct worker *worker = argument;
  thread_pool *pool = worker->pool;
  for (;;) {
    thread_pool_barrier(pool);  // a call begins
    if (pool->ends) return NULL;
    adopt_mode(pool->mode);
    pool->body(pool->context, worker->index);
    thread_pool_barrier(pool);  // the call ends
  }
}

static void release(thread_pool *pool) {
  pthread_mutex_destroy(&pool->calls);
  pthread_mutex_destroy(&pool->mutex);
  pthread_cond_destroy(&pool->opened);
  free(pool);
}

// Ends the first `workers` threads, which must be waiting for a call.
static void end(thread_pool *pool, ptrdiff_t workers) {
  pool->ends = true;
  pool->count = workers + 1;
  thread_pool_barrier(pool);
  for (ptrdiff_t i = 0; i < workers; i++) pthread_join(pool->workers[i].thread, NULL);
}

thread_pool *thread_pool_create(ptrdiff_t count) {
  if (count < 1 || count > 1024) return NULL;
  const size_t bytes = sizeof(thread_pool) + (size_t)(count - 1) * sizeof(struct worker);
  thread_pool *pool = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!pool) return NULL;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  pool->count = count;
  pool->forks = atomic_load(&forks);
  // 2000 spins take 20 to 80 µs. With more threads than processors, a spinning thread would take the processor from one
  // that works.
  pool->spins = count <= processors() ? 2000 : 0;
  pool->body = NULL;
  pool->context = NULL;
  pool->ends = false;
  atomic_init(&pool->arrived, 0);
  atomic_init(&pool->phase, 0);
  atomic_init(&pool->sleeping, 0);
  pthread_mutex_init(&pool->calls, NULL);
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->opened, NULL);
  for (ptrdiff_t i = 0; i < count - 1; i++) {
    pool->workers[i].pool = pool;
    pool->workers[i].index = i + 1;
    if (pthread_create(&pool->workers[i].thread, NULL, work, &pool->workers[i]) != 0) {
      while (atomic_load(&pool->arrived) < i) sched_yield();
      end(pool, i);
      release(pool);
      return NULL;
    }
  }
  return pool;
}

bool thread_pool_is_alive(const thread_pool *pool) { return pool->forks == atomic_load(&forks); }

void thread_pool_destroy(thread_pool *pool) {
  if (!thread_pool_is_alive(pool)) {
    free(pool);
    return;
  }
  end(pool, pool->count - 1);
  release(pool);
}

void thread_pool_run(thread_pool *pool, void (*body)(void *context, ptrdiff_t index), void *context) {
  pthread_mutex_lock(&pool->calls);
  pool->body = body;
  pool->context = context;
  pool->mode = current_mode();
  thread_pool_barrier(pool);
  body(context, 0);
  thread_pool_barrier(pool);
  pthread_mutex_unlock(&pool->calls);
}
