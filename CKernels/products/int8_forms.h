// The list of our kernels for 8-bit weights, and what all of them share.
#pragma once
#include <string.h>

#include "int8.h"

// FORM(name, set, architecture, group, tile_rows): a name and the set whose kernels it belongs to; the values of k in a
// word of 4 bytes; the most rows of a tile, as in forms.h. Later forms of a set are faster.
#define INT8_FORMS(FORM)                     \
  FORM(portable, portable, EVERYWHERE, 2, 4) \
  FORM(avx2, avx2, ON_X86_64, 2, 6)          \
  FORM(avx512, avx512, ON_X86_64, 2, 12)     \
  FORM(avx512_vnni, avx512, ON_X86_64, 4, 12)

#define DECLARE_FORM(name, ...)                        \
  void product_i8_##name(const product *product); \
  void quantize_rows_i8_##name(const int8_rows *rows, void *tile);
INT8_FORMS(DECLARE_FORM)
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
