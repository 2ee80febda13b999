// Turns a product's numbers of rows and panels into constants, so that every sum is a register.
#pragma once
#include "products.h"

// How many of the remaining panels run at once: one, or up to four whose sums take at most `most_sums` vectors. With
// more, weights would be spilled (floats, 2 rows, 3 panels: 48 instead of 73 GF/s on AVX2; 3 rows, 4 panels: 135
// instead of 163 on AVX-512).
static inline __attribute__((always_inline)) ptrdiff_t panels_at_once(ptrdiff_t remaining, int rows, int vectors,
                                                                      int most_sums) {
  ptrdiff_t panels = remaining < 4 ? remaining : 4;
  while (panels > 1 && panels * rows * vectors > most_sums) panels--;
  return panels;
}

// Runs RUN(R, Q) with the constants R = rows and Q = panels. The compiler removes the cases that cannot occur: more
// rows than `most_rows`, and more panels than `panels_at_once` returns.
_Static_assert(PRODUCT_MOST_TILE_ROWS == 14, "WITH_CONSTANTS needs a case for every number of rows");
#define WITH_CONSTANTS(rows, panels, vectors, most_rows, most_sums, RUN) \
  switch (4 * (rows) + (int)(panels) - 1) {                              \
    ROWS_CASES(1, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(2, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(3, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(4, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(5, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(6, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(7, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(8, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(9, vectors, most_rows, most_sums, RUN)                    \
    ROWS_CASES(10, vectors, most_rows, most_sums, RUN)                   \
    ROWS_CASES(11, vectors, most_rows, most_sums, RUN)                   \
    ROWS_CASES(12, vectors, most_rows, most_sums, RUN)                   \
    ROWS_CASES(13, vectors, most_rows, most_sums, RUN)                   \
    ROWS_CASES(14, vectors, most_rows, most_sums, RUN)                   \
  }
#define ROWS_CASES(R, ...) \
  ROWS_CASE(R, 1, __VA_ARGS__) ROWS_CASE(R, 2, __VA_ARGS__) ROWS_CASE(R, 3, __VA_ARGS__) ROWS_CASE(R, 4, __VA_ARGS__)
#define ROWS_CASE(R, Q, vectors, most_rows, most_sums, RUN)                 \
  case 4 * R + Q - 1:                                                       \
    if (R <= (most_rows) && (Q == 1 || R * Q * (vectors) <= (most_sums))) { \
      RUN(R, Q);                                                            \
    }                                                                       \
    break;
