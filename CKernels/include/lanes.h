// Sixteen-lane arithmetic for Swift, and the multi-versioning of Swift functions.
//
// Swift 6.3's own SIMD16<Float> operators become sixteen scalar operations; each function here becomes one vector
// instruction of whatever instruction set its caller is compiled for. Operands pass by address, so that no vector
// crosses a call: the calling convention of a wide vector differs by instruction set.
#pragma once
#include <string.h>

#include "processor.h"

#pragma clang assume_nonnull begin

typedef float lanes16 __attribute__((ext_vector_type(16), aligned(4)));
typedef float lanes8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4)));
typedef int lanes16i __attribute__((ext_vector_type(16), aligned(4)));

#define LANES static inline __attribute__((always_inline))

LANES void lanes_add(void *a, const void *b) { *(lanes16 *)a += *(const lanes16 *)b; }
LANES void lanes_sub(void *a, const void *b) { *(lanes16 *)a -= *(const lanes16 *)b; }
LANES void lanes_mul(void *a, const void *b) { *(lanes16 *)a *= *(const lanes16 *)b; }
LANES void lanes_div(void *a, const void *b) { *(lanes16 *)a /= *(const lanes16 *)b; }

// sum += a · b, fused where the instruction set has it; elsewhere a multiply and an add, never a call of libm. Under
// contract(fast) a product of two uses would not be fused.
LANES void lanes_muladd(void *sum, const void *a, const void *b) {
#pragma clang fp contract(on)
  *(lanes16 *)sum = *(const lanes16 *)a * *(const lanes16 *)b + *(lanes16 *)sum;
}
// sum -= a · b, likewise.
LANES void lanes_mulsub(void *sum, const void *a, const void *b) {
#pragma clang fp contract(on)
  *(lanes16 *)sum = *(lanes16 *)sum - *(const lanes16 *)a * *(const lanes16 *)b;
}

// a = a > limit ? limit : a; a NaN in a stays.
LANES void lanes_at_most(void *a, const void *limit) {
  *(lanes16 *)a = *(lanes16 *)a > *(const lanes16 *)limit ? *(const lanes16 *)limit : *(lanes16 *)a;
}

// a = x > 0 ? a : other, so that a NaN in x takes other.
LANES void lanes_keep_where_positive(void *a, const void *x, const void *other) {
  *(lanes16 *)a = *(const lanes16 *)x > 0 ? *(lanes16 *)a : *(const lanes16 *)other;
}

// The sign bit: a = |a|, and a ≥ 0 with the sign of b.
LANES void lanes_magnitude(void *a) {
  *(lanes16 *)a = __builtin_bit_cast(lanes16, __builtin_bit_cast(lanes16i, *(lanes16 *)a) & 0x7fffffff);
}
LANES void lanes_add_sign(void *a, const void *b) {
  const lanes16i sign = __builtin_bit_cast(lanes16i, *(const lanes16 *)b) & (int)0x80000000;
  *(lanes16 *)a = __builtin_bit_cast(lanes16, __builtin_bit_cast(lanes16i, *(lanes16 *)a) | sign);
}

// 2^n for lanes that hold 1.5·2^23 + 127 + n, while it is a normal number: the low bits are the exponent's.
LANES void lanes_exp2_of_shifted(void *a) {
  *(lanes16 *)a = __builtin_bit_cast(lanes16, __builtin_bit_cast(lanes16i, *(lanes16 *)a) << 23);
}

// The first count of sixteen floats; nothing behind them is touched.
LANES void lanes_load_part(void *a, const float *source, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) ((float *)a)[i] = source[i];
}
LANES void lanes_store_part(float *target, const void *a, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) target[i] = ((const float *)a)[i];
}

// MULTIVERSION(name, (parameters), (arguments)) declares `name`, which Swift implements (`@c @implementation`), and
// `name_for`, which Swift calls: it runs the body compiled for the given instruction set. Each variant inlines the
// Swift body into a function with that set. All of it is emitted in the Swift file that calls `name_for`, and inlining
// sees no other file: keep the body and that call in one Swift file.
#define MULTIVERSION_VARIANT(of_set, architecture, attributes, supported, name, parameters, arguments) \
  architecture(attributes static inline                                                                \
               __attribute__((flatten, noinline)) void name##_##of_set parameters { name arguments; })
#define MULTIVERSION_CASE(of_set, architecture, attributes, supported, name) \
  architecture(case instruction_set_##of_set : return name##_##of_set;)
#define MULTIVERSION(name, parameters, arguments)                                     \
  void name parameters;                                                               \
  INSTRUCTION_SETS_BEYOND_PORTABLE(MULTIVERSION_VARIANT, name, parameters, arguments) \
  static inline void(*_Nonnull name##_for(instruction_set set)) parameters {          \
    switch (set) {                                                                    \
      INSTRUCTION_SETS_BEYOND_PORTABLE(MULTIVERSION_CASE, name)                       \
      default: return name;                                                           \
    }                                                                                 \
  }

#pragma clang assume_nonnull end
