// Vector arithmetic for Swift, 64 bytes at a time, and macros that compile a Swift function for each instruction set.
//
// The SIMD16<Float> operators of Swift 6.3 become sixteen scalar operations. Each function here becomes one vector
// instruction of the instruction set that its caller is compiled for. Operands pass by address, so that no vector
// crosses a call: the calling convention of a wide vector depends on the instruction set.
#pragma once
#include <stdint.h>
#include <string.h>

#include "processor.h"

#pragma clang assume_nonnull begin

typedef float lanes16 __attribute__((ext_vector_type(16), aligned(4)));
typedef float lanes8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4)));
typedef int32_t lanes16i __attribute__((ext_vector_type(16), aligned(4)));
typedef int32_t lanes8i __attribute__((ext_vector_type(8), aligned(4)));
typedef double lanes8d __attribute__((ext_vector_type(8), aligned(8)));
typedef double lanes4d __attribute__((ext_vector_type(4), aligned(8)));
typedef int64_t lanes8l __attribute__((ext_vector_type(8), aligned(8)));
typedef int64_t lanes4l __attribute__((ext_vector_type(4), aligned(8)));

#define LANES static inline __attribute__((always_inline))

// clang-format off
// Both scalars have the same bodies. The names of the functions end in f32 and f64, and those for vectors of 32 bytes
// in f32_half and f64_half.
//
//   add sub mul div          a = a op b
//   muladd, mulsub           sum += a · b and sum -= a · b. They are fused if the instruction set can fuse them, and
//                            otherwise a multiply and an add, but never a call of libm. With contract(fast), a
//                            product that is used twice would not be fused.
//   at_most                  a = a > limit ? limit : a. A NaN in a stays a NaN.
//   keep_where_positive      a = x > 0 ? a : other. A NaN in x gives other.
//   magnitude                a = |a|
//   add_sign                 a = a with the sign of b; a must not be negative.
//   exp2_of_shifted          2^n, if the lanes hold 1.5·2^23 + 127 + n (f64: 1.5·2^52 + 1023 + n) and 2^n is a normal
//                            number: the low bits of the lanes are its exponent.
//   even_halves, odd_halves  The scalars whose upper halves are the lower or the upper halves of those in memory, and
//                            whose lower halves are zero.
//   load_part, store_part    The first count scalars of a vector, fewer than it has. No other memory is touched.
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
  LANES void lanes_even_halves_##type(void *a, const void *source) {                                                \
    *(lanes *)a = __builtin_bit_cast(lanes, *(const integers *)source << 4 * sizeof(scalar));                       \
  }                                                                                                                 \
  LANES void lanes_odd_halves_##type(void *a, const void *source) {                                                 \
    const integers halves = *(const integers *)source >> 4 * sizeof(scalar);                                        \
    *(lanes *)a = __builtin_bit_cast(lanes, halves << 4 * sizeof(scalar));                                          \
  }                                                                                                                 \
  LANES void lanes_load_part_##type(void *a, const scalar *source, ptrdiff_t count) {                               \
    scalar *target = a;                                                                                             \
    LANES_COPY(8) LANES_COPY(4) LANES_COPY(2) LANES_COPY(1)                                                         \
  }                                                                                                                 \
  LANES void lanes_store_part_##type(scalar *target, const void *a, ptrdiff_t count) {                              \
    const scalar *source = a;                                                                                       \
    LANES_COPY(8) LANES_COPY(4) LANES_COPY(2) LANES_COPY(1)                                                         \
  }
// Copies fixed sizes, by the bits of count. The compiler would turn a loop into a call of memcpy, and a gate pass would
// have to store all its vectors in memory before the call.
#define LANES_COPY(size)                                     \
  if (count & size) {                                        \
    __builtin_memcpy(target, source, size * sizeof *target); \
    target += size;                                          \
    source += size;                                          \
  }
LANE_OPERATIONS(f32, float, lanes16, lanes16i, INT32_MAX, 23)
LANE_OPERATIONS(f64, double, lanes8d, lanes8l, INT64_MAX, 52)
LANE_OPERATIONS(f32_half, float, lanes8, lanes8i, INT32_MAX, 23)
LANE_OPERATIONS(f64_half, double, lanes4d, lanes4l, INT64_MAX, 52)
// clang-format on

// MULTIVERSION(name, (parameters), (arguments)) declares `name`, which Swift implements (`@c @implementation`), and
// `name_for`, which returns the variant of `name` for an instruction set. Each variant is a function that is compiled
// for its instruction set and inlines the Swift body. The variants are emitted in the Swift file that calls `name_for`,
// and inlining does not see other files. So the body and that call must be in one Swift file.
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
