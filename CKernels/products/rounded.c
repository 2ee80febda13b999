#include "rounded.h"

#include "rounded_forms.h"

#pragma clang fp contract(off)

// clang-format off
#define ROW(form, of_format, of_set, architecture, more, of_row, of_unit, multiple, rows)   \
  architecture({.name = #form,                                                              \
                .format = rounded_format_##of_format,                                       \
                .set = instruction_set_##of_set,                                            \
                .has_more = more,                                                           \
                .row_group = of_row,                                                        \
                .unit_group = of_unit,                                                      \
                .k_multiple = multiple,                                                     \
                .tile_rows = rows,                                                          \
                .product = product_##form,                                                  \
                .round_rows = round_rows_##form,                                            \
                IF_TRAINS_##of_format(TRAINING, NOTHING)(form)}, )
#define TRAINING(form) .round_columns = round_columns_##form, .round_panel = round_panel_##form
#define NOTHING(form)
// clang-format on
static const rounded_kernels table[] = {ROUNDED_FORMS(ROW)};
#undef ROW
#undef TRAINING
#undef NOTHING

ptrdiff_t rounded_kernels_count(void) { return sizeof table / sizeof *table; }

const rounded_kernels *rounded_kernels_at(ptrdiff_t index) { return &table[index]; }

bool rounded_kernels_are_supported(const rounded_kernels *kernels) {
  return processor_supports(kernels->set) && (!kernels->has_more || kernels->has_more());
}

const rounded_kernels *rounded_kernels_for(rounded_format format, instruction_set set) {
  ptrdiff_t i = rounded_kernels_count() - 1;
  while (table[i].format != format || table[i].set > set || !rounded_kernels_are_supported(&table[i])) i--;
  return &table[i];
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

void int8_pack_panel(const rounded_kernels *kernels, void *panel, ptrdiff_t width, const float *weights,
                     ptrdiff_t units, ptrdiff_t k) {
  const ptrdiff_t group = kernels->row_group;
  int32_t *starts = panel;
  float *scales = (float *)(starts + width);
  int8_t *bytes = (int8_t *)(scales + width);
  memset(panel, 0, (size_t)(rounded_unit_words(kernels, k) * width) * 4);
  for (ptrdiff_t u = 0; u < units; u++) {
    const int32_t sum = quantize_unit(bytes + u * group, width, group, weights + u * k, k, &scales[u]);
    starts[u] = group == 4 ? -128 * sum : 0;
  }
}
