#include "entry.h"
#include "training.h"

LANES void adam_sixteen(const adam_update *u, float *value, float *first, float *second, const float *gradient) {
  const lanes16 g = *(const lanes16 *)gradient * u->scale;
  const lanes16 m = *(const lanes16 *)first * u->beta1 + g * (1 - u->beta1);
  const lanes16 v = *(const lanes16 *)second * u->beta2 + g * g * (1 - u->beta2);
  *(lanes16 *)first = m;
  *(lanes16 *)second = v;
  *(lanes16 *)value -= m * u->rate / (__builtin_elementwise_sqrt(v * u->correction) + u->epsilon);
}

LANES void adam_run_body(instruction_set set, const adam_update *u) {
  const unsigned mode = flush_to_zero();
  ptrdiff_t i = 0;
  for (; i + 16 <= u->count; i += 16) adam_sixteen(u, u->values + i, u->first + i, u->second + i, u->gradient + i);
  if (i < u->count) {
    float rest[4][16] = {0};
    float *const all[] = {u->values, u->first, u->second, (float *)u->gradient};
    const size_t bytes = (size_t)(u->count - i) * sizeof(float);
    for (int a = 0; a < 4; a++) memcpy(rest[a], all[a] + i, bytes);
    adam_sixteen(u, rest[0], rest[1], rest[2], rest[3]);
    for (int a = 0; a < 3; a++) memcpy(all[a] + i, rest[a], bytes);
  }
  restore_denormals(mode);
}

ENTRY(adam_run, set, (instruction_set set, const adam_update *u), (set, u))
