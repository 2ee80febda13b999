// The list of our kernels for rounded weights, and what the kernels for 8-bit weights share.
#pragma once
#include <string.h>

#include "rounded.h"

// FORM(name, format, set, architecture, has_more, row_group, unit_group, tile_rows): a name; the format and the set
// whose kernels it belongs to, and what the processor must have beyond it; the values of k in a word of a row and of a
// unit; the most rows of a tile, as in forms.h. Later forms of a set are faster.
#define ROUNDED_FORMS(FORM)                                                          \
  FORM(i8_portable, int8, portable, EVERYWHERE, NULL, 2, 4, 4)                       \
  FORM(i8_avx2, int8, avx2, ON_X86_64, NULL, 2, 4, 6)                                \
  FORM(i8_avx512, int8, avx512, ON_X86_64, NULL, 2, 4, 12)                           \
  FORM(i8_avx512_vnni, int8, avx512, ON_X86_64, processor_has_avx512_vnni, 4, 4, 12) \
  FORM(bf16_portable, bf16, portable, EVERYWHERE, NULL, 1, 2, 4)                     \
  FORM(bf16_avx2, bf16, avx2, ON_X86_64, NULL, 1, 2, 6)                              \
  FORM(bf16_avx512, bf16, avx512, ON_X86_64, NULL, 1, 2, 12)

#define DECLARE_FORM(name, ...)                \
  void product_##name(const product *product); \
  void round_rows_##name(const rounded_rows *rows, void *tile);
ROUNDED_FORMS(DECLARE_FORM)
#undef DECLARE_FORM

// 1.5 · 2^23. If it is added to a number below 2^22, the low bits of the sum hold that number, rounded to an integer.
#define INT8_SHIFT 0x1.8p23f

// The scale of a row, and the number to multiply the row by, from the bits of its largest magnitude. As integers, the
// bits of infinity and NaN are larger than those of finite numbers.
typedef struct int8_scale {
  float scale, inverse;
} int8_scale;

static inline __attribute__((always_inline)) int8_scale int8_scale_of(int32_t bits) {
  float most;
  memcpy(&most, &bits, sizeof most);
  if (bits >= 0x7f800000) return (int8_scale){__builtin_nanf(""), 0};
  if (most < INT8_LEAST) return (int8_scale){0, 0};
  return (int8_scale){most / 127, 127 / most};
}
