// Stand-in for OpenMP's header, which BLIS's includes and the toolchain's clang does not have. BLIS is called for one
// thread at a time, so nothing of it is needed.
#pragma once
typedef struct {
  void *lock;
} omp_lock_t;
