#include "entry.h"
#include "lanes.h"
#include "products.h"

// One stage of a transpose of 16 vectors: exchanges the blocks of S x S beside the diagonal.
#define PICK(S, l) ((l) & (S) ? 16 + (l) - (S) : (l))
#define PICK_OTHER(S, l) ((l) & (S) ? 16 + (l) : (l) + (S))
#define EACH_LANE(F, S)                                                                                         \
  F(S, 0), F(S, 1), F(S, 2), F(S, 3), F(S, 4), F(S, 5), F(S, 6), F(S, 7), F(S, 8), F(S, 9), F(S, 10), F(S, 11), \
      F(S, 12), F(S, 13), F(S, 14), F(S, 15)
#define EXCHANGE(S)                                                               \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i++) if (!(i & S)) { \
    const lanes16 a = v[i], b = v[i + S];                                         \
    v[i] = __builtin_shufflevector(a, b, EACH_LANE(PICK, S));                     \
    v[i + S] = __builtin_shufflevector(a, b, EACH_LANE(PICK_OTHER, S));           \
  }

LANES ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

// 16 x 16 of `source`, rows `stride` apart, of which `items` exist, transposed. Blocks of 4 x 4 change places while
// they are loaded, which takes no shuffle; 32 instead of 64 shuffles are left.
LANES void load_transposed(lanes16 v[16], const float *source, ptrdiff_t stride, ptrdiff_t items) {
#pragma clang loop unroll(full)
  for (int column = 0; column < 16; column += 4)
#pragma clang loop unroll(full)
    for (int r = 0; r < 4; r++) {
      lanes4 part[4];
#pragma clang loop unroll(full)
      for (int group = 0; group < 4; group++) {
        const int row = 4 * group + r;
        part[group] = row < items ? *(const lanes4 *)(source + row * stride + column) : (lanes4)0;
      }
      const lanes8 low = __builtin_shufflevector(part[0], part[1], 0, 1, 2, 3, 4, 5, 6, 7);
      const lanes8 high = __builtin_shufflevector(part[2], part[3], 0, 1, 2, 3, 4, 5, 6, 7);
      v[column + r] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
  EXCHANGE(2) EXCHANGE(1)
}

// The first `rows` of 16 vectors, `stored` floats of each. The counts of whole tiles are constants, so that no call of
// memcpy is left.
LANES void store_rows(float *target, ptrdiff_t width, const lanes16 v[16], ptrdiff_t stored, ptrdiff_t rows) {
#define STORE(N)                                                                                \
  case N:                                                                                       \
    for (ptrdiff_t i = 0; i < rows; i++) memcpy(target + i * width, &v[i], N * sizeof *target); \
    return;
  switch (stored) {
    STORE(4)
    STORE(6)
    STORE(8)
    STORE(12)
    STORE(16)
    default: break;
  }
  for (ptrdiff_t i = 0; i < rows; i++) memcpy(target + i * width, &v[i], (size_t)stored * sizeof *target);
#undef STORE
}

// Rows of `source`, of which `readable` floats may be read, become columns of `packed`, 16 x 16 at a time in registers.
LANES void pack_transposing(float *packed, ptrdiff_t width, const float *source, ptrdiff_t count, ptrdiff_t item_stride,
                            ptrdiff_t depth, ptrdiff_t readable) {
  for (ptrdiff_t first = 0; first < width; first += 16) {
    const ptrdiff_t items = least(count - first, 16), stored = least(width - first, 16);
    const float *rows = source + first * item_stride;
    ptrdiff_t d = 0;
    for (; d < depth && d + 16 <= readable; d += 16) {
      lanes16 v[16];
      if (items == 16)
        load_transposed(v, rows + d, item_stride, 16);
      else if (items == 12)
        load_transposed(v, rows + d, item_stride, 12);
      else
        load_transposed(v, rows + d, item_stride, items);
      float *target = packed + d * width + first;
      // A store of 16 lanes runs into the next 16 floats, which the following stores write: never past the end.
      if (d + 32 <= depth) {
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) *(lanes16 *)(target + i * width) = v[i];
      } else {
        store_rows(target, width, v, stored, least(depth - d, 16));
      }
    }
    for (; d < depth; d++)
      for (ptrdiff_t i = 0; i < stored; i++) packed[d * width + first + i] = i < items ? rows[i * item_stride + d] : 0;
  }
}

LANES void pack_copying(float *packed, ptrdiff_t width, const float *source, ptrdiff_t count, ptrdiff_t depth,
                        ptrdiff_t depth_stride) {
#define COPY(N)                                                                                     \
  if (width == N && count == N) {                                                                   \
    for (ptrdiff_t d = 0; d < depth; d++) memcpy(packed + d * N, source + d * depth_stride, 4 * N); \
    return;                                                                                         \
  }
  COPY(32)
  COPY(16)
  COPY(12)
#undef COPY
  // Few floats a row: a call of memcpy would take longer than its loop.
  for (ptrdiff_t d = 0; d < depth; d++)
#pragma clang loop vectorize(disable)
    for (ptrdiff_t i = 0; i < width; i++) packed[d * width + i] = i < count ? source[d * depth_stride + i] : 0;
}

LANES void pack_body(const product_kernels *kernels, float *packed, ptrdiff_t width, const float *source,
                     ptrdiff_t count, ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable,
                     ptrdiff_t depth_stride) {
  if (item_stride == 1)
    pack_copying(packed, width, source, count, depth, depth_stride);
  else
    pack_transposing(packed, width, source, count, item_stride, depth, readable);
}

LANES void unpack_adding_body(const product_kernels *kernels, float *target, ptrdiff_t item_stride, const float *packed,
                              ptrdiff_t width, ptrdiff_t count, ptrdiff_t depth) {
  for (ptrdiff_t first = 0; first < count; first += 16) {
    const ptrdiff_t items = least(count - first, 16);
    ptrdiff_t d = 0;
    for (; d + 16 <= depth; d += 16) {
      lanes16 v[16];
      load_transposed(v, packed + d * width + first, width, 16);
#pragma clang loop unroll(full)
      for (int i = 0; i < 16; i++)
        if (i < items) *(lanes16 *)(target + (first + i) * item_stride + d) += v[i];
    }
    for (; d < depth; d++)
      for (ptrdiff_t i = 0; i < items; i++) target[(first + i) * item_stride + d] += packed[d * width + first + i];
  }
}

LANES void add_rows_in_vectors(const int vectors, float *sums, const float *panel, ptrdiff_t rows) {
  lanes16 sum[2];
  for (int v = 0; v < vectors; v++) sum[v] = *(lanes16 *)(sums + 16 * v);
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sum[v] += *(const lanes16 *)(panel + (r * vectors + v) * 16);
  for (int v = 0; v < vectors; v++) *(lanes16 *)(sums + 16 * v) = sum[v];
}
LANES void add_rows_body(const product_kernels *kernels, float *sums, const float *panel, ptrdiff_t rows) {
  if (kernels->panel_width == 32)
    add_rows_in_vectors(2, sums, panel, rows);
  else
    add_rows_in_vectors(1, sums, panel, rows);
}

LANES void fill_rows_body(const product_kernels *kernels, float *panels, ptrdiff_t stride, ptrdiff_t count,
                          const float *values, ptrdiff_t rows) {
  const int vectors = (int)kernels->panel_width / 16;
  for (ptrdiff_t q = 0; q < count; q++)
    for (int v = 0; v < vectors; v++) {
      const lanes16 row = *(const lanes16 *)(values + (q * vectors + v) * 16);
      for (ptrdiff_t r = 0; r < rows; r++) *(lanes16 *)(panels + q * stride + (r * vectors + v) * 16) = row;
    }
}

// The entry points.
ENTRY(pack, kernels->set,
      (const product_kernels *kernels, float *packed, ptrdiff_t width, const float *source, ptrdiff_t count,
       ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride),
      (kernels, packed, width, source, count, item_stride, depth, readable, depth_stride))
ENTRY(unpack_adding, kernels->set,
      (const product_kernels *kernels, float *target, ptrdiff_t item_stride, const float *packed, ptrdiff_t width,
       ptrdiff_t count, ptrdiff_t depth),
      (kernels, target, item_stride, packed, width, count, depth))
ENTRY(add_rows, kernels->set, (const product_kernels *kernels, float *sums, const float *panel, ptrdiff_t rows),
      (kernels, sums, panel, rows))
ENTRY(fill_rows, kernels->set,
      (const product_kernels *kernels, float *panels, ptrdiff_t stride, ptrdiff_t count, const float *values,
       ptrdiff_t rows),
      (kernels, panels, stride, count, values, rows))
