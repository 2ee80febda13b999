#include "entry.h"
#include "sums.h"
#include "training.h"

// Runs BODY(load, store) for all values of a row: whole vectors in place, and the rest through a copy.
#define FOR_EACH_VECTOR(size, BODY)                      \
  {                                                      \
    ptrdiff_t i = 0;                                     \
    for (; i + 16 <= (size); i += 16) BODY(LOAD, STORE)  \
    if (i < (size)) BODY(LOAD_PART, STORE_PART)          \
  }
#define LOAD(source) (*(const lanes16 *)((source) + i))
#define STORE(target, value) *(lanes16 *)((target) + i) = (value)
#define LOAD_PART(source) lanes_load_part_f32((source) + i, size - i, 0)
#define STORE_PART(target, value) lanes_store_part_f32((target) + i, (value), size - i)

LANES void add_to_rows_body(instruction_set set, float *values, ptrdiff_t rows, ptrdiff_t size, const float *addend) {
  for (ptrdiff_t row = 0; row < rows; row++) {
    float *const target = values + row * size;
#define ADD(load, store) store(target, load(target) + load(addend));
    FOR_EACH_VECTOR(size, ADD)
#undef ADD
  }
}

ENTRY(add_to_rows, set,
      (instruction_set set, float *values, ptrdiff_t rows, ptrdiff_t size, const float *addend),
      (set, values, rows, size, addend))

LANES void additive_sums_body(instruction_set set, const additive_rows *s) {
  const ptrdiff_t size = s->size;
  for (ptrdiff_t row = 0; row < s->count; row++) {
    const float *const key = s->keys + row * s->key_stride;
    float *const hidden = s->hidden + row * size;
#define SUM(load, store) store(hidden, load(s->query) + load(key));
    FOR_EACH_VECTOR(size, SUM)
#undef SUM
  }
}

ENTRY(additive_sums, set, (instruction_set set, const additive_rows *s), (set, s))

LANES void additive_scores_body(instruction_set set, const additive_rows *s, float *scores) {
  const ptrdiff_t size = s->size;
  for (ptrdiff_t row = 0; row < s->count; row++) {
    const float *const hidden = s->hidden + row * size;
    lanes16 sum = 0;
#define ADD(load, store) sum += load(s->score_weight) * load(hidden);
    FOR_EACH_VECTOR(size, ADD)
#undef ADD
    scores[row] = sum_of_sixteen(&sum);
  }
}

ENTRY(additive_scores, set, (instruction_set set, const additive_rows *s, float *scores), (set, s, scores))

LANES void additive_gradients_body(instruction_set set, const additive_rows *s, const float *d_scores, float *d_query,
                                   float *d_keys, float *d_score_weight) {
  const ptrdiff_t size = s->size;
  for (ptrdiff_t row = 0; row < s->count; row++) {
    const float *const hidden = s->hidden + row * size;
    float *const d_key = d_keys + row * s->key_stride;
    const float d = d_scores[row];
#define ADD(load, store)                                                       \
  {                                                                            \
    const lanes16 value = load(hidden);                                        \
    const lanes16 slope = d * load(s->score_weight) * (1 - value * value);     \
    store(d_score_weight, load(d_score_weight) + d * value);                   \
    store(d_query, load(d_query) + slope);                                     \
    store(d_key, load(d_key) + slope);                                         \
  }
    FOR_EACH_VECTOR(size, ADD)
#undef ADD
  }
}

ENTRY(additive_gradients, set,
      (instruction_set set, const additive_rows *s, const float *d_scores, float *d_query, float *d_keys,
       float *d_score_weight),
      (set, s, d_scores, d_query, d_keys, d_score_weight))
