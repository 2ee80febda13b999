#include "int8.h"

#include "int8_forms.h"

#pragma clang fp contract(off)

#define ROW(form, of_set, architecture, values, rows) \
  architecture({.name = #form,                        \
                .set = instruction_set_##of_set,      \
                .group = values,                      \
                .tile_rows = rows,                    \
                .product = product_i8_##form,         \
                .quantize_rows = quantize_rows_i8_##form}, )
static const int8_kernels table[] = {INT8_FORMS(ROW)};
#undef ROW

ptrdiff_t int8_kernels_count(void) { return sizeof table / sizeof *table; }

const int8_kernels *int8_kernels_at(ptrdiff_t index) { return &table[index]; }

bool int8_kernels_are_supported(const int8_kernels *kernels) {
  return processor_supports(kernels->set) && (kernels->group == 2 || processor_has_avx512_vnni());
}

const int8_kernels *int8_kernels_for(instruction_set set) {
  const int8_kernels *best = &table[0];
  for (ptrdiff_t i = 0; i < int8_kernels_count(); i++)
    if (table[i].set == set && int8_kernels_are_supported(&table[i])) best = &table[i];
  return best;
}

static int32_t bits_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// The weights of one unit, whose bytes in the panel start at `bytes`. Returns Σ_k q.
static int32_t quantize_unit(int8_t *bytes, ptrdiff_t width, ptrdiff_t group, const float *weights, ptrdiff_t k,
                             float *scale) {
  int32_t most = 0, sum = 0;
  for (ptrdiff_t d = 0; d < k; d++) {
    const int32_t magnitude = bits_of(weights[d]) & INT32_MAX;
    if (magnitude > most) most = magnitude;
  }
  const int8_scale s = int8_scale_of(most);
  *scale = s.scale;
  for (ptrdiff_t d = 0; d < k; d++) {
    float x = weights[d] * s.inverse;
    x = x > 127 ? 127 : x < -127 ? -127 : x;
    const int8_t q = (int8_t)bits_of(x + INT8_SHIFT);
    bytes[d / group * width * group + d % group] = q;
    sum += q;
  }
  return sum;
}

void int8_quantize_panel(const int8_kernels *kernels, void *panel, ptrdiff_t width, const float *weights,
                         ptrdiff_t units, ptrdiff_t k) {
  const ptrdiff_t group = kernels->group;
  memset(panel, 0, (size_t)(int8_unit_words(k) * width) * 4);
  int32_t *starts = panel;
  float *scales = (float *)(starts + width);
  int8_t *bytes = (int8_t *)(scales + width);
  for (ptrdiff_t u = 0; u < units; u++) {
    const int32_t sum = quantize_unit(bytes + u * group, width, group, weights + u * k, k, &scales[u]);
    starts[u] = group == 4 ? -128 * sum : 0;
  }
}
