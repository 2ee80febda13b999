// The update of parameters in training.
#pragma once
#include "processor.h"

#pragma clang assume_nonnull begin

// One update of some parameters by Adam:
//   m = beta1·m + (1 - beta1)·g, v = beta2·v + (1 - beta2)·g², value -= rate·m / (√(v·correction) + epsilon)
// with g = scale·gradient. Denormal numbers count as zero. Otherwise the moments of a parameter that gets no more
// gradients would stay denormal for ever, and each of them would take a hundred cycles.
typedef struct adam_update {
  float *values;
  float *first;   // m
  float *second;  // v
  const float *gradient;
  ptrdiff_t count;
  float scale;
  float rate;
  float beta1;
  float beta2;
  float correction;
  float epsilon;
} adam_update;
void adam_run(instruction_set set, const adam_update *update);

#pragma clang assume_nonnull end
