// The list of our kernels for rounded weights, and what the kernels for 8-bit weights share.
#pragma once
#include <string.h>

#include "rounded.h"

// FORM(name, format, set, architecture, has_more, row_group, unit_group, k_multiple, tile_rows): a name; the format and
// the set whose kernels it belongs to, and what the processor must have beyond it; the values of k in a word of a row
// and of a unit, and what k is padded to; the most rows of a tile. Later forms of a format are faster, and belong to
// the same set or to a later one.
#define ROUNDED_FORMS(FORM)                                                             \
  FORM(i8_portable, int8, portable, EVERYWHERE, NULL, 2, 4, 4, 4)                       \
  FORM(i8_avx2, int8, avx2, ON_X86_64, NULL, 2, 4, 4, 6)                                \
  FORM(i8_avx512, int8, avx512, ON_X86_64, NULL, 2, 4, 4, 12)                           \
  FORM(i8_avx512_vnni, int8, avx512, ON_X86_64, processor_has_avx512_vnni, 4, 4, 4, 12) \
  FORM(i8_amx, int8, amx, ON_X86_64, system_permits_amx, 4, 4, 64, 32)               \
  FORM(bf16_portable, bf16, portable, EVERYWHERE, NULL, 1, 2, 2, 4)                     \
  FORM(bf16_avx2, bf16, avx2, ON_X86_64, NULL, 1, 2, 2, 6)                              \
  FORM(bf16_avx512, bf16, avx512, ON_X86_64, NULL, 1, 2, 2, 12)                         \
  FORM(bf16_avx512bf16, bf16, avx512bf16, ON_X86_64, NULL, 2, 2, 2, 12)                 \
  FORM(bf16_amx, bf16, amx, ON_X86_64, system_permits_amx, 2, 2, 32, 32)

// Calls TRAINING or ONLY_FORWARD, by the format, with the arguments.
#define IF_TRAINS_int8(TRAINING, ONLY_FORWARD) ONLY_FORWARD
#define IF_TRAINS_bf16(TRAINING, ONLY_FORWARD) TRAINING

#define DECLARE_FORM(name, format, ...)                         \
  void product_##name(const product *product);                  \
  void round_rows_##name(const rounded_rows *rows, void *tile); \
  IF_TRAINS_##format(DECLARE_TRAINING, DECLARE_NOTHING)(name)
#define DECLARE_TRAINING(name)                                           \
  void round_columns_##name(const rounded_columns *columns, void *tile); \
  void round_panel_##name(void *panel, ptrdiff_t width, const float *source, ptrdiff_t k);
#define DECLARE_NOTHING(name)
ROUNDED_FORMS(DECLARE_FORM)
#undef DECLARE_FORM
#undef DECLARE_TRAINING
#undef DECLARE_NOTHING

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
