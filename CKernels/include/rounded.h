// Products of floats that are rounded to fewer bits: weights when they are packed, and rows before each product.
//
// In int8, a row of k floats, or the k weights of a unit, is quantized with one scale s:
//
//   s = m / 127,   q = round(x · (127 / m)),   with m = max|x| and -127 <= q <= 127
//
//   c[q][r][u] += float(Σ_k rows[r][k] · panels[q][u][k]) · (s of the row · s of the unit)
//
// Numbers below INT8_LEAST count as zero if all of the row are: then s = 0. If one of them is infinite or NaN, s is
// NaN, and so is every product with the row. Ties round to even, if that is the rounding mode. The sum is exact in 32
// bits, because k <= INT8_MOST_K. The float operations are not fused, so the kernels of all instruction sets give the
// same bits.
//
// In bf16, each number is rounded to bfloat16, the upper half of a float: to the nearest one, of two equally near ones
// to the even one, in any rounding mode. A NaN stays a NaN. Each set has one order of addition, whatever the rows and
// panels of a product:
//
//   portable, avx2, avx512   The products and sums of floats, in the chains of products.h. So these kernels, which
//                            unpack weights to floats, give the bits of the float kernels on rounded numbers.
//   avx512bf16               The same chains of fused multiply-adds, except that in each pair of neighboring k the odd
//                            one is added before the even one (VDPBF16PS).
//   amx                      Each 32 values of k form two chains of fused multiply-adds, which start from zero: one of
//                            the even k and one of the odd k. The sum of the two is added to the element of c, which
//                            first becomes zero if `add` is false (TDPBF16PS). k is padded with zeros.
//
// VDPBF16PS and TDPBF16PS always round to the nearest number, of two equally near ones to the even one, and read and
// write denormal numbers as zero, whatever the mode of the thread is.
//
// Numbers are packed in words of 4 bytes, in groups of neighboring values of k: `row_group` of a row in a word, and
// `unit_group` of a unit in one. k is padded with zeros to a multiple of `k_multiple`.
//
//   An int8 row tile is [rows] scales, then [k / group][rows] words. A word of a row has 4 bytes for VPDPBUSD, each q +
//   128, and otherwise 2 numbers of 16 bits for VPMADDWD. A panel is [P] int32 that the sums start from, [P] scales,
//   then [k / group][P][group] bytes. For VPDPBUSD, a sum starts from -128 · Σ_k q, which takes back what 128 adds;
//   otherwise it starts from zero. On amx, numbers are those for VPDPBUSD, but the words of rows are
//   [k / 64][rows][16].
//
//   A bf16 panel is [k / 2][P] words, whose lower half is the weight of the even k. If `row_group` is 1, a row tile is
//   a packed tile of rounded floats, [k][rows]. A kernel then unpacks two vectors of weights from one with a shift and
//   a mask. The padding of a row is not written and that of weights is not read. On avx512bf16, a row tile is
//   [k / 2][rows] words like those of a panel, and on amx [k / 32][rows][16] of them.
//
// Tiles and panels need no slack. Panels start at a multiple of 64 bytes.
#pragma once
#include <stdint.h>
#include <string.h>

#include "products.h"

#pragma clang assume_nonnull begin

// No sum of so many products of 8 bits overflows, also not with 128 added to each number of the row.
enum { INT8_MOST_K = 1 << 16 };
// 2^-100. A smaller scale could be a denormal number, or its inverse infinite.
#define INT8_LEAST 0x1p-100f

typedef enum __attribute__((enum_extensibility(closed))) rounded_format {
  rounded_format_int8,
  rounded_format_bf16,
} rounded_format;

// Some rows of floats. The k numbers of a row lie in pieces of `piece` numbers, `piece_stride` apart; `piece` is k or a
// multiple of 16.
typedef struct rounded_rows {
  const float *source;
  ptrdiff_t row_count;
  ptrdiff_t row_stride;
  ptrdiff_t k;
  ptrdiff_t piece;
  ptrdiff_t piece_stride;
} rounded_rows;

// Some columns of floats [k][count], whose rows lie `stride` apart.
typedef struct rounded_columns {
  const float *source;
  ptrdiff_t count;
  ptrdiff_t stride;
  ptrdiff_t k;
} rounded_columns;

typedef struct rounded_kernels {
  const char *name;
  rounded_format format;
  instruction_set set;
  bool (*_Nullable has_more)(void);  // whether the processor has what the kernels need beyond the set; null if nothing
  ptrdiff_t row_group;
  ptrdiff_t unit_group;
  ptrdiff_t k_multiple;
  ptrdiff_t tile_rows;  // the most rows of a tile
  // Multiplies one row tile by some panels of `panel_width` units: 16, or 32 on AVX-512. The rows are such a tile, and
  // the panels lie `panel_stride` words apart. In bf16, the sums are added to c or written there, as `add` says. In
  // int8, they are always added. `next` is ignored.
  void (*product)(const product *product);
  // Rounds rows into one row tile.
  void (*round_rows)(const rounded_rows *rows, void *tile);

  // The next two are null in int8, whose layers are not trained.

  // Rounds columns into one row tile. Each column becomes one of its rows.
  void (*_Nullable round_columns)(const rounded_columns *columns, void *tile);
  // Rounds floats [k][width] into a panel of `width` units.
  void (*_Nullable round_panel)(void *panel, ptrdiff_t width, const float *source, ptrdiff_t k);
} rounded_kernels;

// The table of all compiled kernels, at the indices below the count. An instruction set can have several of a format.
ptrdiff_t rounded_kernels_count(void);
const rounded_kernels *rounded_kernels_at(ptrdiff_t index);

// Whether the processor can run the kernels.
bool rounded_kernels_are_supported(const rounded_kernels *kernels);

// The fastest kernels that the processor supports, of a set or of those before it.
const rounded_kernels *rounded_kernels_for(rounded_format format, instruction_set set);

// k, with its padding.
static inline ptrdiff_t rounded_padded_k(const rounded_kernels *kernels, ptrdiff_t k) {
  return (k + kernels->k_multiple - 1) / kernels->k_multiple * kernels->k_multiple;
}

// The words of a unit in an int8 panel before its numbers: what its sum starts from, and its scale.
enum { INT8_UNIT_HEAD = 2 };

// The words of a row in a row tile, and of a unit in a panel, with their scales.
static inline ptrdiff_t rounded_unit_words(const rounded_kernels *kernels, ptrdiff_t k) {
  return (kernels->format == rounded_format_int8 ? INT8_UNIT_HEAD : 0) +
         rounded_padded_k(kernels, k) / kernels->unit_group;
}
static inline ptrdiff_t rounded_row_words(const rounded_kernels *kernels, ptrdiff_t k) {
  return (kernels->format == rounded_format_int8 ? 1 : 0) + rounded_padded_k(kernels, k) / kernels->row_group;
}

// Rounds weights [units][k] to 8 bits, into a panel of `width` units. Those beyond the last unit become zero.
void int8_pack_panel(const rounded_kernels *kernels, void *panel, ptrdiff_t width, const float *weights,
                     ptrdiff_t units, ptrdiff_t k);

// The upper half of x, rounded to bfloat16.
static inline uint16_t bf16_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & INT32_MAX) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);  // A NaN that is quiet stays one.
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#pragma clang assume_nonnull end
