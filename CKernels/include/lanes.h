// Vector arithmetic for Swift, and macros that compile a Swift function for each instruction set.
//
// The SIMD16<Float> operators of Swift 6.3 become sixteen scalar operations. Each function here becomes one vector
// instruction of the instruction set that its caller is compiled for, or as many as the vector needs there. No vector
// crosses a call, because all of these functions are inlined: the calling convention of a wide vector depends on the
// instruction set.
#pragma once
#include <stdint.h>
#include <string.h>

#include "processor.h"

#pragma clang assume_nonnull begin

// Vectors of 128, 64 and 32 bytes: a pair, a vector and a half.
typedef float lanes32 __attribute__((ext_vector_type(32), aligned(4)));
typedef float lanes16 __attribute__((ext_vector_type(16), aligned(4)));
typedef float lanes8 __attribute__((ext_vector_type(8), aligned(4)));
typedef float lanes4 __attribute__((ext_vector_type(4), aligned(4)));
typedef double lanes16d __attribute__((ext_vector_type(16), aligned(8)));
typedef double lanes8d __attribute__((ext_vector_type(8), aligned(8)));
typedef double lanes4d __attribute__((ext_vector_type(4), aligned(8)));
typedef int32_t lanes32i __attribute__((ext_vector_type(32)));
typedef int32_t lanes16i __attribute__((ext_vector_type(16)));
typedef int32_t lanes8i __attribute__((ext_vector_type(8)));
typedef int64_t lanes16l __attribute__((ext_vector_type(16)));
typedef int64_t lanes8l __attribute__((ext_vector_type(8)));
typedef int64_t lanes4l __attribute__((ext_vector_type(4)));

#define LANES static inline __attribute__((always_inline))
// How a vector would pass in a call does not matter, because there is no call.
#pragma clang diagnostic ignored "-Wpsabi"

// clang-format off
// The bodies are the same for all vectors. The names of the functions end in f32 or f64, and those for pairs and halves
// in f32_pair, f64_pair, f32_half or f64_half.
//
//   splat                    all lanes are the value.
//   load, store              any address that is aligned for a scalar.
//   add sub mul div          a op b
//   muladd, mulsub           sum + a · b and sum - a · b. They are fused if the instruction set can fuse them, and
//                            otherwise a multiply and an add, but never a call of libm. With contract(fast), a
//                            product that is used twice would not be fused.
//   muladd_scalar, mulsub_scalar
//                            The same with one b for all lanes.
//   at_most                  a > limit ? limit : a. A NaN in a stays a NaN.
//   keep_where_positive      x > 0 ? a : other. A NaN in x gives other.
//   magnitude                |a|
//   add_sign                 a with the sign of b; a must not be negative.
//   exp2_of_shifted          2^n, if the lanes hold 1.5·2^23 + 127 + n (f64: 1.5·2^52 + 1023 + n) and 2^n is a normal
//                            number: the low bits of the lanes are its exponent.
//   add_products             sum += value · weights, in place; fused as muladd is.
#define LANE_OPERATIONS(type, scalar, lanes, integers, most_integer, exponent_bit)                                  \
  LANES lanes lanes_splat_##type(scalar value) { return (lanes)value; }                                             \
  LANES lanes lanes_load_##type(const scalar *source) {                                                             \
    lanes a;                                                                                                        \
    __builtin_memcpy(&a, source, sizeof a);                                                                         \
    return a;                                                                                                       \
  }                                                                                                                 \
  LANES void lanes_store_##type(scalar *target, lanes a) { __builtin_memcpy(target, &a, sizeof a); }                \
  LANES lanes lanes_add_##type(lanes a, lanes b) { return a + b; }                                                  \
  LANES lanes lanes_sub_##type(lanes a, lanes b) { return a - b; }                                                  \
  LANES lanes lanes_mul_##type(lanes a, lanes b) { return a * b; }                                                  \
  LANES lanes lanes_div_##type(lanes a, lanes b) { return a / b; }                                                  \
  LANES lanes lanes_muladd_##type(lanes sum, lanes a, lanes b) {                                                    \
    _Pragma("clang fp contract(on)")                                                                                \
    return a * b + sum;                                                                                             \
  }                                                                                                                 \
  LANES lanes lanes_mulsub_##type(lanes sum, lanes a, lanes b) {                                                    \
    _Pragma("clang fp contract(on)")                                                                                \
    return sum - a * b;                                                                                             \
  }                                                                                                                 \
  LANES lanes lanes_muladd_scalar_##type(lanes sum, lanes a, scalar b) {                                            \
    return lanes_muladd_##type(sum, a, (lanes)b);                                                                   \
  }                                                                                                                 \
  LANES lanes lanes_mulsub_scalar_##type(lanes sum, lanes a, scalar b) {                                            \
    return lanes_mulsub_##type(sum, a, (lanes)b);                                                                   \
  }                                                                                                                 \
  LANES lanes lanes_at_most_##type(lanes a, scalar limit) { return a > limit ? (lanes)limit : a; }                  \
  LANES lanes lanes_keep_where_positive_##type(lanes a, lanes x, lanes other) { return x > 0 ? a : other; }         \
  LANES lanes lanes_magnitude_##type(lanes a) {                                                                     \
    return __builtin_bit_cast(lanes, __builtin_bit_cast(integers, a) & most_integer);                               \
  }                                                                                                                 \
  LANES lanes lanes_add_sign_##type(lanes a, lanes b) {                                                             \
    const integers sign = __builtin_bit_cast(integers, b) & ~most_integer;                                          \
    return __builtin_bit_cast(lanes, __builtin_bit_cast(integers, a) | sign);                                       \
  }                                                                                                                 \
  LANES lanes lanes_exp2_of_shifted_##type(lanes a) {                                                               \
    return __builtin_bit_cast(lanes, __builtin_bit_cast(integers, a) << exponent_bit);                              \
  }                                                                                                                 \
  LANES void lanes_add_products_##type(void *sum, scalar value, const scalar *weights) {                            \
    *(lanes *)sum = lanes_muladd_##type(*(lanes *)sum, (lanes)value, lanes_load_##type(weights));                   \
  }
// `pair` makes a pair of two vectors, which `first` and `second` return. `load_part` and `store_part` take the first
// `count` scalars of a vector, fewer than it has, and touch no other memory. After `load_part`, the others are `rest`.
#define LANE_PAIRS(type, scalar, lanes, pair)                                                                       \
  LANES pair lanes_pair_##type(lanes first, lanes second) {                                                         \
    pair both;                                                                                                      \
    both.lo = first;                                                                                                \
    both.hi = second;                                                                                               \
    return both;                                                                                                    \
  }                                                                                                                 \
  LANES lanes lanes_first_##type(pair both) { return both.lo; }                                                     \
  LANES lanes lanes_second_##type(pair both) { return both.hi; }                                                    \
  LANES lanes lanes_load_part_##type(const scalar *source, ptrdiff_t count, scalar rest) {                          \
    lanes a = rest;                                                                                                 \
    scalar *target = (scalar *)&a;                                                                                  \
    LANES_COPY(8) LANES_COPY(4) LANES_COPY(2) LANES_COPY(1)                                                         \
    return a;                                                                                                       \
  }                                                                                                                 \
  LANES void lanes_store_part_##type(scalar *target, lanes a, ptrdiff_t count) {                                    \
    const scalar *source = (const scalar *)&a;                                                                      \
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
LANE_OPERATIONS(f32_pair, float, lanes32, lanes32i, INT32_MAX, 23)
LANE_OPERATIONS(f32, float, lanes16, lanes16i, INT32_MAX, 23)
LANE_OPERATIONS(f32_half, float, lanes8, lanes8i, INT32_MAX, 23)
LANE_OPERATIONS(f64_pair, double, lanes16d, lanes16l, INT64_MAX, 52)
LANE_OPERATIONS(f64, double, lanes8d, lanes8l, INT64_MAX, 52)
LANE_OPERATIONS(f64_half, double, lanes4d, lanes4l, INT64_MAX, 52)
LANE_PAIRS(f32, float, lanes16, lanes32)
LANE_PAIRS(f64, double, lanes8d, lanes16d)

// Sums of products with rounded weights. A scalar in memory holds two weights in bf16, four in 8 bits, or two that were
// rounded to 8 bits and are kept in 16.
//
//   add_products_of_even_halves, add_products_of_odd_halves
//                            sum += value · weights, in place, where the weights are the lower (even) or the upper
//                            (odd) halves of the scalars in memory; fused as muladd is.
//   add_products_of_words    sum += the products of both halves of the value and of the scalars in memory, the upper
//                            ones first: VDPBF16PS. Only a variant for AVX-512 may contain it, and only a processor
//                            with AVX512_BF16 may run it. The compiler refuses its own function for the instruction in
//                            these variants, because other processors run them too.
//   add_products_of_bytes    sum += the products of the four unsigned bytes of the value and the four signed bytes of
//                            the scalars in memory; the sums are int32. VPDPBUSD. Only a variant for AVX-512 may
//                            contain it, and only a processor with VNNI may run it.
//   add_products_of_shorts   sum += the products of the two signed 16-bit numbers of the value and those of the scalars
//                            in memory; the sums are int32. VPMADDWD. Only a variant for AVX2 may contain it.
//   of_integers              the int32 values that the lanes hold, converted to floats.
#define LANE_ROUNDED(type, lanes, integers, vector)                                                                 \
  LANES void lanes_add_products_of_even_halves_##type(void *sum, float value, const float *weights) {               \
    const integers w = __builtin_bit_cast(integers, lanes_load_##type(weights)) << 16;                              \
    *(lanes *)sum = lanes_muladd_##type(*(lanes *)sum, (lanes)value, __builtin_bit_cast(lanes, w));                 \
  }                                                                                                                 \
  LANES void lanes_add_products_of_odd_halves_##type(void *sum, float value, const float *weights) {                \
    const integers w = __builtin_bit_cast(integers, lanes_load_##type(weights)) & (int32_t)0xffff0000;              \
    *(lanes *)sum = lanes_muladd_##type(*(lanes *)sum, (lanes)value, __builtin_bit_cast(lanes, w));                 \
  }                                                                                                                 \
  IN_AVX512 void lanes_add_products_of_words_##type(void *sum, float value, const float *weights) {                 \
    LANES_ADD_PARTS(lanes, vector, LANES_ADD_WORDS)                                                                 \
  }                                                                                                                 \
  IN_AVX512 void lanes_add_products_of_bytes_##type(void *sum, float value, const float *weights) {                 \
    LANES_ADD_PARTS(lanes, vector, LANES_ADD_BYTES)                                                                 \
  }                                                                                                                 \
  IN_AVX2 void lanes_add_products_of_shorts_##type(void *sum, float value, const float *weights) {                  \
    LANES_ADD_PARTS(lanes, lanes8, LANES_ADD_SHORTS)                                                                \
  }                                                                                                                 \
  LANES lanes lanes_of_integers_##type(lanes a) {                                                                   \
    return __builtin_convertvector(__builtin_bit_cast(integers, a), lanes);                                         \
  }
// Each part of the lanes is one register of the instruction set. The loop must be unrolled: otherwise the compiler
// keeps the sums in memory.
#define LANES_ADD_PARTS(lanes, part, add)                                                                           \
  part *parts = sum;                                                                                                \
  _Pragma("clang loop unroll(full)")                                                                                \
  for (ptrdiff_t i = 0; i < (ptrdiff_t)(sizeof(lanes) / sizeof(part)); i++)                                         \
    add(parts[i], (part)value, ((const part *)weights)[i]);
#if defined(__x86_64__)
#define IN_AVX512 FOR_AVX512 LANES
#define IN_AVX2 FOR_AVX2 LANES
#define LANES_ADD_WORDS(sum, value, weights) __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(value), "m"(weights))
#define LANES_ADD_BYTES(sum, value, weights) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(value), "m"(weights))
#define LANES_ADD_SHORTS(sum, value, weights)                                                                       \
  do {                                                                                                              \
    lanes8i products;                                                                                               \
    __asm__("vpmaddwd %2, %1, %0" : "=x"(products) : "x"(value), "m"(weights));                                     \
    sum = __builtin_bit_cast(lanes8, __builtin_bit_cast(lanes8i, sum) + products);                                  \
  } while (0)
#else
#define IN_AVX512 LANES
#define IN_AVX2 LANES
#define LANES_ADD_WORDS(sum, value, weights) ((void)(sum), __builtin_trap())
#define LANES_ADD_BYTES LANES_ADD_WORDS
#define LANES_ADD_SHORTS LANES_ADD_WORDS
#endif
LANE_ROUNDED(f32_pair, lanes32, lanes32i, lanes16)
LANE_ROUNDED(f32_half, lanes8, lanes8i, lanes8)
// clang-format on

// MULTIVERSION(name, (parameters), (arguments)) declares `name`, which Swift implements (`@c @implementation`), and
// `name_for`, which returns the variant of `name` for an instruction set. Each variant is a function that is compiled
// for its instruction set and inlines the Swift body; `arguments` may use that set under the name `this_set`. The
// variants are emitted in the Swift file that calls `name_for`, and inlining does not see other files. So the body and
// that call must be in one Swift file.
#define MULTIVERSION_VARIANT(of_set, architecture, attributes, supported, name, parameters, arguments)       \
  architecture(attributes static inline __attribute__((flatten, noinline)) void name##_##of_set parameters { \
    enum { this_set = instruction_set_##of_set };                                                            \
    name arguments;                                                                                          \
  })
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
