// What training does with many numbers at once: updates of parameters, and losses.
#pragma once
#include "processor.h"

#pragma clang assume_nonnull begin

// MARK: Updates

// How a value w changes by its gradient g, and the arrays that the update keeps: state[0], state[1] and state[2].
//
//   update_sgd                  w -= rate·g
//   update_momentum             b = momentum·b + g, w -= rate·b                              b
//   update_nesterov             b = momentum·b + g, w -= rate·(g + momentum·b)               b
//   update_rms                  v = beta2·v + (1 - beta2)·g², w -= rate·g / (√v + epsilon)   v
//   update_rms_momentum         b = momentum·b + g / (√v + epsilon), w -= rate·b             v, b
//   update_rms_centered         as update_rms with √(v - a²), a = beta2·a + (1 - beta2)·g    v, -, a
//   update_rms_centered_momentum                                                             v, b, a
//   update_adam                 m = beta1·m + (1 - beta1)·g, v = beta2·v + (1 - beta2)·g²,
//                               w -= rate·m / (√(v·correction) + epsilon)                    m, v
typedef enum update_kind {
  update_sgd,
  update_momentum,
  update_nesterov,
  update_rms,
  update_rms_momentum,
  update_rms_centered,
  update_rms_centered_momentum,
  update_adam,
} update_kind;

// The kind of an update and its numbers. Before the update, g is clipped, and the penalties of w are added:
//   g = clip(scale·gradient, -limit, limit) + l2·w + l1·sign(w), w = keep·w
typedef struct update_rule {
  update_kind kind;
  float rate;
  float momentum;
  float beta1;
  float beta2;
  float correction;
  float epsilon;
  float limit;  // infinity clips nothing
  float l1;
  float l2;
  float keep;  // 1 unless the weights decay
} update_rule;

// One update of some parameters. Denormal numbers count as zero. Otherwise the moments of a parameter that gets no more
// gradients would stay denormal for ever, and each of them would take a hundred cycles.
//
// If only some rows of `size` parameters have a gradient, as those of the symbols that an embedding has seen, `rows`
// lists them in ascending order. The gradient of all other rows is not read and counts as zero. A lazy update leaves
// those parameters and their state as they are.
typedef struct parameter_update {
  float *values;                    // [count]
  float *_Nullable state[3];        // [count] each, those that the kind keeps
  const float *_Nullable gradient;  // [count]
  const ptrdiff_t *_Nullable rows;  // [row_count]; a lazy update can have them in any order
  ptrdiff_t row_count;
  ptrdiff_t size;
  ptrdiff_t count;  // a multiple of size
  bool has_rows;    // if not, every parameter has a gradient
  bool is_lazy;     // it must have rows
  float scale;
} parameter_update;
void update_parameters(instruction_set set, const update_rule *rule, const parameter_update *update);

// MARK: Losses

// Softmax of one row. Each value x of a class becomes
//   factor·exp(x - largest) / sum - smoothing·weight
// which is its probability if factor is 1 and smoothing 0, and otherwise the gradient of a cross-entropy, but for the
// target's own part. exp has an error of at most 1.02 ULP, and results below exp(-87.33), about 2^-126, are zero. A NaN
// among the values makes all of them NaN.
typedef struct softmax_row {
  float *values;                   // [count]: logits, overwritten
  const float *_Nullable weights;  // [count]; 1 each if there are none
  ptrdiff_t count;
  float factor;
  float smoothing;  // 0 unless has_distance
  // Whether distance is asked for. A gradient whose factor is 0 has a smoothing of 0, and its loss needs the distance.
  bool has_distance;
  float largest;   // of the values, written
  float sum;       // Σ exp(x - largest), written
  float distance;  // Σ weight·(largest - x), written if has_distance
} softmax_row;
void softmax_run(instruction_set set, softmax_row *row);

// values[row] = softmax(values[row]) for some rows of `count` logits, which start `stride` apart. A logit of -∞
// becomes 0; a row without a finite logit becomes NaN.
void softmax_rows(instruction_set set, float *values, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t count);

// The gradient through a softmax: d = scale·p·(d - Σ p·d), with the probabilities p [count] and d [count], overwritten.
void softmax_gradient(instruction_set set, const float *p, float *d, ptrdiff_t count, float scale);

// Losses of d = y - target, whose sum is in double precision:
//   error_squared    d²
//   error_absolute   |d|
//   error_huber      d²/2 if |d| ≤ delta, otherwise delta·(|d| - delta/2)
typedef enum error_kind {
  error_squared,
  error_absolute,
  error_huber,
} error_kind;
typedef struct error_values {
  error_kind kind;
  float *y;              // [count], overwritten by scale times the gradients of the losses
  const float *targets;  // [count]
  ptrdiff_t count;
  float scale;
  float delta;
  double sum;  // of the losses, written
} error_values;
void sum_errors(instruction_set set, error_values *values);

// *sum += Σ values². Every product is exact, and the order of the additions is the same for every instruction set.
void add_squares(instruction_set set, const float *values, ptrdiff_t count, double *sum);

// MARK: Rows

// values[row] += addend for each of `rows` rows of `size` values, one after the other.
void add_to_rows(instruction_set set, float *values, ptrdiff_t rows, ptrdiff_t size, const float *addend);

// MARK: Attention

// The keys that an additive attention compares with one query. The score of a key is score_weight·tanh(query + key).
typedef struct additive_rows {
  const float *query;         // [size]
  const float *keys;          // [count][size]
  ptrdiff_t key_stride;       // the distance between two keys
  const float *score_weight;  // [size]
  float *hidden;              // [count][size]: query + key, and then its tanh
  ptrdiff_t count;
  ptrdiff_t size;
} additive_rows;

// hidden[row] = query + keys[row], overwritten.
void additive_sums(instruction_set set, const additive_rows *rows);
// scores[row] = score_weight·hidden[row], overwritten. The caller has replaced hidden by its tanh before.
void additive_scores(instruction_set set, const additive_rows *rows, float *scores);
// The gradients through both, from d_scores [count]. They are added to d_query [size], d_keys [count][size], whose rows
// have the distance of the keys, and d_score_weight [size].
void additive_gradients(instruction_set set, const additive_rows *rows, const float *d_scores, float *d_query,
                        float *d_keys, float *d_score_weight);

#pragma clang assume_nonnull end
