#include "products.h"

#include <pthread.h>

#include "blis/micro_kernel.h"
#include "forms.h"

// clang-format off
#define KERNELS(name, lanes, row_count, of_set, form, architecture, vectors, is_faster)                       \
  architecture({.set = instruction_set_##of_set,                                                              \
                .scalar = scalar_type_##name,                                                                 \
                .tile_rows = row_count,                                                                       \
                .panel_width = lanes * vectors,                                                               \
                .own_is_faster = is_faster,                                                                   \
                .own = {product_##name##_##form, product_##name##_##form##_plain, pack_##name##_##of_set,     \
                        unpack_adding_##name##_##of_set, add_rows_##name##_##form, fill_rows_##name##_##form, \
                        multiply_add_burst_##name##_##form}},)
#define ROW(set, width, architecture, attributes, fused, own_is_faster, vectors, most_sums, k_at_once,        \
            burst_sums, f32_rows, f64_rows)                                                                   \
  KERNELS(f32, 16, f32_rows, set, set##width, architecture, vectors, own_is_faster)                           \
  KERNELS(f64, 8, f64_rows, set, set##width, architecture, vectors, own_is_faster)
// clang-format on

static product_kernels table[] = {PRODUCT_FORMS(ROW)};

static void choose_kernels(void) {
  for (ptrdiff_t i = 0; i < product_kernels_count(); i++) {
    table[i].reason = "not supported by this processor";
    if (processor_supports(table[i].set)) blis_find_micro_kernel(&table[i]);
  }
}

ptrdiff_t product_kernels_count(void) { return sizeof table / sizeof *table; }

const product_kernels *product_kernels_at(ptrdiff_t index) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, choose_kernels);
  return &table[index];
}

const product_kernels *product_kernels_for(instruction_set set, scalar_type scalar) {
  for (ptrdiff_t i = 0; i < product_kernels_count(); i++)
    if (table[i].set == set && table[i].scalar == scalar) return product_kernels_at(i);
  return product_kernels_for(instruction_set_portable, scalar);
}

const product_kernels *product_kernels_for_units(instruction_set set, scalar_type scalar, ptrdiff_t units) {
  const product_kernels *best = product_kernels_for(set, scalar);
  ptrdiff_t best_units = (units + best->panel_width - 1) / best->panel_width * best->panel_width;
  for (ptrdiff_t i = 0; i < product_kernels_count(); i++) {
    const product_kernels *other = &table[i];
    if (other->set != set || other->scalar != scalar) continue;
    const ptrdiff_t other_units = (units + other->panel_width - 1) / other->panel_width * other->panel_width;
    // Panels of another width must save at least an eighth of the units, because BLIS's micro-kernel does not run on
    // them.
    if (8 * other_units > 7 * best_units) continue;
    best = other;
    best_units = other_units;
  }
  return best;
}

void product_run(const product_kernels *kernels, const product *p) {
  const bool full = p->row_count == kernels->tile_rows && p->row_stride == 1;
  if (full && kernels->micro_kernel.function && !kernels->own_is_faster && !p->next)
    product_run_blis(kernels, p);
  else
    product_run_own(kernels, p);
}

void product_run_blis(const product_kernels *kernels, const product *p) {
  const ptrdiff_t size = scalar_size(kernels->scalar);
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const char *rows = (const char *)p->rows + k * kernels->tile_rows * size;
    for (ptrdiff_t q = 0; q < p->panel_count; q++) {
      const char *panel = (const char *)p->panels + (q * p->panel_stride + k * kernels->panel_width) * size;
      blis_run_micro_kernel(kernels, k_count, rows, panel, p->add || k > 0, (char *)p->c + q * p->c_panel_stride * size,
                            p->c_row_stride, panel + p->panel_stride * size);
    }
  }
}
