// Products with weights in bf16 on AVX512_BF16, whose VDPBF16PS adds two products to each of 16 sums.
#if defined(__x86_64__)
#include "../sets/instruction_sets.def"

#define KERNEL FOR_AVX512_BF16 static inline __attribute__((always_inline))
#define ROW_GROUP 2
#include "bf16_neighbors.h"

typedef float all_floats __attribute__((vector_size(64)));
typedef __bf16 halves __attribute__((vector_size(64)));

// The instruction always multiplies two values of k, the odd one first. If their number is odd, the last one is zero
// padding, so `odd` is not needed.
KERNEL void multiply_word(const form f, const bool odd, const float *rows, const uint32_t *panel, ptrdiff_t stride,
                          vector *sums) {
  (void)odd;
  words weights[8];
#pragma clang loop unroll(full)
  for (int qv = 0; qv < f.panels * f.vectors; qv++)
    weights[qv] = *(const words *)(panel + qv / f.vectors * stride + LANE_COUNT * (qv % f.vectors));
#pragma clang loop unroll(full)
  for (int r = 0; r < f.rows; r++) {
    const words x = ((const word *)rows)[r];
#pragma clang loop unroll(full)
    for (int qv = 0; qv < f.panels * f.vectors; qv++) {
      vector *sum = &sums[qv * f.rows + r];
      *sum = (vector)__builtin_ia32_dpbf16ps_512((all_floats)*sum, (halves)weights[qv], (halves)x);
    }
  }
}

#include "bf16_kernels.h"

FOR_AVX512_BF16 void product_bf16_avx512bf16(const product *p) {
  if (p->panel_width == 2 * LANE_COUNT)
    all_panels(true, 2, 12, 20, p);
  else
    all_panels(true, 1, 12, 20, p);
}

// Some values of k of all rows are packed at a time, and then rounded.
FOR_AVX512_BF16 static __attribute__((noinline)) void round_several_rows(const rounded_rows *s, void *tile) {
  enum { DEPTH = 32, MOST_ROWS = 12 };
  float part[DEPTH * MOST_ROWS + PRODUCT_SLACK];
  const float *source = s->source;
  const ptrdiff_t rows = s->row_count;
  for (ptrdiff_t done = 0; done < s->k; done += s->piece, source += s->piece_stride) {
    const ptrdiff_t count = s->k - done < s->piece ? s->k - done : s->piece;
    uint32_t *target = (uint32_t *)tile + done / 2 * rows;
    for (ptrdiff_t d = 0; d < count; d += DEPTH) {
      const ptrdiff_t depth = count - d < DEPTH ? count - d : DEPTH;
      pack_f32_avx512(part, rows, source + d, rows, s->row_stride, depth, depth, 1);
      round_to_panel(target + d / 2 * rows, rows, part, depth, (depth + 1) / 2);
    }
  }
}

// A small step waits for its single row, which needs no array on the stack. So several rows have a function of their
// own.
FOR_AVX512_BF16 void round_rows_bf16_avx512bf16(const rounded_rows *s, void *tile) {
  if (s->row_count > 1) {
    round_several_rows(s, tile);
    return;
  }
  const float *source = s->source;
  for (ptrdiff_t done = 0; done < s->k; done += s->piece, source += s->piece_stride)
    pair_neighbors((uint32_t *)tile + done / 2, source, s->k - done < s->piece ? s->k - done : s->piece);
}

FOR_AVX512_BF16 void round_columns_bf16_avx512bf16(const rounded_columns *s, void *tile) {
  for (ptrdiff_t d = 0; d < s->k; d += 2) {
    const float *even = s->source + d * s->stride;
    pair_rows((uint32_t *)tile + d / 2 * s->count, even, d + 1 < s->k ? even + s->stride : NULL, s->count);
  }
}

FOR_AVX512_BF16 void round_panel_bf16_avx512bf16(void *panel, ptrdiff_t width, const float *source, ptrdiff_t k) {
  round_to_panel(panel, width, source, k, (k + 1) / 2);
}
#endif
