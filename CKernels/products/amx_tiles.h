// The loops of the products on AMX, whose instructions multiply up to 16 rows by 16 units. There are eight tile
// registers: four hold sums, and the others hold rows and weights. Each file defines KERNEL, includes int8_vectors.h or
// bf16_neighbors.h, defines these macros, and then includes this file:
//
//   AMX_K                           the values of k in a tile
//   ROW_HEAD, UNIT_HEAD             the number of words of a row, or of a unit, before those with numbers
//   MULTIPLY(sums, rows, weights)   the instruction, with the numbers of three tiles
//   START(sums, b, column, row)     loads what the sums of 16 units start from, for up to 16 rows from `row` on
//   STORE(sums, b, column, row)     adds those sums to c, or writes them there
#pragma once
#include <immintrin.h>

#include "forms.h"

enum { AMX_ROWS = 16, AMX_WORDS = 16, AMX_BYTES = 64 };

// The sizes of the eight tiles, in the form that LDTILECFG reads.
typedef struct tile_sizes {
  uint8_t palette, first_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_sizes;

// Sums in the tiles 0 to 3, rows in 4 and 5, weights in 6 and 7. The sums 0 and 1 belong to the rows in tile 4, and 2
// and 3 to those in tile 5 if there are any, else to those in tile 4.
KERNEL void configure_tiles(ptrdiff_t rows) {
  const uint8_t first = (uint8_t)(rows < AMX_ROWS ? rows : AMX_ROWS);
  const uint8_t second = (uint8_t)(rows > AMX_ROWS ? rows - AMX_ROWS : first);
  tile_sizes sizes = {.palette = 1, .rows = {first, first, second, second, first, second, AMX_ROWS, AMX_ROWS}};
  for (int tile = 0; tile < 8; tile++) sizes.row_bytes[tile] = AMX_BYTES;
  _tile_loadconfig(&sizes);
}

// Up to four columns of 16 units for one tile of rows, or up to two columns for two tiles.
typedef struct sum_columns {
  int count;
  const uint32_t *weights[4];  // the words with the numbers of a column
  const float *heads[4];       // what comes before them
  float *c[4];
} sum_columns;

#define LOAD_WEIGHTS(tile, column) \
  _tile_loadd(tile, b->weights[column] + k * (AMX_WORDS * p->panel_width), 4 * p->panel_width)

// Up to 16 rows.
KERNEL void multiply_one_tile(const int count, const product *p, const sum_columns *b) {
  START(0, b, 0, 0);
  if (count > 1) START(1, b, 1, 0);
  if (count > 2) START(2, b, 2, 0);
  if (count > 3) START(3, b, 3, 0);
  const uint32_t *rows = (const uint32_t *)p->rows + ROW_HEAD * p->row_count;
  for (ptrdiff_t k = 0; k < (p->k + AMX_K - 1) / AMX_K; k++, rows += p->row_count * AMX_WORDS) {
    _tile_loadd(4, rows, AMX_BYTES);
    LOAD_WEIGHTS(6, 0);
    MULTIPLY(0, 4, 6);
    if (count > 1) {
      LOAD_WEIGHTS(7, 1);
      MULTIPLY(1, 4, 7);
    }
    if (count > 2) {
      LOAD_WEIGHTS(6, 2);
      MULTIPLY(2, 4, 6);
    }
    if (count > 3) {
      LOAD_WEIGHTS(7, 3);
      MULTIPLY(3, 4, 7);
    }
  }
  STORE(0, b, 0, 0);
  if (count > 1) STORE(1, b, 1, 0);
  if (count > 2) STORE(2, b, 2, 0);
  if (count > 3) STORE(3, b, 3, 0);
}

// 17 to 32 rows: each tile of weights that is loaded is multiplied twice.
KERNEL void multiply_two_tiles(const int count, const product *p, const sum_columns *b) {
  START(0, b, 0, 0);
  START(2, b, 0, AMX_ROWS);
  if (count > 1) {
    START(1, b, 1, 0);
    START(3, b, 1, AMX_ROWS);
  }
  const uint32_t *rows = (const uint32_t *)p->rows + ROW_HEAD * p->row_count;
  for (ptrdiff_t k = 0; k < (p->k + AMX_K - 1) / AMX_K; k++, rows += p->row_count * AMX_WORDS) {
    _tile_loadd(4, rows, AMX_BYTES);
    _tile_loadd(5, rows + AMX_ROWS * AMX_WORDS, AMX_BYTES);
    LOAD_WEIGHTS(6, 0);
    MULTIPLY(0, 4, 6);
    MULTIPLY(2, 5, 6);
    if (count > 1) {
      LOAD_WEIGHTS(7, 1);
      MULTIPLY(1, 4, 7);
      MULTIPLY(3, 5, 7);
    }
  }
  STORE(0, b, 0, 0);
  STORE(2, b, 0, AMX_ROWS);
  if (count > 1) {
    STORE(1, b, 1, 0);
    STORE(3, b, 1, AMX_ROWS);
  }
}

// A row tile of up to 32 rows times all panels.
KERNEL void multiply_tiles(const product *p) {
  const bool two_tiles = p->row_count > AMX_ROWS;
  const ptrdiff_t vectors = p->panel_width / LANE_COUNT, columns = p->panel_count * vectors;
  configure_tiles(p->row_count);
  ptrdiff_t column = 0;
  while (column < columns) {
    sum_columns block = {.count = 0};
    for (; block.count < (two_tiles ? 2 : 4) && column < columns; column++, block.count++) {
      const ptrdiff_t panel = column / vectors, unit = column % vectors * LANE_COUNT;
      const uint32_t *start = (const uint32_t *)p->panels + panel * p->panel_stride + unit;
      block.heads[block.count] = (const float *)start;
      block.weights[block.count] = start + UNIT_HEAD * p->panel_width;
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
