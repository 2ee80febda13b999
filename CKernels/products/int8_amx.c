// 8-bit weights on AMX, whose TDPBUSD multiplies unsigned by signed bytes, as VPDPBUSD does.
#if defined(__x86_64__)
#include <immintrin.h>

#include "int8_vectors.h"

#define ATTRIBUTES FOR_AMX
#define KERNEL FOR_AMX static inline __attribute__((always_inline))
#define NAMED(kernel) kernel##_amx
#define GROUP 4
#define FOR_AMX_TILES 1
#define HAS_MASKS 1
#include "int8_rounding.h"

// c += float(Σ) · (row scale · unit scale), for up to 16 rows from `row` on. `head` is what comes before the units'
// numbers: what their sums start from, then their scales.
FOR_AMX static void add_scaled(const product *p, const integers *exact, const float *head, float *c, ptrdiff_t row) {
  const float *row_scales = p->rows;
  const integers start = *(const integers *)head;
  const floats unit_scales = *(const floats *)(head + p->panel_width);
  for (ptrdiff_t r = row; r < p->row_count && r < row + LANE_COUNT; r++) {
    floats *target = (floats *)(c + r * p->c_row_stride);
    const floats scale = row_scales[r] * unit_scales;
    *target += __builtin_convertvector(exact[r - row] + start, floats) * scale;
  }
}

enum { AMX_K = 64 };
#define ROW_HEAD 1
#define UNIT_HEAD INT8_UNIT_HEAD
#define MULTIPLY(sums, rows, weights) _tile_dpbusd(sums, rows, weights)
#define START(sums, b, column, row) _tile_zero(sums)
#define STORE(sums, b, column, row)                            \
  do {                                                         \
    integers exact[AMX_ROWS];                                  \
    _tile_stored(sums, exact, AMX_BYTES);                      \
    add_scaled(p, exact, b->heads[column], b->c[column], row); \
  } while (0)
#include "amx_tiles.h"

// A single row is packed in the same way for AMX and for VNNI. VNNI multiplies it with fewer loads.
FOR_AMX void product_i8_amx(const product *p) {
  if (p->row_count == 1)
    product_i8_avx512_vnni(p);
  else
    multiply_tiles(p);
}
#endif
