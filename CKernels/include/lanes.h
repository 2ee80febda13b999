// Vector arithmetic for Swift, 64 bytes at a time, and the multi-versioning of Swift functions.
//
// Swift 6.3's own SIMD16<Float> operators become sixteen scalar operations; each function here becomes one vector
// instruction of whatever instruction set its caller is compiled for. Operands pass by address, so that no vector
// crosses a call: the calling convention of a wide vector differs by instruction set.
#pragma once
#include <stdint.h>
#include <string.h>

#include "processor.h"

#pragma clang assume_nonnull begin

typedef float lanes16 __attribute__((ext_vector_type(16), aligned(4)));
typedef float lanes8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4)));
typedef int32_t lanes16i __attribute__((ext_vector_type(16), aligned(4)));
typedef double lanes8d __attribute__((ext_vector_type(8), aligned(8)));
typedef int64_t lanes8i __attribute__((ext_vector_type(8), aligned(8)));

#define LANES static inline __attribute__((always_inline))

// clang-format off
// One body for both scalars; the functions' names end in f32 and f64.
//
//   add sub mul div          a = a op b
//   muladd, mulsub           sum += a · b and sum -= a · b, fused where the instruction set has it; elsewhere a
//                            multiply and an add, never a call of libm. Under contract(fast) a product of two uses
//                            would not be fused.
//   at_most                  a = a > limit ? limit : a; a NaN in a stays.
//   keep_where_positive      a = x > 0 ? a : other, so that a NaN in x takes other.
//   magnitude, add_sign      The sign bit: a = |a|, and a ≥ 0 with the sign of b.
//   exp2_of_shifted          2^n for lanes that hold 1.5·2^23 + 127 + n (f64: 1.5·2^52 + 1023 + n), while it is a
//                            normal number: the low bits are the exponent's.
//   load_part, store_part    The first count scalars of a vector, fewer than it has; nothing behind them is touched.
#define LANE_OPERATIONS(type, scalar, lanes, integers, most_integer, exponent_bit)                                  \
  LANES void lanes_add_##type(void *a, const void *b) { *(lanes *)a += *(const lanes *)b; }                         \
  LANES void lanes_sub_##type(void *a, const void *b) { *(lanes *)a -= *(const lanes *)b; }                         \
  LANES void lanes_mul_##type(void *a, const void *b) { *(lanes *)a *= *(const lanes *)b; }                         \
  LANES void lanes_div_##type(void *a, const void *b) { *(lanes *)a /= *(const lanes *)b; }                         \
  LANES void lanes_muladd_##type(void *sum, const void *a, const void *b) {                                         \
    _Pragma("clang fp contract(on)")                                                                                \
    *(lanes *)sum = *(const lanes *)a * *(const lanes *)b + *(lanes *)sum;                                          \
  }                                                                                                                 \
  LANES void lanes_mulsub_##type(void *sum, const void *a, const void *b) {                                         \
    _Pragma("clang fp contract(on)")                                                                                \
    *(lanes *)sum = *(lanes *)sum - *(const lanes *)a * *(const lanes *)b;                                          \
  }                                                                                                                 \
  LANES void lanes_at_most_##type(void *a, const void *limit) {                                                     \
    *(lanes *)a = *(lanes *)a > *(const lanes *)limit ? *(const lanes *)limit : *(lanes *)a;                        \
  }                                                                                                                 \
  LANES void lanes_keep_where_positive_##type(void *a, const void *x, const void *other) {                          \
    *(lanes *)a = *(const lanes *)x > 0 ? *(lanes *)a : *(const lanes *)other;                                      \
  }                                                                                                                 \
  LANES void lanes_magnitude_##type(void *a) {                                                                      \
    *(lanes *)a = __builtin_bit_cast(lanes, __builtin_bit_cast(integers, *(lanes *)a) & most_integer);              \
  }                                                                                                                 \
  LANES void lanes_add_sign_##type(void *a, const void *b) {                                                        \
    const integers sign = __builtin_bit_cast(integers, *(const lanes *)b) & ~most_integer;                          \
    *(lanes *)a = __builtin_bit_cast(lanes, __builtin_bit_cast(integers, *(lanes *)a) | sign);                      \
  }                                                                                                                 \
  LANES void lanes_exp2_of_shifted_##type(void *a) {                                                                \
    *(lanes *)a = __builtin_bit_cast(lanes, __builtin_bit_cast(integers, *(lanes *)a) << exponent_bit);             \
  }                                                                                                                 \
  LANES void lanes_load_part_##type(void *a, const scalar *source, ptrdiff_t count) {                               \
    scalar *target = a;                                                                                             \
    LANES_COPY(8) LANES_COPY(4) LANES_COPY(2) LANES_COPY(1)                                                         \
  }                                                                                                                 \
  LANES void lanes_store_part_##type(scalar *target, const void *a, ptrdiff_t count) {                              \
    const scalar *source = a;                                                                                       \
    LANES_COPY(8) LANES_COPY(4) LANES_COPY(2) LANES_COPY(1)                                                         \
  }
// Fixed sizes, by the bits of count: the compiler would turn a loop into a call of memcpy, across which a gate pass
// would have to keep all its vectors in memory.
#define LANES_COPY(size)                                     \
  if (count & size) {                                        \
    __builtin_memcpy(target, source, size * sizeof *target); \
    target += size;                                          \
    source += size;                                          \
  }
LANE_OPERATIONS(f32, float, lanes16, lanes16i, INT32_MAX, 23)
LANE_OPERATIONS(f64, double, lanes8d, lanes8i, INT64_MAX, 52)
// clang-format on

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
