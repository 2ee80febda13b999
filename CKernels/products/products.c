#include "products.h"

#include <pthread.h>

#include "blis/micro_kernel.h"

enum { narrow_avx512 = instruction_set_avx512 + 1 };

static product_kernels all_kernels[] = {
    {.set = instruction_set_portable, .tile_rows = 4, .panel_width = 16},
    {.set = instruction_set_avx2, .tile_rows = 6, .panel_width = 16},
    {.set = instruction_set_avx512, .tile_rows = 12, .panel_width = 32},
    {.set = instruction_set_avx512, .tile_rows = 12, .panel_width = 16},
};

static void choose_kernels(void) {
  for (size_t i = 0; i < sizeof all_kernels / sizeof *all_kernels; i++) {
    product_kernels *kernels = &all_kernels[i];
    kernels->reason = "not supported by this processor";
    if (processor_supports(kernels->set)) blis_find_micro_kernel(kernels);
  }
}

const product_kernels *product_kernels_for(instruction_set set) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, choose_kernels);
  return &all_kernels[set];
}

const product_kernels *product_kernels_for_units(instruction_set set, ptrdiff_t units) {
  const product_kernels *wide = product_kernels_for(set);
  if (set != instruction_set_avx512) return wide;
  // An eighth saved is more than BLIS's micro-kernel gives.
  const ptrdiff_t in_wide = (units + 31) / 32 * 32, in_narrow = (units + 15) / 16 * 16;
  return 8 * in_narrow <= 7 * in_wide ? &all_kernels[narrow_avx512] : wide;
}

void product_run(const product_kernels *kernels, const product *p) {
  if (!kernels->micro_kernel.function || p->row_count != kernels->tile_rows || p->row_stride != 1 || p->next) {
    product_run_own(kernels, p);
    return;
  }
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const float *rows = p->rows + k * kernels->tile_rows;
    for (ptrdiff_t q = 0; q < p->panel_count; q++) {
      const float *panel = p->panels + q * p->panel_stride + k * kernels->panel_width;
      blis_run_micro_kernel(kernels, k_count, rows, panel, p->add || k > 0, p->c + q * p->c_panel_stride,
                            p->c_row_stride, panel + p->panel_stride);
    }
  }
}
