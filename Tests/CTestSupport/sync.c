#define _GNU_SOURCE
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_support.h"

static _Thread_local void (*on_sync)(void *context, bool is_folder);
static _Thread_local void *on_sync_context;

void set_on_sync(void (*body)(void *context, bool is_folder), void *context) {
  on_sync = body;
  on_sync_context = context;
}

#ifdef __linux__

#include <sys/syscall.h>

// Replaces the C library's fsync in the whole test program.
int fsync(int file) {
  struct stat status;
  if (on_sync && fstat(file, &status) == 0) on_sync(on_sync_context, S_ISDIR(status.st_mode));
  return (int)syscall(SYS_fsync, file);
}

#endif
