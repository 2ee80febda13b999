// Products with weights in bfloat16, which are unpacked in registers: two k of a unit share a word of 4 bytes.
#include "forms.h"
#include "rounded_forms.h"

#define KERNEL static inline __attribute__((always_inline))
enum { LANE_COUNT = 16 };
// 64 bytes, in the registers that the instruction set has.
typedef float vector __attribute__((ext_vector_type(LANE_COUNT), aligned(4), may_alias));
typedef uint32_t words __attribute__((ext_vector_type(LANE_COUNT), aligned(4), may_alias));

// The portable kernels never fuse a product and an add, on any processor.
#pragma clang fp contract(off)

// Weights are fetched so many words early if there are enough rows to leave time for it.
enum { AHEAD = 32, FETCHING_ROWS = 6, FEW_ROWS = 4 };

// The form of a kernel, as in own_kernels.h. All fields are constants at each use, so that every sum is a register.
typedef struct form {
  bool fused;
  int rows, panels, vectors;
} form;

KERNEL void multiply_add(const form f, vector *sum, const vector *weights, const float *x) {
  if (f.fused)
    *sum = __builtin_elementwise_fma(*weights, (vector)*x, *sum);
  else
    *sum = *sum + *weights * *x;
}

// sums[qv][r] += rows[r] · the even k of one word, then += rows[f.rows + r] · the odd k if there is one. Few rows have
// many panels: their weights are unpacked one vector at a time, because there are registers for no more.
KERNEL void multiply_add_word(const form f, const bool odd, const float *rows, const uint32_t *panel, ptrdiff_t stride,
                              vector *sums) {
  vector weights[2][8];
#pragma clang loop unroll(full)
  for (int qv = 0; qv < f.panels * f.vectors; qv++) {
    const words packed = *(const words *)(panel + qv / f.vectors * stride + LANE_COUNT * (qv % f.vectors));
    weights[0][qv] = __builtin_bit_cast(vector, packed << 16);
    weights[1][qv] = __builtin_bit_cast(vector, packed & 0xffff0000);
    if (f.rows <= FEW_ROWS)
#pragma clang loop unroll(full)
      for (int i = 0; i < 1 + odd; i++)
#pragma clang loop unroll(full)
        for (int r = 0; r < f.rows; r++)
          multiply_add(f, &sums[qv * f.rows + r], &weights[i][qv], &rows[i * f.rows + r]);
  }
  if (f.rows > FEW_ROWS)
#pragma clang loop unroll(full)
    for (int i = 0; i < 1 + odd; i++)
#pragma clang loop unroll(full)
      for (int r = 0; r < f.rows; r++)
#pragma clang loop unroll(full)
        for (int qv = 0; qv < f.panels * f.vectors; qv++)
          multiply_add(f, &sums[qv * f.rows + r], &weights[i][qv], &rows[i * f.rows + r]);
}

// c += Σ_k rows[k][r] · panels[q][k], one chain for each element.
KERNEL void chains(const form f, const product *p, const float *tile, const uint32_t *panel, ptrdiff_t k_count,
                   float *c) {
  vector sums[24] = {0};
  const ptrdiff_t width = LANE_COUNT * f.vectors;
  for (ptrdiff_t pair = 0; pair < k_count / 2; pair++) {
    const uint32_t *packed = panel + pair * width;
    if (f.rows >= FETCHING_ROWS)
#pragma clang loop unroll(full)
      for (int qv = 0; qv < f.panels * f.vectors; qv++)
        __builtin_prefetch(packed + qv / f.vectors * p->panel_stride + AHEAD * width + LANE_COUNT * (qv % f.vectors), 0,
                           2);
    multiply_add_word(f, true, tile + 2 * pair * f.rows, packed, p->panel_stride, sums);
  }
  if (k_count % 2)
    multiply_add_word(f, false, tile + (k_count - 1) * f.rows, panel + k_count / 2 * width, p->panel_stride, sums);
#pragma clang loop unroll(full)
  for (int q = 0; q < f.panels; q++)
#pragma clang loop unroll(full)
    for (int r = 0; r < f.rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < f.vectors; v++)
        *(vector *)(c + q * p->c_panel_stride + r * p->c_row_stride + LANE_COUNT * v) +=
            sums[(q * f.vectors + v) * f.rows + r];
}

// Several panels run at once as long as they need at most `most_sums` sums.
KERNEL void all_panels(const bool fused, const int vectors, const int most_rows, const int most_sums,
                       const product *p) {
  const int rows = (int)p->row_count;
  for (ptrdiff_t k = 0; k < p->k; k += PRODUCT_K_BLOCK) {
    const ptrdiff_t k_count = p->k - k < PRODUCT_K_BLOCK ? p->k - k : PRODUCT_K_BLOCK;
    const float *tile = (const float *)p->rows + k * rows;
    ptrdiff_t panels;
    for (ptrdiff_t q = 0; q < p->panel_count; q += panels) {
      panels = p->panel_count - q < 4 ? p->panel_count - q : 4;
      while (panels > 1 && panels * rows * vectors > most_sums) panels--;
      const uint32_t *panel = (const uint32_t *)p->panels + q * p->panel_stride + k / 2 * (LANE_COUNT * vectors);
      float *c = (float *)p->c + q * p->c_panel_stride;
#define RUN(R, Q)                                                       \
  case 4 * R + Q - 1:                                                   \
    if (R <= most_rows && (Q == 1 || R * Q * vectors <= most_sums))     \
      chains((form){fused, R, Q, vectors}, p, tile, panel, k_count, c); \
    break;
#define ROWS(R) RUN(R, 1) RUN(R, 2) RUN(R, 3) RUN(R, 4)
      switch (4 * rows + (int)panels - 1) {
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
      }
#undef ROWS
#undef RUN
    }
  }
}

KERNEL void round_vector(words *x) {
  const words bits = *x, even = bits + 0x7fff + (bits >> 16 & 1);
  *x = ((bits & INT32_MAX) > 0x7f800000 ? bits | 0x400000 : even) & 0xffff0000;
}

KERNEL void round_floats(float *target, const float *source, ptrdiff_t count) {
  ptrdiff_t i = 0;
  for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
    words x = *(const words *)(source + i);
    round_vector(&x);
    *(words *)(target + i) = x;
  }
  for (; i < count; i++) {
    const uint32_t bits = (uint32_t)bf16_bits(source[i]) << 16;
    memcpy(target + i, &bits, sizeof bits);
  }
}

typedef void pack_function(void *packed, ptrdiff_t width, const void *source, ptrdiff_t count, ptrdiff_t item_stride,
                           ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride);

// Several rows are packed first, and then rounded while they are in the nearest cache.
KERNEL void round_rows(const rounded_rows *s, float *tile, pack_function *pack_rows) {
  const float *source = s->source;
  const ptrdiff_t rows = s->row_count;
  ptrdiff_t done = 0;
  for (; done < s->k; done += s->piece, source += s->piece_stride) {
    const ptrdiff_t count = s->k - done < s->piece ? s->k - done : s->piece;
    if (rows == 1)
      round_floats(tile + done, source, count);
    else
      pack_rows(tile + done * rows, rows, source, rows, s->row_stride, count, count, 1);
  }
  if (rows > 1) round_floats(tile, tile, rows * s->k);
}

#define DEFINE(set, architecture, attributes, fused, wide, most_rows, most_sums)      \
  architecture(                                                                       \
      attributes void product_bf16_##set(const product *p) {                          \
        if (wide && p->panel_width == 2 * LANE_COUNT)                                 \
          all_panels(fused, 2, most_rows, most_sums, p);                              \
        else                                                                          \
          all_panels(fused, 1, most_rows, most_sums, p);                              \
      } attributes void round_rows_bf16_##set(const rounded_rows *rows, void *tile) { \
        round_rows(rows, tile, pack_f32_##set);                                       \
      })
DEFINE(portable, EVERYWHERE, , false, false, 4, 4)
DEFINE(avx2, ON_X86_64, FOR_AVX2, true, false, 6, 4)
DEFINE(avx512, ON_X86_64, FOR_AVX512, true, true, 12, 20)
