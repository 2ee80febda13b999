// Products with weights in bf16 on AMX, by TDPBF16PS.
#if defined(__x86_64__)
#include "../sets/instruction_sets.def"

#define KERNEL FOR_AMX static inline __attribute__((always_inline))
#include "bf16_neighbors.h"

enum { AMX_K = 32 };
#define ROW_HEAD 0
#define UNIT_HEAD 0
#define MULTIPLY(sums, rows, weights) _tile_dpbf16ps(sums, rows, weights)
#define START(sums, b, column, row)                                                   \
  do {                                                                                \
    if (p->add)                                                                       \
      _tile_loadd(sums, b->c[column] + (row) * p->c_row_stride, 4 * p->c_row_stride); \
    else                                                                              \
      _tile_zero(sums);                                                               \
  } while (0)
#define STORE(sums, b, column, row) _tile_stored(sums, b->c[column] + (row) * p->c_row_stride, 4 * p->c_row_stride)
#include "amx_tiles.h"

FOR_AMX void product_bf16_amx(const product *p) { multiply_tiles(p); }

// A row tile is [k / 32][rows][16] words.
FOR_AMX void round_rows_bf16_amx(const rounded_rows *s, void *tile) {
  const ptrdiff_t rows = s->row_count, words = (s->k + 1) / 2;
  for (ptrdiff_t r = 0; r < rows; r++) {
    uint32_t *row = (uint32_t *)tile + r * AMX_WORDS;
    const float *source = s->source + r * s->row_stride;
    for (ptrdiff_t done = 0; done < s->k; done += s->piece, source += s->piece_stride) {
      const ptrdiff_t count = s->k - done < s->piece ? s->k - done : s->piece;
      for (ptrdiff_t d = 0; d < count; d += LANE_COUNT) {
        const ptrdiff_t k = done + d;
        pair_neighbors(row + k / AMX_K * (rows * AMX_WORDS) + k % AMX_K / 2, source + d,
                       count - d < LANE_COUNT ? count - d : LANE_COUNT);
      }
    }
    const ptrdiff_t last = words % AMX_WORDS;
    if (last) memset(row + words / AMX_WORDS * (rows * AMX_WORDS) + last, 0, (size_t)(AMX_WORDS - last) * 4);
  }
}

// The words of 32 values of k are those of [16][columns], transposed.
FOR_AMX void round_columns_bf16_amx(const rounded_columns *s, void *tile) {
  float words[AMX_WORDS * 2 * AMX_ROWS];
  const ptrdiff_t columns = s->count;
  for (ptrdiff_t d = 0; d < s->k; d += AMX_K) {
    const ptrdiff_t depth = s->k - d < AMX_K ? s->k - d : AMX_K;
    for (ptrdiff_t i = 0; i < AMX_WORDS; i++) {
      const float *even = s->source + (d + 2 * i) * s->stride;
      uint32_t *target = (uint32_t *)(words + i * columns);
      if (2 * i < depth)
        pair_rows(target, even, 2 * i + 1 < depth ? even + s->stride : NULL, columns);
      else
        memset(target, 0, (size_t)columns * 4);
    }
    pack_f32_avx512((uint32_t *)tile + d / 2 * columns, AMX_WORDS, words, AMX_WORDS, columns, columns, columns, 1);
  }
}

FOR_AMX void round_panel_bf16_amx(void *panel, ptrdiff_t width, const float *source, ptrdiff_t k) {
  round_to_panel(panel, width, source, k, (k + AMX_K - 1) / AMX_K * AMX_WORDS);
}
#endif
