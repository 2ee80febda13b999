// The kernels for 8-bit weights of one form. Each form has a file that defines the macros of int8_rounding.h,
// MOST_ROWS, MOST_VECTORS and MOST_SUMS as in forms.h, and two functions, and then includes this file. LEAST_SUMS is
// the number of sums that hides the latency of a multiply-add.
//
//   load_weights     the weights of one group of k and 16 units, as the operand of a multiply-add
//   multiply_add     sums += those weights · one word of a row
#pragma once
#include "int8_rounding.h"
#include "rows_and_panels.h"

// sums[qv][r] += the products of one group of k.
KERNEL void multiply_group(const int rows, const int panels, const int vectors, const char *weights, ptrdiff_t stride,
                           const word *words, integers *sums) {
  operand loaded[8];
#pragma clang loop unroll(full)
  for (int qv = 0; qv < panels * vectors; qv++)
    load_weights(&loaded[qv], weights + qv / vectors * stride + qv % vectors * (GROUP * LANE_COUNT));
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int qv = 0; qv < panels * vectors; qv++) multiply_add(&sums[qv * rows + r], &loaded[qv], words[r]);
}

// c += float(Σ) · (row scale · unit scale) for one row tile and some panels. All counts but k are constants at each
// use, so that every sum is a register. If there are few sums, each one is split into several over every second or
// fourth group, which changes no bit, because they are exact.
KERNEL void multiply_tile(const int rows, const int panels, const int vectors, const product *p,
                          const char *first_panel, float *c) {
  const ptrdiff_t stride = 4 * p->panel_stride, head = 2 * 64 * vectors;
  const ptrdiff_t groups = (p->k + 3) / 4 * (4 / GROUP);
  const float *row_scales = p->rows;
  const word *words = (const word *)(row_scales + rows);
  const int count = panels * vectors * rows;
  const int chains = count >= LEAST_SUMS ? 1 : 2 * count >= LEAST_SUMS ? 2 : 4;
  integers sums[4 * LEAST_SUMS > MOST_VECTORS * MOST_ROWS ? 4 * LEAST_SUMS : MOST_VECTORS * MOST_ROWS];
#pragma clang loop unroll(full)
  for (int qv = 0; qv < panels * vectors; qv++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
      sums[qv * rows + r] = *(const integers *)(first_panel + qv / vectors * stride + 64 * (qv % vectors));
#pragma clang loop unroll(full)
  for (int i = count; i < chains * count; i++) sums[i] = 0;
  const char *weights = first_panel + head;
  const ptrdiff_t next = GROUP * LANE_COUNT * vectors;
  ptrdiff_t g = 0;
  for (; g + chains <= groups; g += chains)
#pragma clang loop unroll(full)
    for (int i = 0; i < chains; i++)
      multiply_group(rows, panels, vectors, weights + (g + i) * next, stride, words + (g + i) * rows, sums + i * count);
  for (; g < groups; g++) multiply_group(rows, panels, vectors, weights + g * next, stride, words + g * rows, sums);
#pragma clang loop unroll(full)
  for (int i = count; i < chains * count; i++) sums[i % count] += sums[i];
#pragma clang loop unroll(full)
  for (int qv = 0; qv < panels * vectors; qv++) {
    const int v = qv % vectors;
    const floats unit_scales = *(const floats *)(first_panel + qv / vectors * stride + 64 * (vectors + v));
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      floats *target = (floats *)(c + qv / vectors * p->c_panel_stride + r * p->c_row_stride + LANE_COUNT * v);
      const floats scale = row_scales[r] * unit_scales;
      *target += __builtin_convertvector(sums[qv * rows + r], floats) * scale;
    }
  }
}

KERNEL void multiply_panels(const int vectors, const product *p) {
  const int rows = (int)p->row_count;
  ptrdiff_t panels;
  for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
    panels = panels_at_once(p->panel_count - q, rows, vectors, MOST_SUMS);
    const char *panel = (const char *)p->panels + 4 * q * p->panel_stride;
    float *c = (float *)p->c + q * p->c_panel_stride;
#define RUN(R, Q) multiply_tile(R, Q, vectors, p, panel, c)
    WITH_CONSTANTS(rows, panels, vectors, MOST_ROWS, MOST_SUMS, RUN)
#undef RUN
  }
}

ATTRIBUTES void NAMED(product_i8)(const product *p) {
#if MOST_VECTORS == 2
  if (p->panel_width == 2 * LANE_COUNT) {
    multiply_panels(2, p);
    return;
  }
#endif
  multiply_panels(1, p);
}
