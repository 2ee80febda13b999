// BLIS's sgemm and dgemm micro-kernels, chosen by us: BLIS's own choice fails on processors that it does not know.
#pragma once
#include "products.h"

// Finds BLIS's micro-kernel whose tile is that of `kernels`, for an instruction set that the processor supports, and
// fills in micro_kernel, the names and the reason of the choice. BLIS is initialised at the first call.
void blis_find_micro_kernel(product_kernels *kernels);

// c[r][u] = (add ? c[r][u] : 0) + Σ_k rows[k][r] · panel[k][u] over one full tile; next_panel is prefetched.
void blis_run_micro_kernel(const product_kernels *kernels, ptrdiff_t k, const void *rows, const void *panel, bool add,
                           void *c, ptrdiff_t c_row_stride, const void *next_panel);
