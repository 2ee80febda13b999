// Our own micro-kernels: any number of rows up to the tile, one to four panels at once so that few rows keep the
// multiply-add units busy (a multiply-add takes 4 cycles and two start each cycle: 8 sums must be in flight).
#include "lanes.h"
#include "products.h"

// sums[q][r] = Σ_k rows[k][r] · panels[q][k], one block of k, then into c. `rows`, `panels` and `vectors` (of 16 lanes
// in a panel) are constants at each call, so that every sum is a register.
LANES void chains(const bool fused, const int rows, const int panels, const int vectors, const product *p,
                  const float *row_tile, const float *first_panel, ptrdiff_t k_count, bool add, float *c) {
  const ptrdiff_t width = 16 * vectors;
  lanes16 sums[4 * PRODUCT_MOST_TILE_ROWS] = {0};
  for (ptrdiff_t k = 0; k < k_count; k++) {
    lanes16 weights[8];
#pragma clang loop unroll(full)
    for (int q = 0; q < panels; q++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++)
        weights[q * vectors + v] = *(const lanes16 *)(first_panel + q * p->panel_stride + k * width + 16 * v);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const lanes16 x = row_tile[k * rows + r];
#pragma clang loop unroll(full)
      for (int qv = 0; qv < panels * vectors; qv++) {
        lanes16 *sum = &sums[qv * rows + r];
        if (fused)
          *sum = __builtin_elementwise_fma(weights[qv], x, *sum);
        else
          *sum = *sum + weights[qv] * x;
      }
    }
  }
#pragma clang loop unroll(full)
  for (int q = 0; q < panels; q++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        lanes16 *target = (lanes16 *)(c + q * p->c_panel_stride + r * p->c_row_stride + 16 * v);
        const lanes16 sum = sums[(q * vectors + v) * rows + r];
        *target = add ? *target + sum : sum;
      }
}

// The blocks of k outermost: a tile's block stays in the nearest cache while the panels pass by. Several
// panels run at once up to `most_sums` sums of 16 lanes; beyond it the weights spill (2 rows, 3 panels: 48 instead of
// 73 GF/s on AVX2; 3 rows, 4 panels: 135 instead of 163 on AVX-512).
LANES void all_panels(const bool fused, const int vectors, const int most_sums, const product *p) {
  const int rows = (int)p->row_count;
  const ptrdiff_t width = 16 * vectors;
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const bool add = p->add || k > 0;
    ptrdiff_t panels;
    for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
      panels = p->panel_count - q < 4 ? p->panel_count - q : 4;
      while (panels > 1 && panels * rows * vectors > most_sums) panels--;
      const float *tile = p->rows + k * rows, *panel = p->panels + q * p->panel_stride + k * width;
      float *c = p->c + q * p->c_panel_stride;
#define RUN(R, Q)                                                                                              \
  case 4 * R + Q - 1:                                                                                          \
    if (Q == 1 || R * Q * vectors <= most_sums) chains(fused, R, Q, vectors, p, tile, panel, k_count, add, c); \
    break;
      switch (4 * rows + (int)panels - 1) {
        RUN(1, 1)
        RUN(1, 2)
        RUN(1, 3)
        RUN(1, 4) RUN(2, 1) RUN(2, 2) RUN(2, 3) RUN(2, 4) RUN(3, 1) RUN(3, 2) RUN(3, 3) RUN(3, 4) RUN(4, 1) RUN(4, 2)
            RUN(5, 1) RUN(5, 2) RUN(6, 1) RUN(7, 1) RUN(8, 1) RUN(9, 1) RUN(10, 1) RUN(11, 1) RUN(12, 1)
      }
#undef RUN
    }
  }
}

#if defined(__x86_64__)
FOR_AVX512 static void product_avx512(const product *p) { all_panels(true, 2, 20, p); }
FOR_AVX2 static void product_avx2(const product *p) { all_panels(true, 1, 4, p); }
#endif
static void product_portable(const product *p) {
#pragma clang fp contract(off)
  all_panels(false, 1, 4, p);
}

void product_run_own(const product_kernels *kernels, const product *p) {
  switch (kernels->set) {
#if defined(__x86_64__)
    case instruction_set_avx512: product_avx512(p); return;
    case instruction_set_avx2: product_avx2(p); return;
#endif
    default: product_portable(p);
  }
}
