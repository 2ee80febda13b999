#define _GNU_SOURCE
#include "test_support.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#if defined(__linux__) && defined(__GLIBC__) && !defined(HAS_SANITIZER)

// glibc's allocator by its internal names. The functions below take its usual names, so every library calls them first.
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static _Thread_local long count;
static atomic_long count_of_all;

static void count_allocation(void) {
  count++;
  atomic_fetch_add_explicit(&count_of_all, 1, memory_order_relaxed);
}

void *malloc(size_t bytes) {
  count_allocation();
  return __libc_malloc(bytes);
}
void *calloc(size_t things, size_t bytes) {
  count_allocation();
  return __libc_calloc(things, bytes);
}
void *realloc(void *memory, size_t bytes) {
  count_allocation();
  return __libc_realloc(memory, bytes);
}
void *memalign(size_t alignment, size_t bytes) {
  count_allocation();
  return __libc_memalign(alignment, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  count_allocation();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  count_allocation();
  *memory = __libc_memalign(alignment, bytes);
  return *memory ? 0 : ENOMEM;
}

bool counts_allocations(void) { return true; }
long allocations_of_this_thread(void) { return count; }
long allocations_of_this_process(void) { return atomic_load(&count_of_all); }

#else

bool counts_allocations(void) { return false; }
long allocations_of_this_thread(void) { return 0; }
long allocations_of_this_process(void) { return 0; }

#endif

#include <sys/wait.h>
#include <unistd.h>

int run_in_child(int (*body)(void *context), void *context) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    alarm(10);
    _exit(body(context));
  }
  int status;
  if (waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#if defined(__linux__) && !defined(HAS_SANITIZER)

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { NO_SUCH_MODE = 77 };

int run_without_system_calls(int (*body)(void *context), void *context) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(NO_SUCH_MODE);
    syscall(SYS_exit, body(context));  // glibc's _exit makes a system call that the mode forbids
  }
  int status;
  if (waitpid(child, &status, 0) != child) return -1;
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  const int code = WEXITSTATUS(status);
  if (code == NO_SUCH_MODE) return -1;
  return code == 0 ? 0 : FAILED_CHILD + code;
}

#else

int run_without_system_calls(int (*body)(void *context), void *context) { return -1; }

#endif

void signal_overflows(void) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() & ~0x400u);
#endif
}
