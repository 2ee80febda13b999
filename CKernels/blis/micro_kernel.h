// The micro-kernels of BLIS's sgemm and dgemm. We choose them, because BLIS chooses badly on processors that it does
// not know.
#pragma once
#include "products.h"

// Finds the micro-kernel of BLIS that has the same tile as `kernels`, whose instruction set the processor must support.
// Fills in micro_kernel, the names and the reason of the choice. The first call initializes BLIS.
void blis_find_micro_kernel(product_kernels *kernels);

// c[r][u] = (add ? c[r][u] : 0) + Σ_k rows[k][r] · panel[k][u] over one full tile. It prefetches
// next_panel.
void blis_run_micro_kernel(const product_kernels *kernels, ptrdiff_t k, const void *rows, const void *panel, bool add,
                           void *c, ptrdiff_t c_row_stride, const void *next_panel);
