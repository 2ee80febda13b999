// Stores sums that are vectors of the scalars of c. KERNEL, SCALAR, LANE_COUNT and `vector` must be defined before.
#pragma once
#include "products.h"

// c[q][r] = or += sums[qv][r]
KERNEL void store_sums(const int rows, const int panels, const int vectors, const product *p, const vector *sums,
                       const bool add, SCALAR *c) {
#pragma clang loop unroll(full)
  for (int q = 0; q < panels; q++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        vector *target = (vector *)(c + q * p->c_panel_stride + r * p->c_row_stride + LANE_COUNT * v);
        const vector sum = sums[(q * vectors + v) * rows + r];
        *target = add ? *target + sum : sum;
      }
}
