// What a Swift test cannot do itself: count allocations, and run code that may make no system call.
#pragma once
#include <stdbool.h>

// Whether this process counts its allocations. It does not under a sanitizer, which has an allocator of its own.
bool counts_allocations(void);

// The number of allocations that the calling thread has made so far.
long allocations_of_this_thread(void);

// The number of allocations that all threads have made so far.
long allocations_of_this_process(void);
enum { FAILED_CHILD = 256 };

// Runs `body` in a forked child under seccomp's strict mode, in which any system call but read, write and exit kills
// it. Returns 0 if the body returned 0, FAILED_CHILD plus its result if that was 1 to 76, the signal's number if a
// signal killed the child, and -1 if the system has no such mode.
int run_without_system_calls(int (*body)(void *context), void *context);

// Runs `body` in a forked child that is ended after ten seconds. Returns the body's result, 0 to 127, or minus the
// signal's number if a signal ended the child.
int run_in_child(int (*body)(void *context), void *context);

// From here on, a floating-point overflow on the calling thread raises SIGFPE, if the processor can do that.
void signal_overflows(void);

// Sets what the calling thread does at the start of each fsync, such as to crash or to note what is synced. NULL means
// nothing.
void set_on_sync(void (*body)(void *context, bool is_folder), void *context);
