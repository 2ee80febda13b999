#include "entry.h"
#include "sums.h"
#include "training.h"

// MARK: Softmax

// x = exp(-x) for x ≥ 0, as σ computes it (Gates/SigmoidTanh.swift), with the same constants
// (Gates/ExpConstants.swift): exp(-x) = 2^n·exp(-r), r = x + n·ln 2, and 1 - exp(-r) is a polynomial. 0 for x > 87.33,
// since a larger x's result would soon be denormal. Max error: 1.02 ULP.
LANES void exp_of_negative(lanes16 *value) {
  const float shift = 12582912 + 127, most = 87.33f;
  const lanes16 x = *value;
  const lanes16 limited = x > most ? (lanes16)most : x;
  const lanes16 shifted = shift - limited * 1.44269504f;
  const lanes16 n = shifted - shift;
  lanes16 r = limited + n * 0.693359375f;
  r = r + n * -2.12194440e-4f;
  const lanes16 r2 = r * r;
  const lanes16 high = r * -0.0013814465f + 0.008368781f;
  lanes16 p = r * -0.041668393f + 0.166665196f;
  p = high * r2 + p;
  p = p * r - 0.49999994f;
  const lanes16 t = p * r2 + r;
  lanes16 power = shifted;
  power = lanes_exp2_of_shifted_f32(power);
  const lanes16 e = (1 - t) * power;
  *value = x > most ? (lanes16)0 : e;
}

typedef struct softmax_sums {
  lanes16 sum;
  lanes16 distance;
} softmax_sums;

// exp(x - largest) in place of 16 values, which are added up.
LANES void exponentials(softmax_sums *sums, bool smooths, lanes16 *x, float largest, const lanes16 *weight) {
  const lanes16 below = largest - *x;
  *x = below;
  exp_of_negative(x);
  sums->sum += *x;
  if (smooths) sums->distance = below * *weight + sums->distance;
}

LANES void softmax_of(bool smooths, softmax_row *s) {
  const ptrdiff_t whole = s->count / 16 * 16, rest = s->count - whole;
  float *const x = s->values;
  lanes16 most = -__builtin_inff(), last;
  for (ptrdiff_t i = 0; i < whole; i += 16) {
    const lanes16 a = *(const lanes16 *)(x + i);
    most = a > most ? a : most;
  }
  last = lanes_load_part_f32(x + whole, rest, -__builtin_inff());
  most = last > most ? last : most;
  const float largest = largest_of_sixteen(&most);

  softmax_sums sums = {0};
  lanes16 weight = 1;
  for (ptrdiff_t i = 0; i < whole; i += 16) {
    if (smooths && s->weights) weight = *(const lanes16 *)(s->weights + i);
    exponentials(&sums, smooths, (lanes16 *)(x + i), largest, &weight);
  }
  // What pads the row counts as zero.
  softmax_sums of_rest = {0};
  last = lanes_load_part_f32(x + whole, rest, largest);
  if (s->weights) weight = lanes_load_part_f32(s->weights + whole, rest, 0);
  exponentials(&of_rest, smooths, &last, largest, &weight);
  lanes_store_part_f32(x + whole, last, rest);
  last = lanes_load_part_f32(x + whole, rest, 0);
  sums.sum += last;
  sums.distance += of_rest.distance;
  s->largest = largest;
  s->sum = sum_of_sixteen(&sums.sum);
  if (smooths) s->distance = sum_of_sixteen(&sums.distance);

  const float factor = s->factor / s->sum;
  for (ptrdiff_t i = 0; i < whole; i += 16) {
    lanes16 *const a = (lanes16 *)(x + i);
    *a = *a * factor;
    if (smooths) *a -= s->weights ? *(const lanes16 *)(s->weights + i) * s->smoothing : (lanes16)s->smoothing;
  }
  for (ptrdiff_t i = whole; i < s->count; i++) {
    x[i] = x[i] * factor;
    if (smooths) x[i] -= s->weights ? s->weights[i] * s->smoothing : s->smoothing;
  }
}

LANES void softmax_run_body(instruction_set set, softmax_row *s) {
  // Probabilities far from the largest would be denormal in the gradient, and slow whatever reads them.
  const unsigned mode = flush_to_zero();
  if (s->has_distance) {
    softmax_of(true, s);
  } else {
    softmax_of(false, s);
  }
  restore_denormals(mode);
}

ENTRY(softmax_run, set, (instruction_set set, softmax_row *s), (set, s))

LANES void softmax_rows_body(instruction_set set, float *values, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t count) {
  const unsigned mode = flush_to_zero();
  for (ptrdiff_t row = 0; row < rows; row++) {
    softmax_row s = {.values = values + row * stride, .count = count, .factor = 1};
    softmax_of(false, &s);
  }
  restore_denormals(mode);
}

ENTRY(softmax_rows, set, (instruction_set set, float *values, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t count),
      (set, values, rows, stride, count))

LANES void softmax_gradient_body(instruction_set set, const float *p, float *d, ptrdiff_t count, float scale) {
  const ptrdiff_t whole = count / 16 * 16;
  lanes16 sum = 0;
  for (ptrdiff_t i = 0; i < whole; i += 16) sum += *(const lanes16 *)(p + i) * *(const lanes16 *)(d + i);
  sum += lanes_load_part_f32(p + whole, count - whole, 0) * lanes_load_part_f32(d + whole, count - whole, 0);
  const float mean = sum_of_sixteen(&sum);
  for (ptrdiff_t i = 0; i < whole; i += 16) {
    lanes16 *const a = (lanes16 *)(d + i);
    *a = *(const lanes16 *)(p + i) * (*a - mean) * scale;
  }
  for (ptrdiff_t i = whole; i < count; i++) d[i] = p[i] * (d[i] - mean) * scale;
}

ENTRY(softmax_gradient, set, (instruction_set set, const float *p, float *d, ptrdiff_t count, float scale),
      (set, p, d, count, scale))

// MARK: Errors

// The losses of 16 errors d, and their gradients in d's place.
LANES void losses_of(error_kind kind, float delta, lanes16 *d, lanes16 *loss) {
  const lanes16 error = *d, magnitude = __builtin_elementwise_abs(error);
  const lanes16 sign = error > 0 ? (lanes16)1 : (error < 0 ? (lanes16)(-1) : error);
  if (kind == error_squared) {
    *d = 2 * error;
    *loss = error * error;
  } else if (kind == error_absolute) {
    *d = sign;
    *loss = magnitude;
  } else {
    *d = magnitude > delta ? sign * delta : error;
    *loss = magnitude > delta ? delta * (magnitude - 0.5f * delta) : 0.5f * error * error;
  }
}

LANES void sum_errors_of(error_kind kind, error_values *s) {
  lanes8d sums[2] = {0};
  for (ptrdiff_t i = 0; i < s->count; i += 16) {
    const ptrdiff_t count = s->count - i;
    lanes16 d, target, loss;
    if (count < 16) {
      d = lanes_load_part_f32(s->y + i, count, 0);
      target = lanes_load_part_f32(s->targets + i, count, 0);
      d -= target;
    } else {
      d = *(const lanes16 *)(s->y + i) - *(const lanes16 *)(s->targets + i);
    }
    losses_of(kind, s->delta, &d, &loss);
    sums[0] += __builtin_convertvector(loss.lo, lanes8d);
    sums[1] += __builtin_convertvector(loss.hi, lanes8d);
    d *= s->scale;
    if (count < 16) {
      lanes_store_part_f32(s->y + i, d, count);
    } else {
      *(lanes16 *)(s->y + i) = d;
    }
  }
  sums[0] += sums[1];
  s->sum = sum_of_eight(&sums[0]);
}

LANES void sum_errors_body(instruction_set set, error_values *s) {
  switch (s->kind) {
    case error_squared: sum_errors_of(error_squared, s); break;
    case error_absolute: sum_errors_of(error_absolute, s); break;
    case error_huber: sum_errors_of(error_huber, s); break;
  }
}

ENTRY(sum_errors, set, (instruction_set set, error_values *s), (set, s))
