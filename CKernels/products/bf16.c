// Products with weights in bf16, which are unpacked in registers: two k of a unit share a word of 4 bytes.
#define KERNEL static inline __attribute__((always_inline))
#define ROW_GROUP 1
#include "bf16_vectors.h"

enum { FEW_ROWS = 4 };

KERNEL void multiply_add(const form f, vector *sum, const vector *weights, const float *x) {
  if (f.fused)
    *sum = __builtin_elementwise_fma(*weights, (vector)*x, *sum);
  else
    *sum = *sum + *weights * *x;
}

// sums[qv][r] += rows[r] · the even k of one word, then += rows[f.rows + r] · the odd k if there is one. Few rows have
// many panels: their weights are unpacked one vector at a time, because there are registers for no more.
KERNEL void multiply_word(const form f, const bool odd, const float *rows, const uint32_t *panel, ptrdiff_t stride,
                          vector *sums) {
  vector weights[2][8];
#pragma clang loop unroll(full)
  for (int qv = 0; qv < f.panels * f.vectors; qv++) {
    const words packed = *(const words *)(panel + qv / f.vectors * stride + LANE_COUNT * (qv % f.vectors));
    weights[0][qv] = __builtin_bit_cast(vector, packed << 16);
    weights[1][qv] = __builtin_bit_cast(vector, packed & 0xffff0000);
    if (f.rows <= FEW_ROWS)
#pragma clang loop unroll(full)
      for (int i = 0; i < 1 + odd; i++)
#pragma clang loop unroll(full)
        for (int r = 0; r < f.rows; r++)
          multiply_add(f, &sums[qv * f.rows + r], &weights[i][qv], &rows[i * f.rows + r]);
  }
  if (f.rows > FEW_ROWS)
#pragma clang loop unroll(full)
    for (int i = 0; i < 1 + odd; i++)
#pragma clang loop unroll(full)
      for (int r = 0; r < f.rows; r++)
#pragma clang loop unroll(full)
        for (int qv = 0; qv < f.panels * f.vectors; qv++)
          multiply_add(f, &sums[qv * f.rows + r], &weights[i][qv], &rows[i * f.rows + r]);
}

#include "bf16_kernels.h"

typedef void pack_function(void *packed, ptrdiff_t width, const void *source, ptrdiff_t count, ptrdiff_t item_stride,
                           ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride);

// Several rows are packed first, and then rounded while they are in the nearest cache.
KERNEL void round_rows(const rounded_rows *s, float *tile, pack_function *pack_rows) {
  const float *source = s->source;
  const ptrdiff_t rows = s->row_count;
  ptrdiff_t done = 0;
  for (; done < s->k; done += s->piece, source += s->piece_stride) {
    const ptrdiff_t count = s->k - done < s->piece ? s->k - done : s->piece;
    if (rows == 1)
      round_floats(tile + done, source, count);
    else
      pack_rows(tile + done * rows, rows, source, rows, s->row_stride, count, count, 1);
  }
  if (rows > 1) round_floats(tile, tile, rows * s->k);
}

KERNEL void round_columns(const rounded_columns *s, float *tile) {
  for (ptrdiff_t d = 0; d < s->k; d++) round_floats(tile + d * s->count, s->source + d * s->stride, s->count);
}

#define DEFINE(set, architecture, attributes, fused, wide, most_rows, most_sums)                                 \
  architecture(                                                                                                  \
      attributes void product_bf16_##set(const product *p) {                                                     \
        if (wide && p->panel_width == 2 * LANE_COUNT)                                                            \
          all_panels(fused, 2, most_rows, most_sums, p);                                                         \
        else                                                                                                     \
          all_panels(fused, 1, most_rows, most_sums, p);                                                         \
      } attributes void round_rows_bf16_##set(const rounded_rows *rows, void *tile) {                            \
        round_rows(rows, tile, pack_f32_##set);                                                                  \
      } attributes void round_columns_bf16_##set(const rounded_columns *columns, void *tile) {                   \
        round_columns(columns, tile);                                                                            \
      } attributes void round_panel_bf16_##set(void *panel, ptrdiff_t width, const float *source, ptrdiff_t k) { \
        round_to_panel(panel, width, source, k, (k + 1) / 2);                                                    \
      })
DEFINE(portable, EVERYWHERE, , false, false, 4, 4)
DEFINE(avx2, ON_X86_64, FOR_AVX2, true, false, 6, 4)
DEFINE(avx512, ON_X86_64, FOR_AVX512, true, true, 12, 20)
