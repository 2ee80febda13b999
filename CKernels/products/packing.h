#pragma once
#include "kernels.h"

// A quarter of a vector and half of one.
typedef SCALAR quarter __attribute__((ext_vector_type(LANE_COUNT / 4), aligned(sizeof(SCALAR))));
typedef SCALAR half __attribute__((ext_vector_type(LANE_COUNT / 2), aligned(sizeof(SCALAR))));

#define LANE(S, l) l
#define LANES_0_TO_1(F, S) F(S, 0), F(S, 1)
#define LANES_0_TO_3(F, S) LANES_0_TO_1(F, S), F(S, 2), F(S, 3)
#define LANES_0_TO_7(F, S) LANES_0_TO_3(F, S), F(S, 4), F(S, 5), F(S, 6), F(S, 7)
#define LANES_0_TO_15(F, S) \
  LANES_0_TO_7(F, S), F(S, 8), F(S, 9), F(S, 10), F(S, 11), F(S, 12), F(S, 13), F(S, 14), F(S, 15)
#define HALF_OF_LANES OF_SCALAR(LANES_0_TO_7, LANES_0_TO_3)
#define ALL_LANES OF_SCALAR(LANES_0_TO_15, LANES_0_TO_7)

// One round of a transpose of N vectors with N lanes: it exchanges the squares of S x S scalars beside the diagonal.
#define PICK(S, l) ((l) & (S) ? N + (l) - (S) : (l))
#define PICK_OTHER(S, l) ((l) & (S) ? N + (l) : (l) + (S))
#define EXCHANGE(S, type, LANES_OF)                                              \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < N; i++) if (!(i & S)) { \
    const type a = v[i], b = v[i + S];                                           \
    v[i] = __builtin_shufflevector(a, b, LANES_OF(PICK, S));                     \
    v[i + S] = __builtin_shufflevector(a, b, LANES_OF(PICK_OTHER, S));           \
  }

KERNEL ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

// Loads a square of `source` transposed: LANE_COUNT rows and columns. The rows lie `stride` apart, and `items` of them
// exist. Squares of a quarter by a quarter change places while they are loaded, which takes no shuffles. For floats,
// this leaves 32 of 64 shuffles.
KERNEL void load_transposed(vector v[LANE_COUNT], const SCALAR *source, ptrdiff_t stride, ptrdiff_t items) {
  enum { N = LANE_COUNT };
#pragma clang loop unroll(full)
  for (int column = 0; column < N; column += N / 4)
#pragma clang loop unroll(full)
    for (int r = 0; r < N / 4; r++) {
      quarter part[4];
#pragma clang loop unroll(full)
      for (int group = 0; group < 4; group++) {
        const int row = N / 4 * group + r;
        part[group] = row < items ? *(const quarter *)(source + row * stride + column) : (quarter)0;
      }
      const half low = __builtin_shufflevector(part[0], part[1], HALF_OF_LANES(LANE, ));
      const half high = __builtin_shufflevector(part[2], part[3], HALF_OF_LANES(LANE, ));
      v[column + r] = __builtin_shufflevector(low, high, ALL_LANES(LANE, ));
    }
#if LANE_COUNT == 16
  EXCHANGE(2, vector, ALL_LANES)
#endif
  EXCHANGE(1, vector, ALL_LANES)
}

// The same for a square of half as many rows and columns.
KERNEL void load_half_transposed(half v[LANE_COUNT / 2], const SCALAR *source, ptrdiff_t stride, ptrdiff_t items) {
  enum { N = LANE_COUNT / 2 };
#pragma clang loop unroll(full)
  for (int column = 0; column < N; column += N / 2)
#pragma clang loop unroll(full)
    for (int r = 0; r < N / 2; r++) {
      const SCALAR *start = source + r * stride + column;
      const quarter low = r < items ? *(const quarter *)start : (quarter)0;
      const quarter high = r + N / 2 < items ? *(const quarter *)(start + N / 2 * stride) : (quarter)0;
      v[column + r] = __builtin_shufflevector(low, high, HALF_OF_LANES(LANE, ));
    }
#if LANE_COUNT == 16
  EXCHANGE(2, half, HALF_OF_LANES)
#endif
  EXCHANGE(1, half, HALF_OF_LANES)
}

// Stores the first `rows` of some vectors with `lanes` lanes, `stored` scalars of each. The counts of full tiles are
// constants, so that the compiler makes no call of memcpy.
KERNEL void store_rows(SCALAR *target, ptrdiff_t width, const SCALAR *vectors, const int lanes, ptrdiff_t stored,
                       ptrdiff_t rows) {
#define STORE(N)                                                                                              \
  case N:                                                                                                     \
    for (ptrdiff_t i = 0; i < rows; i++) memcpy(target + i * width, vectors + i * lanes, N * sizeof *target); \
    return;
  switch (stored) {
    STORE(4)
    STORE(6)
    STORE(8)
#if LANE_COUNT == 16
    STORE(12)
    STORE(16)
#endif
    default: break;
  }
  for (ptrdiff_t i = 0; i < rows; i++) memcpy(target + i * width, vectors + i * lanes, (size_t)stored * sizeof *target);
#undef STORE
}

// Transposes a square of `items` rows and `lanes` values of k into `packed`, in registers. Of the last square of a row,
// only the first `count` values of k exist. For each of them, `stored` scalars belong to the square; if `whole`, all
// lanes are stored.
KERNEL void pack_square(const int lanes, SCALAR *packed, ptrdiff_t width, const SCALAR *rows, ptrdiff_t items,
                        ptrdiff_t item_stride, bool whole, ptrdiff_t stored, ptrdiff_t count) {
#define PACK(type, load)                                                                                      \
  type v[sizeof(type) / sizeof(SCALAR)];                                                                      \
  load(v, rows, item_stride, items);                                                                          \
  if (whole)                                                                                                  \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < lanes; i++) * (type *)(packed + i * width) = v[i]; \
  else                                                                                                        \
    store_rows(packed, width, (const SCALAR *)v, lanes, stored, count);
  if (lanes == LANE_COUNT) {
    PACK(vector, load_transposed)
  } else {
    PACK(half, load_half_transposed)
  }
#undef PACK
}

// Packs the rows of `source` as columns of `packed`, one square at a time. `readable` scalars of each row may be read.
KERNEL void pack_squares(const int lanes, SCALAR *packed, ptrdiff_t width, const SCALAR *source, ptrdiff_t count,
                         ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable) {
  // The last rows come first. If they are not a whole square, their stores write past them, and later stores overwrite
  // that.
  for (ptrdiff_t first = (width - 1) / lanes * lanes; first >= 0; first -= lanes) {
    const ptrdiff_t items = least(count - first, lanes), stored = least(width - first, lanes);
    const SCALAR *rows = source + first * item_stride;
    ptrdiff_t d = 0;
    for (; d < depth && d + lanes <= readable; d += lanes) {
      SCALAR *target = packed + d * width + first;
      // A store of all lanes also writes the next scalars, which the following stores overwrite. It never writes past
      // the end.
      const bool whole = d + 2 * lanes <= depth;
      const ptrdiff_t rest = least(depth - d, lanes);
#define SQUARE(N) pack_square(lanes, target, width, rows + d, N, item_stride, whole, stored, rest)
      // These counts are constants: a whole square, and the rows that a full tile has beyond its whole squares. Tiles
      // of 6 and 12 floats leave 6 and 12, and tiles of 6 and 14 doubles leave 2 and 6.
      if (items == lanes)
        SQUARE(lanes);
      else if (items == OF_SCALAR(12, 2))
        SQUARE(OF_SCALAR(12, 2));
      else if (items == 6)
        SQUARE(6);
      else
        SQUARE(items);
#undef SQUARE
    }
    for (; d < depth; d++)
      for (ptrdiff_t i = 0; i < stored; i++) packed[d * width + first + i] = i < items ? rows[i * item_stride + d] : 0;
  }
}

KERNEL void pack_copying(SCALAR *packed, ptrdiff_t width, const SCALAR *source, ptrdiff_t count, ptrdiff_t depth,
                         ptrdiff_t depth_stride) {
#define COPY(N)                                                                                                      \
  if (width == (N) && count == (N)) {                                                                                \
    for (ptrdiff_t d = 0; d < depth; d++) memcpy(packed + d * (N), source + d * depth_stride, (N) * sizeof *packed); \
    return;                                                                                                          \
  }
  COPY(2 * LANE_COUNT)
  COPY(LANE_COUNT)
  COPY(MOST_ROWS)
  COPY(6)  // AVX2's tiles
#undef COPY
  // With few scalars in a row, a call of memcpy would take longer than this loop.
  for (ptrdiff_t d = 0; d < depth; d++)
#pragma clang loop vectorize(disable)
    for (ptrdiff_t i = 0; i < width; i++) packed[d * width + i] = i < count ? source[d * depth_stride + i] : 0;
}

KERNEL void pack_either(const int lanes, SCALAR *packed, ptrdiff_t width, const SCALAR *source, ptrdiff_t count,
                        ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride) {
  if (item_stride == 1)
    pack_copying(packed, width, source, count, depth, depth_stride);
  else if (lanes == LANE_COUNT && width > LANE_COUNT / 2)
    pack_squares(LANE_COUNT, packed, width, source, count, item_stride, depth, readable);
  else
    pack_squares(LANE_COUNT / 2, packed, width, source, count, item_stride, depth, readable);
}

// Adds columns of `packed` to the rows of `target`, one square at a time.
KERNEL void unpack_squares(const int lanes, SCALAR *target, ptrdiff_t item_stride, const SCALAR *packed,
                           ptrdiff_t width, ptrdiff_t count, ptrdiff_t depth) {
#define UNPACK(type, load)                                                            \
  type v[sizeof(type) / sizeof(SCALAR)];                                              \
  load(v, packed + d * width + first, width, lanes);                                  \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < lanes; i++) if (i < items) * \
      (type *)(target + (first + i) * item_stride + d) += v[i];
  for (ptrdiff_t first = 0; first < count; first += lanes) {
    const ptrdiff_t items = least(count - first, lanes);
    ptrdiff_t d = 0;
    for (; d + lanes <= depth; d += lanes)
      if (lanes == LANE_COUNT) {
        UNPACK(vector, load_transposed)
      } else {
        UNPACK(half, load_half_transposed)
      }
    for (; d < depth; d++)
      for (ptrdiff_t i = 0; i < items; i++) target[(first + i) * item_stride + d] += packed[d * width + first + i];
  }
#undef UNPACK
}

KERNEL void add_vectors(const int vectors, SCALAR *sums, const SCALAR *panel, ptrdiff_t rows) {
  vector sum[2];
  for (int v = 0; v < vectors; v++) sum[v] = *(vector *)(sums + LANE_COUNT * v);
  for (ptrdiff_t r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sum[v] += *(const vector *)(panel + (r * vectors + v) * LANE_COUNT);
  for (int v = 0; v < vectors; v++) *(vector *)(sums + LANE_COUNT * v) = sum[v];
}

KERNEL void fill_vectors(const int vectors, SCALAR *panels, ptrdiff_t stride, ptrdiff_t count, const SCALAR *values,
                         ptrdiff_t rows) {
  for (ptrdiff_t q = 0; q < count; q++)
    for (int v = 0; v < vectors; v++) {
      const vector row = *(const vector *)(values + (q * vectors + v) * LANE_COUNT);
      for (ptrdiff_t r = 0; r < rows; r++) *(vector *)(panels + q * stride + (r * vectors + v) * LANE_COUNT) = row;
    }
}

// The number of rows and columns of the largest square that the registers of a set hold.
#define SQUARE_LANES(set) (instruction_set_##set == instruction_set_avx512 ? LANE_COUNT : LANE_COUNT / 2)
#define DEFINE_PACKING(set, architecture, attributes, ...)                                                        \
  architecture(                                                                                                   \
      attributes void NAMED(pack, set)(void *packed, ptrdiff_t width, const void *source, ptrdiff_t count,        \
                                       ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable,                \
                                       ptrdiff_t depth_stride) {                                                  \
        pack_either(SQUARE_LANES(set), packed, width, source, count, item_stride, depth, readable, depth_stride); \
      } attributes void NAMED(unpack_adding, set)(void *target, ptrdiff_t item_stride, const void *packed,        \
                                                  ptrdiff_t width, ptrdiff_t count, ptrdiff_t depth) {            \
        unpack_squares(SQUARE_LANES(set), target, item_stride, packed, width, count, depth);                      \
      })
INSTRUCTION_SETS(DEFINE_PACKING)
#undef DEFINE_PACKING

#define DEFINE_ROWS(set, width, architecture, attributes, fused, own_is_faster, vectors, ...)         \
  architecture(                                                                                       \
      attributes void NAMED(add_rows, set##width)(void *sums, const void *panel, ptrdiff_t rows) {    \
        add_vectors(vectors, sums, panel, rows);                                                      \
      } attributes void NAMED(fill_rows, set##width)(void *panels, ptrdiff_t stride, ptrdiff_t count, \
                                                     const void *values, ptrdiff_t rows) {            \
        fill_vectors(vectors, panels, stride, count, values, rows);                                   \
      })
PRODUCT_FORMS(DEFINE_ROWS)
#undef DEFINE_ROWS
