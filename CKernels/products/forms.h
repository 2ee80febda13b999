// The list of our own kernels. Each form is one instruction set and panel width, and is compiled for both scalars.
#pragma once
#include "products.h"

// FORM(set, width, architecture, attributes, fused, own_is_faster, vectors, most_sums, k_at_once, burst_sums, f32_rows,
//      f64_rows)
//
// The first two columns name the form; `width` is _narrow for the panels of narrow layers. `architecture` and
// `attributes` are those of the set in instruction_sets.def. `fused` says whether the multiply-adds are fused, and
// `own_is_faster` whether our own kernel also runs on full tiles, instead of BLIS's. A vector has 64 bytes: 16 floats
// or 8 doubles. A row of a panel has `vectors` vectors. Several panels run at once as long as they need at most
// `most_sums` sums; with more, registers would be spilled. An iteration of the loop over k takes `k_at_once` values: 1
// or an even number, because weights may be fetched at every second value. `burst_sums` independent sums hide the
// latency of a multiply-add. A row tile has up to f32_rows rows of floats or f64_rows rows of doubles, like BLIS's
// micro-kernels.
//
// On AVX2, each value of k needs 12 multiply-adds and 8 loads, so every further instruction of the loop costs time,
// above all while the core's other hardware thread is busy. On an AMD Zen 3 at H 256, our kernel then reaches 91 % of
// the peak, or 77 % if the loop takes one value of k at a time. BLIS's kernel, which also prefetches, reaches 85 %.
// Other processors with AVX2 were not measured.
#define PRODUCT_FORMS(FORM)                                                \
  FORM(portable, , EVERYWHERE, , false, false, 1, 4, 1, 3, 4, 4)           \
  FORM(avx2, , ON_X86_64, FOR_AVX2, true, true, 1, 4, 4, 6, 6, 6)          \
  FORM(avx512, , ON_X86_64, FOR_AVX512, true, false, 2, 20, 1, 12, 12, 14) \
  FORM(avx512, _narrow, ON_X86_64, FOR_AVX512, true, false, 1, 27, 1, 12, 12, 14)

// Declares the kernels of each form, such as product_f32_avx512_narrow_plain, and those of each set, such as
// pack_f32_avx512.
#define DECLARE_FORM_OF(scalar, form)                                                                   \
  void product_##scalar##_##form(const product *product);                                               \
  void product_##scalar##_##form##_plain(const product *product);                                       \
  void add_rows_##scalar##_##form(void *sums, const void *panel, ptrdiff_t rows);                       \
  void fill_rows_##scalar##_##form(void *panels, ptrdiff_t stride, ptrdiff_t count, const void *values, \
                                   ptrdiff_t rows);                                                     \
  double multiply_add_burst_##scalar##_##form(ptrdiff_t repetitions);
#define DECLARE_FORM(set, width, ...) DECLARE_FORM_OF(f32, set##width) DECLARE_FORM_OF(f64, set##width)
#define DECLARE_PACKING_OF(scalar, set)                                                                           \
  void pack_##scalar##_##set(void *packed, ptrdiff_t width, const void *source, ptrdiff_t count,                  \
                             ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride); \
  void unpack_adding_##scalar##_##set(void *target, ptrdiff_t item_stride, const void *packed, ptrdiff_t width,   \
                                      ptrdiff_t count, ptrdiff_t depth);
#define DECLARE_PACKING(set, ...) DECLARE_PACKING_OF(f32, set) DECLARE_PACKING_OF(f64, set)
PRODUCT_FORMS(DECLARE_FORM)
INSTRUCTION_SETS(DECLARE_PACKING)
#undef DECLARE_FORM
#undef DECLARE_FORM_OF
#undef DECLARE_PACKING
#undef DECLARE_PACKING_OF
