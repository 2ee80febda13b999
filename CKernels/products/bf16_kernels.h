// The loops of the products with weights in bf16, for kernels whose sums are vectors of floats. Each file defines
// KERNEL and ROW_GROUP, the values of k in a word of a row, includes bf16_vectors.h or bf16_neighbors.h, defines one
// function, and then includes this file.
//
//   multiply_word    sums[qv][r] += the products of one word of each unit, with two values of k or, if `odd` is false,
//                    with one
#pragma once
#include "bf16_vectors.h"
#include "forms.h"
#include "rows_and_panels.h"

#define SCALAR float
#include "store_sums.h"

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
  store_sums(f.rows, f.panels, f.vectors, p, sums, add, c);
}

KERNEL void all_panels(const bool fused, const int vectors, const int most_rows, const int most_sums,
                       const product *p) {
  const int rows = (int)p->row_count;
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const float *tile = (const float *)p->rows + k / ROW_GROUP * rows;
    ptrdiff_t panels;
    for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
      panels = panels_at_once(p->panel_count - q, rows, vectors, most_sums);
      const uint32_t *panel = (const uint32_t *)p->panels + q * p->panel_stride + k / 2 * (LANE_COUNT * vectors);
      float *c = (float *)p->c + q * p->c_panel_stride;
#define RUN(R, Q) chains((form){fused, R, Q, vectors}, p, tile, panel, k_count, p->add || k > 0, c)
      WITH_CONSTANTS(rows, panels, vectors, most_rows, most_sums, RUN)
#undef RUN
    }
  }
}
