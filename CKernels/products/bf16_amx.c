// Products with weights in bf16 on AMX, whose TDPBF16PS multiplies a tile of up to 16 rows of 32 values of k by a tile
// of 16 units. There are eight tile registers: four hold sums, and the others hold rows and weights.
#if defined(__x86_64__)
#include <immintrin.h>

#include "../sets/instruction_sets.def"

#define KERNEL FOR_AMX static inline __attribute__((always_inline))
#include "bf16_vectors.h"
#include "forms.h"

enum { TILE_ROWS = 16, TILE_K = 32, TILE_WORDS = 16, TILE_BYTES = 64 };

// The sizes of the eight tiles, in the form that LDTILECFG reads.
typedef struct tile_sizes {
  uint8_t palette, first_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_sizes;

// Sums in the tiles 0 to 3, rows in 4 and 5, weights in 6 and 7. The sums 0 and 1 belong to the rows in tile 4, and 2
// and 3 to those in tile 5 if there are any, else to those in tile 4.
KERNEL void set_sizes(ptrdiff_t rows) {
  const uint8_t first = (uint8_t)(rows < TILE_ROWS ? rows : TILE_ROWS);
  const uint8_t second = (uint8_t)(rows > TILE_ROWS ? rows - TILE_ROWS : first);
  tile_sizes sizes = {.palette = 1, .rows = {first, first, second, second, first, second, TILE_ROWS, TILE_ROWS}};
  for (int tile = 0; tile < 8; tile++) sizes.row_bytes[tile] = TILE_BYTES;
  _tile_loadconfig(&sizes);
}

// The sums of up to four groups of 16 units and of one tile of rows, or of up to two groups and of two tiles.
typedef struct tile_block {
  const uint32_t *weights[4];
  float *c[4];
  int count;  // of the groups
} tile_block;

#define START_SUM(tile, group, row)                                                  \
  do {                                                                               \
    if (p->add)                                                                      \
      _tile_loadd(tile, b->c[group] + (row) * p->c_row_stride, 4 * p->c_row_stride); \
    else                                                                             \
      _tile_zero(tile);                                                              \
  } while (0)
#define STORE_SUM(tile, group, row) _tile_stored(tile, b->c[group] + (row) * p->c_row_stride, 4 * p->c_row_stride)
#define LOAD_WEIGHTS(tile, group) \
  _tile_loadd(tile, b->weights[group] + k * (TILE_WORDS * p->panel_width), 4 * p->panel_width)

// Up to 16 rows.
KERNEL void multiply_one_tile(const int count, const product *p, const tile_block *b) {
  START_SUM(0, 0, 0);
  if (count > 1) START_SUM(1, 1, 0);
  if (count > 2) START_SUM(2, 2, 0);
  if (count > 3) START_SUM(3, 3, 0);
  const uint32_t *rows = p->rows;
  for (ptrdiff_t k = 0; k < (p->k + TILE_K - 1) / TILE_K; k++, rows += p->row_count * TILE_WORDS) {
    _tile_loadd(4, rows, TILE_BYTES);
    LOAD_WEIGHTS(6, 0);
    _tile_dpbf16ps(0, 4, 6);
    if (count > 1) {
      LOAD_WEIGHTS(7, 1);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (count > 2) {
      LOAD_WEIGHTS(6, 2);
      _tile_dpbf16ps(2, 4, 6);
    }
    if (count > 3) {
      LOAD_WEIGHTS(7, 3);
      _tile_dpbf16ps(3, 4, 7);
    }
  }
  STORE_SUM(0, 0, 0);
  if (count > 1) STORE_SUM(1, 1, 0);
  if (count > 2) STORE_SUM(2, 2, 0);
  if (count > 3) STORE_SUM(3, 3, 0);
}

// 17 to 32 rows: each tile of weights that is loaded is multiplied twice.
KERNEL void multiply_two_tiles(const int count, const product *p, const tile_block *b) {
  START_SUM(0, 0, 0);
  START_SUM(2, 0, TILE_ROWS);
  if (count > 1) {
    START_SUM(1, 1, 0);
    START_SUM(3, 1, TILE_ROWS);
  }
  const uint32_t *rows = p->rows;
  for (ptrdiff_t k = 0; k < (p->k + TILE_K - 1) / TILE_K; k++, rows += p->row_count * TILE_WORDS) {
    _tile_loadd(4, rows, TILE_BYTES);
    _tile_loadd(5, rows + TILE_ROWS * TILE_WORDS, TILE_BYTES);
    LOAD_WEIGHTS(6, 0);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(2, 5, 6);
    if (count > 1) {
      LOAD_WEIGHTS(7, 1);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  STORE_SUM(0, 0, 0);
  STORE_SUM(2, 0, TILE_ROWS);
  if (count > 1) {
    STORE_SUM(1, 1, 0);
    STORE_SUM(3, 1, TILE_ROWS);
  }
}

FOR_AMX void product_bf16_amx(const product *p) {
  const bool two_tiles = p->row_count > TILE_ROWS;
  const ptrdiff_t vectors = p->panel_width / LANE_COUNT, groups = p->panel_count * vectors;
  set_sizes(p->row_count);
  ptrdiff_t group = 0;
  while (group < groups) {
    tile_block block = {.count = 0};
    for (; block.count < (two_tiles ? 2 : 4) && group < groups; group++, block.count++) {
      const ptrdiff_t panel = group / vectors, unit = group % vectors * LANE_COUNT;
      block.weights[block.count] = (const uint32_t *)p->panels + panel * p->panel_stride + unit;
      block.c[block.count] = (float *)p->c + panel * p->c_panel_stride + unit;
    }
    switch (two_tiles ? 4 + block.count : block.count) {
      case 1: multiply_one_tile(1, p, &block); break;
      case 2: multiply_one_tile(2, p, &block); break;
      case 3: multiply_one_tile(3, p, &block); break;
      case 4: multiply_one_tile(4, p, &block); break;
      case 5: multiply_two_tiles(1, p, &block); break;
      default: multiply_two_tiles(2, p, &block); break;
    }
  }
  // A thread whose tiles hold nothing is switched faster.
  _tile_release();
}

// A row tile is [k / 32][rows][16] words.
FOR_AMX void round_rows_bf16_amx(const rounded_rows *s, void *tile) {
  const ptrdiff_t rows = s->row_count, words = (s->k + 1) / 2;
  for (ptrdiff_t r = 0; r < rows; r++) {
    uint32_t *row = (uint32_t *)tile + r * TILE_WORDS;
    const float *source = s->source + r * s->row_stride;
    for (ptrdiff_t done = 0; done < s->k; done += s->piece, source += s->piece_stride) {
      const ptrdiff_t count = s->k - done < s->piece ? s->k - done : s->piece;
      for (ptrdiff_t d = 0; d < count; d += LANE_COUNT) {
        const ptrdiff_t k = done + d;
        pair_neighbors(row + k / TILE_K * (rows * TILE_WORDS) + k % TILE_K / 2, source + d,
                       count - d < LANE_COUNT ? count - d : LANE_COUNT);
      }
    }
    const ptrdiff_t last = words % TILE_WORDS;
    if (last) memset(row + words / TILE_WORDS * (rows * TILE_WORDS) + last, 0, (size_t)(TILE_WORDS - last) * 4);
  }
}

// The words of 32 values of k are those of [16][columns], transposed.
FOR_AMX void round_columns_bf16_amx(const rounded_columns *s, void *tile) {
  float words[TILE_WORDS * 2 * TILE_ROWS];
  const ptrdiff_t columns = s->count;
  for (ptrdiff_t d = 0; d < s->k; d += TILE_K) {
    const ptrdiff_t depth = s->k - d < TILE_K ? s->k - d : TILE_K;
    for (ptrdiff_t i = 0; i < TILE_WORDS; i++) {
      const float *even = s->source + (d + 2 * i) * s->stride;
      uint32_t *target = (uint32_t *)(words + i * columns);
      if (2 * i < depth)
        pair_rows(target, even, 2 * i + 1 < depth ? even + s->stride : NULL, columns);
      else
        memset(target, 0, (size_t)columns * 4);
    }
    pack_f32_avx512((uint32_t *)tile + d / 2 * columns, TILE_WORDS, words, TILE_WORDS, columns, columns, columns, 1);
  }
}

FOR_AMX void round_panel_bf16_amx(void *panel, ptrdiff_t width, const float *source, ptrdiff_t k) {
  round_to_panel(panel, width, source, k, (k + TILE_K - 1) / TILE_K * TILE_WORDS);
}
#endif
