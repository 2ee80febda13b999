// The end of a product whose sums are vectors of its own scalars. The file that includes this defines KERNEL, SCALAR,
// LANE_COUNT, `vector` and `form`.
#pragma once
#include "products.h"

// c = or += sums[panel and vector][row]
KERNEL void store_sums(const form f, const product *p, const vector *sums, const bool add, SCALAR *c) {
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
