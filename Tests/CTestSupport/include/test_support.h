// What a Swift test cannot do itself: count allocations, and run code that may make no system call.
#pragma once
#include <stdbool.h>

// Whether this process counts its allocations: not under a sanitizer, which has an allocator of its own.
bool counts_allocations(void);

// Allocations of the calling thread so far.
long allocations_of_this_thread(void);

// Allocations of all threads so far.
long allocations_of_this_process(void);
enum { FAILED_CHILD = 256 };

// Runs `body` in a forked child under seccomp's strict mode, where any system call but read, write and exit kills it.
// Returns 0 if the body returned 0, FAILED_CHILD plus what it returned if that was 1 to 76, the signal if one killed the
// child, and -1 if there is no such mode here.
int run_without_system_calls(int (*body)(void *context), void *context);

// Runs `body` in a forked child that is ended after ten seconds. Returns what it returned, 0 to 127, or,
// if a signal ended it, minus the signal's number.
int run_in_child(int (*body)(void *context), void *context);

// From here on, a floating-point overflow on the calling thread is a signal, SIGFPE, where the processor has such.
void signal_overflows(void);

// Sets what the calling thread does at the start of each fsync, or nothing with NULL: crash, or note what is synced.
void set_on_sync(void (*body)(void *context, bool is_folder), void *context);
