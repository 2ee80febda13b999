// The loops of the products with weights in bf16, for kernels whose sums are vectors of floats. Each file defines
// KERNEL and ROW_GROUP, the values of k in a word of a row, includes bf16_vectors.h, defines one function, and then
// includes this file.
//
//   multiply_word    sums[qv][r] += the products of one word of each unit, with two values of k or, if `odd` is false,
//                    with one
#pragma once
#include "bf16_vectors.h"
#include "forms.h"

// Weights are fetched so many words of each unit early, if the tile has at least so many rows. Fewer rows leave no time
// for it.
enum { AHEAD = 32, FETCHING_ROWS = 6 };

// c = or += Σ_k rows[k][r] · panels[q][k], one chain for each element.
KERNEL void chains(const form f, const product *p, const float *tile, const uint32_t *panel, ptrdiff_t k_count,
                   const bool add, float *c) {
  vector sums[24] = {0};
  const ptrdiff_t width = LANE_COUNT * f.vectors, row_words = 2 / ROW_GROUP * f.rows;
  for (ptrdiff_t pair = 0; pair < k_count / 2; pair++) {
    const uint32_t *packed = panel + pair * width;
    if (f.rows >= FETCHING_ROWS)
#pragma clang loop unroll(full)
      for (int qv = 0; qv < f.panels * f.vectors; qv++)
        __builtin_prefetch(packed + qv / f.vectors * p->panel_stride + AHEAD * width + LANE_COUNT * (qv % f.vectors), 0,
                           2);
    multiply_word(f, true, tile + pair * row_words, packed, p->panel_stride, sums);
  }
  if (k_count % 2)
    multiply_word(f, false, tile + k_count / 2 * row_words, panel + k_count / 2 * width, p->panel_stride, sums);
#pragma clang loop unroll(full)
  for (int q = 0; q < f.panels; q++)
#pragma clang loop unroll(full)
    for (int r = 0; r < f.rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < f.vectors; v++) {
        vector *target = (vector *)(c + q * p->c_panel_stride + r * p->c_row_stride + LANE_COUNT * v);
        const vector sum = sums[(q * f.vectors + v) * f.rows + r];
        *target = add ? *target + sum : sum;
      }
}

// Several panels run at once as long as they need at most `most_sums` sums.
KERNEL void all_panels(const bool fused, const int vectors, const int most_rows, const int most_sums,
                       const product *p) {
  const int rows = (int)p->row_count;
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const float *tile = (const float *)p->rows + k / ROW_GROUP * rows;
    ptrdiff_t panels;
    for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
      panels = p->panel_count - q < 4 ? p->panel_count - q : 4;
      while (panels > 1 && panels * rows * vectors > most_sums) panels--;
      const uint32_t *panel = (const uint32_t *)p->panels + q * p->panel_stride + k / 2 * (LANE_COUNT * vectors);
      float *c = (float *)p->c + q * p->c_panel_stride;
#define RUN(R, Q)                                                                        \
  case 4 * R + Q - 1:                                                                    \
    if (R <= most_rows && (Q == 1 || R * Q * vectors <= most_sums))                      \
      chains((form){fused, R, Q, vectors}, p, tile, panel, k_count, p->add || k > 0, c); \
    break;
#define ROWS(R) RUN(R, 1) RUN(R, 2) RUN(R, 3) RUN(R, 4)
      switch (4 * rows + (int)panels - 1) {
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
      }
#undef ROWS
#undef RUN
    }
  }
}
