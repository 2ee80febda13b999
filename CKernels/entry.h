// ENTRY(name, set, (parameters), (arguments)) defines `name`, which runs `name_body`, compiled for each instruction
// set, as the one that the expression `set` gives.
#pragma once
#include "lanes.h"

#if defined(__x86_64__)
#define ENTRY(name, set, parameters, arguments)                              \
  FOR_AVX512 static void name##_avx512 parameters { name##_body arguments; } \
  FOR_AVX2 static void name##_avx2 parameters { name##_body arguments; }     \
  void name parameters {                                                     \
    switch (set) {                                                           \
      case instruction_set_avx512: name##_avx512 arguments; return;          \
      case instruction_set_avx2: name##_avx2 arguments; return;              \
      case instruction_set_portable: name##_body arguments; return;          \
    }                                                                        \
  }
#else
#define ENTRY(name, set, parameters, arguments) \
  void name parameters { name##_body arguments; }
#endif
