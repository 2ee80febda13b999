// Our own micro-kernels: any number of rows up to the tile, one to four panels at once so that few rows keep the
// multiply-add units busy (a multiply-add takes 4 cycles and two start each cycle: 8 sums must be in flight).
#include "lanes.h"
#include "products.h"

// A product and an add of the portable kernels are never fused, whatever the processor.
#pragma clang fp contract(off)

// Steps of k that weights are fetched ahead where several rows leave time for it: they may come from the third cache
// (11 rows, 4 MB of weights: about a fifth more; 8 rows, or weights that lie nearer: no effect).
enum { AHEAD = 32 };

// sums[q][r] = Σ_k rows[k][r] · panels[q][k], one block of k, then into c. `rows`, `panels`, `vectors` (of 16 lanes in
// a panel) and `plain` (rows of a matrix instead of a packed tile) are constants at each call, so that every sum is a
// register. Three plain rows share a pointer: with one for each, pointers would be spilled.
LANES void chains(const bool fused, const bool plain, const int rows, const int panels, const int vectors,
                  const product *p, const float *row_tile, const float *first_panel, ptrdiff_t k_count, bool add,
                  float *c) {
  const ptrdiff_t width = 16 * vectors, stride = p->row_stride;
  lanes16 sums[4 * PRODUCT_MOST_TILE_ROWS] = {0};
  const float *triples[(PRODUCT_MOST_TILE_ROWS + 2) / 3];
  if (plain)
    for (int r = 0; r < rows; r += 3) triples[r / 3] = row_tile + r * stride;
  for (ptrdiff_t k = 0; k < k_count; k++) {
    lanes16 weights[8];
#pragma clang loop unroll(full)
    for (int q = 0; q < panels; q++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++)
        weights[q * vectors + v] = *(const lanes16 *)(first_panel + q * p->panel_stride + k * width + 16 * v);
    if (vectors == 2 && rows >= 6)
#pragma clang loop unroll(full)
      for (int qv = 0; qv < panels * vectors; qv++)
        __builtin_prefetch(first_panel + qv / vectors * p->panel_stride + (k + AHEAD) * width + qv % vectors * 16, 0,
                           2);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const lanes16 x = plain ? triples[r / 3][r % 3 * stride + k] : row_tile[k * rows + r];
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
LANES void all_panels(const bool fused, const bool plain, const int vectors, const int most_rows, const int most_sums,
                      const product *p) {
  const int rows = (int)p->row_count;
  const ptrdiff_t width = 16 * vectors;
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const bool add = p->add || k > 0;
    ptrdiff_t panels;
    for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
      panels = p->panel_count - q < 4 ? p->panel_count - q : 4;
      while (panels > 1 && panels * rows * vectors > most_sums) panels--;
      const float *tile = p->rows + k * (plain ? 1 : rows), *panel = p->panels + q * p->panel_stride + k * width;
      float *c = p->c + q * p->c_panel_stride;
#define RUN(R, Q)                                                           \
  case 4 * R + Q - 1:                                                       \
    if (R <= most_rows && (Q == 1 || R * Q * vectors <= most_sums))         \
      chains(fused, plain, R, Q, vectors, p, tile, panel, k_count, add, c); \
    break;
#define ROWS(R) RUN(R, 1) RUN(R, 2) RUN(R, 3) RUN(R, 4)
      switch (4 * rows + (int)panels - 1) {
        ROWS(1)
        ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
      }
#undef ROWS
#undef RUN
    }
  }
}

// A function for each form, so that a profile shows it by name.
#define KERNELS(PREFIX, name, fused, vectors, most_rows, most_sums)                                         \
  PREFIX static void name(const product *p) { all_panels(fused, false, vectors, most_rows, most_sums, p); } \
  PREFIX static void name##_plain(const product *p) { all_panels(fused, true, vectors, most_rows, most_sums, p); }

#if defined(__x86_64__)
KERNELS(FOR_AVX512, product_avx512, true, 2, 12, 20)
KERNELS(FOR_AVX512, product_avx512_narrow, true, 1, 12, 27)
KERNELS(FOR_AVX2, product_avx2, true, 1, 6, 4)
#endif
KERNELS(, product_portable, false, 1, 4, 4)

void product_run_own(const product_kernels *kernels, const product *p) {
  const bool plain = p->row_stride != 1;
#define RUN_KERNEL(name) plain ? name##_plain(p) : name(p)
  switch (kernels->set) {
#if defined(__x86_64__)
    case instruction_set_avx512:
      if (kernels->panel_width == 32)
        RUN_KERNEL(product_avx512);
      else
        RUN_KERNEL(product_avx512_narrow);
      return;
    case instruction_set_avx2: RUN_KERNEL(product_avx2); return;
#endif
    default: RUN_KERNEL(product_portable);
  }
#undef RUN_KERNEL
}
