// Products of row tiles and weight panels, of floats or doubles.
//
// A panel holds P units of a matrix, P = panel_width: panel[k][u], u < P contiguous, zero beyond the last unit. A row
// tile holds up to R = tile_rows rows: packed, tile[k][r], r < its own number of rows, or plain, the rows of a matrix
// as they are. A product adds for each element one chain of multiply-adds in ascending k from zero, cut every
// PRODUCT_K_BLOCK, and adds the chains to c in ascending order; all kernels of an instruction set give the same bits.
// AVX2 and AVX-512 kernels fuse each multiply-add, portable ones round the product first.
//
// A pointer to void is to the scalars of the kernels; counts and strides are in scalars. Panels and row tiles need
// PRODUCT_SLACK readable scalars behind them: BLIS's micro-kernels load one step of k ahead. Panels start at a multiple
// of 64 bytes.
#pragma once
#include "processor.h"

#pragma clang assume_nonnull begin

enum { PRODUCT_SLACK = 64, PRODUCT_K_BLOCK = 512, PRODUCT_MOST_TILE_ROWS = 14 };

typedef enum __attribute__((enum_extensibility(closed))) scalar_type {
  scalar_type_f32,
  scalar_type_f64,
} scalar_type;

static inline ptrdiff_t scalar_size(scalar_type scalar) { return scalar == scalar_type_f64 ? 8 : 4; }

// For each panel q < panel_count, row r < row_count and unit u < P:
//   c[q][r][u] = (add ? c[q][r][u] : 0) + Σ_k rows[k][r] · panels[q][k][u]
typedef struct product {
  const void *rows;  // one row tile: [k][row_count], or plain [row_count][k]
  ptrdiff_t row_count;
  ptrdiff_t row_stride;  // 1 for a packed tile, of plain rows any other; a single row may be either
  const void *panels;    // [panel_count] at panel_stride, each [k][P]
  ptrdiff_t panel_count;
  ptrdiff_t panel_stride;
  ptrdiff_t k;
  void *c;  // [panel_count] at c_panel_stride, [row_count] at c_row_stride, each P
  ptrdiff_t c_panel_stride;
  ptrdiff_t c_row_stride;
  bool add;
  // Weights of the next product, panels at panel_stride too, that a full tile fetches from far caches meanwhile:
  // `next_count` scalars of each. Null where weights stay near.
  const void *_Nullable next;
  ptrdiff_t next_count;
} product;

// The kernels of one instruction set, scalar and panel width, and how they were chosen.
typedef struct product_kernels {
  instruction_set set;
  scalar_type scalar;
  ptrdiff_t tile_rows;    // R: 12 floats or 14 doubles on AVX-512, 6 on AVX2, 4 portable
  ptrdiff_t panel_width;  // P: 32 floats or 16 doubles on AVX-512, where half of it for narrow layers; half elsewhere
  const char *_Nullable blis_version;
  const char *_Nullable sub_configuration;  // null: our own kernels instead of BLIS's
  const char *reason;
  char reason_text[96];
  struct {
    void *_Nullable function;
    void *_Nullable context;
    bool units_on_m;
  } micro_kernel;
  // Our own kernels; what they do stands at the functions below.
  struct {
    void (*packed_product)(const product *product);
    void (*plain_product)(const product *product);
    void (*pack)(void *packed, ptrdiff_t width, const void *source, ptrdiff_t count, ptrdiff_t item_stride,
                 ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride);
    void (*unpack_adding)(void *target, ptrdiff_t item_stride, const void *packed, ptrdiff_t width, ptrdiff_t count,
                          ptrdiff_t depth);
    void (*add_rows)(void *sums, const void *panel, ptrdiff_t rows);
    void (*fill_rows)(void *panels, ptrdiff_t stride, ptrdiff_t count, const void *values, ptrdiff_t rows);
    double (*multiply_add_burst)(ptrdiff_t repetitions);
  } own;
} product_kernels;

// The table of all kernels that were compiled, of every set in ascending order, each scalar and panel width, the widest
// first: the kernels at index < count. Those of a set that the processor does not support must not be run.
ptrdiff_t product_kernels_count(void);
const product_kernels *product_kernels_at(ptrdiff_t index);

// The kernels of a set that the processor supports, with the widest panels. BLIS's micro-kernels are chosen at the
// first call of this function or one of its neighbours; all are safe from any thread.
const product_kernels *product_kernels_for(instruction_set set, scalar_type scalar);

// The same, with the panel width that wastes the least on a layer of so many units.
const product_kernels *product_kernels_for_units(instruction_set set, scalar_type scalar, ptrdiff_t units);

// One row tile times some panels. BLIS's micro-kernel where the tile is full and nothing is fetched, our own elsewhere.
void product_run(const product_kernels *kernels, const product *product);

// The same with our own kernels alone, for comparison and where there is no BLIS.
static inline void product_run_own(const product_kernels *kernels, const product *product) {
  (product->row_stride == 1 ? kernels->own.packed_product : kernels->own.plain_product)(product);
}

// The comparison path, c = x · weightsᵀ through bli_sgemm or bli_dgemm with the same sub-configuration, which packs in
// each call: weights [units][k], x [rows][k], c [rows][units]. False where there is no BLIS.
typedef struct sgemm_comparison {
  const void *x;
  const void *weights;
  void *c;
  ptrdiff_t rows;
  ptrdiff_t units;
  ptrdiff_t k;
} sgemm_comparison;
bool product_by_sgemm(const product_kernels *kernels, const sgemm_comparison *product);

// packed[d][i] = source[i·item_stride + d·depth_stride] for i < count, 0 for count <= i < width, d < depth. One of the
// strides must be 1. Makes panels (width P) and row tiles (width = count <= R) of either orientation. Where
// depth_stride is 1, `readable` >= depth scalars of each item may be read: whole vectors are faster.
static inline void pack(const product_kernels *kernels, void *packed, ptrdiff_t width, const void *source,
                        ptrdiff_t count, ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable,
                        ptrdiff_t depth_stride) {
  kernels->own.pack(packed, width, source, count, item_stride, depth, readable, depth_stride);
}

// target[i·item_stride + d] += packed[d][i] for i < count, d < depth: a gradient's panel back into its matrix.
static inline void unpack_adding(const product_kernels *kernels, void *target, ptrdiff_t item_stride,
                                 const void *packed, ptrdiff_t width, ptrdiff_t count, ptrdiff_t depth) {
  kernels->own.unpack_adding(target, item_stride, packed, width, count, depth);
}

// sums[u] += Σ_r panel[r][u] for u < P, in ascending r.
static inline void add_rows(const product_kernels *kernels, void *sums, const void *panel, ptrdiff_t rows) {
  kernels->own.add_rows(sums, panel, rows);
}

// panels[q][r][u] = values[q][u] for q < count, r < rows, u < P; panels lie `stride` apart.
static inline void fill_rows(const product_kernels *kernels, void *panels, ptrdiff_t stride, ptrdiff_t count,
                             const void *values, ptrdiff_t rows) {
  kernels->own.fill_rows(panels, stride, count, values, rows);
}

// Multiply-adds that a core can do: runs a loop of independent ones and returns how many floating-point operations
// that were. Timed by the benchmark, it gives the peak that shares are quoted of.
static inline double multiply_add_burst(instruction_set set, scalar_type scalar, ptrdiff_t repetitions) {
  return product_kernels_for(set, scalar)->own.multiply_add_burst(repetitions);
}

#pragma clang assume_nonnull end
