// Our own micro-kernels, for any number of rows up to a full tile. One to four panels run at once, so that even few
// rows keep the multiply-add units busy: a multiply-add takes 4 cycles and two start in each cycle, so 8 sums must be
// in flight.
#pragma once
#include "kernels.h"
#include "rows_and_panels.h"
#include "store_sums.h"

// Weights are fetched AHEAD values of k early if there are enough rows to leave time for it, because they may come from
// the third cache (11 rows, 4 MB of weights: about a fifth faster; 8 rows, or weights in nearer caches: no effect).
enum { AHEAD = 32, LINE = LANE_COUNT };

// Where our own kernel runs on full tiles, tiles of so many rows fetch the weights at `next`, and otherwise only full
// tiles. With fewer rows, several panels run at once, and the processor's own fetching keeps up.
enum { LEAST_FETCHING_ROWS = 3 };

// The form of a kernel: whether multiply-adds are `fused`, whether rows are `plain` or a packed tile, and the numbers
// of rows, of panels, of vectors in a row of a panel, and of values of k in an iteration of the loop. All are constants
// at each use, so that every sum is a register.
typedef struct form {
  bool fused, plain;
  int rows, panels, vectors, k_at_once;
} form;

// sums[q][r] += rows[k][r] · panels[q][k], for one k. Three plain rows share a pointer. If each row had its own,
// pointers would be spilled.
KERNEL void multiply_add_k(const form f, const product *p, const SCALAR *row_tile, const SCALAR *const *triples,
                           const SCALAR *first_panel, ptrdiff_t k, vector *sums) {
  const ptrdiff_t width = LANE_COUNT * f.vectors, stride = p->row_stride;
  vector weights[8];
#pragma clang loop unroll(full)
  for (int q = 0; q < f.panels; q++)
#pragma clang loop unroll(full)
    for (int v = 0; v < f.vectors; v++)
      weights[q * f.vectors + v] = *(const vector *)(first_panel + q * p->panel_stride + k * width + LANE_COUNT * v);
#pragma clang loop unroll(full)
  for (int r = 0; r < f.rows; r++) {
    const vector x = f.plain ? triples[r / 3][r % 3 * stride + k] : row_tile[k * f.rows + r];
#pragma clang loop unroll(full)
    for (int qv = 0; qv < f.panels * f.vectors; qv++) {
      vector *sum = &sums[qv * f.rows + r];
      if (f.fused)
        *sum = __builtin_elementwise_fma(weights[qv], x, *sum);
      else
        *sum = *sum + weights[qv] * x;
    }
  }
}

// c = or += Σ_k rows[k][r] · panels[q][k], one chain for each element. Meanwhile, weights at `next` are fetched into
// the second cache: one line every `pace` values of k (1 or 2; 0 fetches nothing). Weights from the third cache are
// then near when their first tile runs (AVX-512, LSTM, N 64, H 512 to 2048: 237 to 240 instead of 206 to 215 GF/s).
// BLIS's kernel cannot fetch them.
KERNEL void chains(const form f, const product *p, const SCALAR *row_tile, const SCALAR *first_panel, ptrdiff_t k_count,
                   bool add, SCALAR *c, const int pace, const SCALAR *next) {
  vector sums[4 * MOST_ROWS] = {0};
  const SCALAR *triples[(MOST_ROWS + 2) / 3];
  if (f.plain)
    for (int r = 0; r < f.rows; r += 3) triples[r / 3] = row_tile + r * p->row_stride;
  ptrdiff_t k = 0;
  if (pace) {
    if (add)
#pragma clang loop unroll(full)
      for (int r = 0; r < f.rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < f.vectors; v++) __builtin_prefetch(c + r * p->c_row_stride + LANE_COUNT * v, 1, 3);
    const int at_once = f.k_at_once > pace ? f.k_at_once : pace, lines_at_once = at_once / pace;
    const ptrdiff_t wanted = (p->next_count / LINE + lines_at_once - 1) / lines_at_once, most = k_count / at_once;
    for (ptrdiff_t line = 0; line < (wanted < most ? wanted : most) * lines_at_once;
         line += lines_at_once, k += at_once)
#pragma clang loop unroll(full)
      for (int i = 0; i < at_once; i++) {
        if (i % pace == 0) __builtin_prefetch(next + (line + i / pace) * LINE, 0, 2);
        multiply_add_k(f, p, row_tile, triples, first_panel, k + i, sums);
      }
  }
  for (; k + f.k_at_once <= k_count; k += f.k_at_once)
#pragma clang loop unroll(full)
    for (int i = 0; i < f.k_at_once; i++) {
      if (f.vectors == 2 && f.rows >= 6 && !pace)
#pragma clang loop unroll(full)
        for (int qv = 0; qv < f.panels * 2; qv++)
          __builtin_prefetch(
              first_panel + qv / 2 * p->panel_stride + (k + i + AHEAD) * (2 * LANE_COUNT) + qv % 2 * LANE_COUNT, 0, 2);
      multiply_add_k(f, p, row_tile, triples, first_panel, k + i, sums);
    }
  if (f.k_at_once > 1)
    for (; k < k_count; k++) multiply_add_k(f, p, row_tile, triples, first_panel, k, sums);
  store_sums(f.rows, f.panels, f.vectors, p, sums, add, c);
}

// The outer loop runs over the chains of k, so that a tile's operands of one chain stay in the nearest cache while the
// inner loop visits the panels.
KERNEL void all_panels(const bool fused, const bool own_is_faster, const bool plain, const int vectors,
                       const int k_at_once, const int most_rows, const int most_sums, const product *p) {
  const int rows = (int)p->row_count, fetching_rows = own_is_faster ? LEAST_FETCHING_ROWS : most_rows;
  const ptrdiff_t width = LANE_COUNT * vectors;
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const bool add = p->add || k > 0;
    ptrdiff_t panels;
    for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
      panels = panels_at_once(p->panel_count - q, rows, vectors, most_sums);
      const SCALAR *tile = (const SCALAR *)p->rows + k * (plain ? 1 : rows);
      const SCALAR *panel = (const SCALAR *)p->panels + q * p->panel_stride + k * width;
      SCALAR *c = (SCALAR *)p->c + q * p->c_panel_stride;
      const SCALAR *next = p->next ? (const SCALAR *)p->next + q * p->panel_stride : NULL;
#define CHAINS(R, Q, PACE) \
  chains((form){fused, plain, R, Q, vectors, k_at_once}, p, tile, panel, k_count, add, c, PACE, next)
#define RUN(R, Q)                                                \
  if (R >= fetching_rows && Q == 1 && fused && !plain && next) { \
    if (2 * p->next_count <= LINE * k_count)                     \
      CHAINS(R, Q, 2);                                           \
    else                                                         \
      CHAINS(R, Q, 1);                                           \
  } else                                                         \
    CHAINS(R, Q, 0)
      WITH_CONSTANTS(rows, panels, vectors, most_rows, most_sums, RUN)
#undef RUN
#undef CHAINS
    }
  }
}

// Each form has a function of its own, so that a profile shows it by name.
#define DEFINE_PRODUCTS(set, width, architecture, attributes, fused, own_is_faster, vectors, most_sums, k_at_once, \
                        burst_sums, f32_rows, f64_rows)                                                            \
  architecture(                                                                                                    \
      attributes void NAMED(product, set##width)(const product *p) {                                               \
        all_panels(fused, own_is_faster, false, vectors, k_at_once, OF_SCALAR(f32_rows, f64_rows), most_sums, p);  \
      } attributes void NAMED(product, set##width##_plain)(const product *p) {                                     \
        all_panels(fused, own_is_faster, true, vectors, k_at_once, OF_SCALAR(f32_rows, f64_rows), most_sums, p);   \
      })
PRODUCT_FORMS(DEFINE_PRODUCTS)
#undef DEFINE_PRODUCTS
