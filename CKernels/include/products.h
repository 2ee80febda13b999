// Products of row tiles and weight panels, of floats or doubles.
//
// A panel holds P = panel_width units of a matrix as panel[k][u]. The units u < P are contiguous, and zero beyond the
// last unit. A row tile holds up to R = tile_rows rows. A packed tile is tile[k][r], with r below its own number of
// rows. A plain tile is some rows of a matrix, which are not copied.
//
// Each element of a product is a sum of chains. A chain is at most PRODUCT_K_BLOCK multiply-adds in ascending k from
// zero. The chains are added to c in ascending order, so all kernels of an instruction set give the same bits. The AVX2
// and AVX-512 kernels fuse each multiply-add, and the portable kernels round the product first.
//
// A pointer to void points to scalars of the kernels' type; counts and strides are in scalars. Panels and row tiles
// need PRODUCT_SLACK readable scalars after them, because BLIS's micro-kernels load the operands of the next k early.
// Panels start at a multiple of 64 bytes.
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
  ptrdiff_t row_stride;  // 1 for a packed tile, any other stride for plain rows; a single row may have either
  const void *panels;    // [panel_count] at panel_stride, each [k][P]
  ptrdiff_t panel_count;
  ptrdiff_t panel_stride;
  ptrdiff_t k;
  void *c;  // [panel_count] at c_panel_stride, [row_count] at c_row_stride, each P
  ptrdiff_t c_panel_stride;
  ptrdiff_t c_row_stride;
  bool add;
  // The weights that are needed next, in panels at panel_stride. A full tile, or on AVX2 any packed tile of at least
  // three rows, fetches about `next_count` scalars of each of them from far caches meanwhile. Null if the weights stay
  // in near caches.
  const void *_Nullable next;
  ptrdiff_t next_count;
  ptrdiff_t panel_width;  // P, which only the kernels of rounded.h read: the others have one of their own
} product;

// The kernels of one instruction set, scalar and panel width, and how they were chosen.
typedef struct product_kernels {
  instruction_set set;
  scalar_type scalar;
  ptrdiff_t tile_rows;    // R: 12 floats or 14 doubles on AVX-512, 6 on AVX2, 4 portable
  ptrdiff_t panel_width;  // P: 32 floats or 16 doubles on AVX-512, half of that for its narrow layers and other sets
  const char *_Nullable blis_version;
  // The sub-configuration of BLIS whose micro-kernel multiplies full tiles; null if our own kernel does.
  const char *_Nullable sub_configuration;
  // Whether our own kernel multiplies full tiles too. BLIS's is then used only for comparison.
  bool own_is_faster;
  const char *reason;
  char reason_text[96];
  struct {
    void *_Nullable function;
    void *_Nullable context;
    bool units_on_m;
  } micro_kernel;
  // Our own kernels. The functions of the same names below say what they do.
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

// The table of all compiled kernels, at the indices below the count: the instruction sets in ascending order, each with
// both scalars and its panel widths, the widest first. Kernels of a set that the processor does not support must not be
// run.
ptrdiff_t product_kernels_count(void);
const product_kernels *product_kernels_at(ptrdiff_t index);

// The kernels of a set that the processor supports, with the widest panels. The first call of this function or of
// product_kernels_at or product_kernels_for_units chooses BLIS's micro-kernels. Any thread may call them.
const product_kernels *product_kernels_for(instruction_set set, scalar_type scalar);

// The same with the panel width that wastes the least in a layer of so many units.
const product_kernels *product_kernels_for_units(instruction_set set, scalar_type scalar, ptrdiff_t units);

// Multiplies one row tile by some panels. BLIS's micro-kernel runs if the tile is full and packed, nothing is fetched,
// and ours is not faster. Otherwise our own kernel runs.
void product_run(const product_kernels *kernels, const product *product);

// Multiplies a full, packed row tile by some panels with BLIS's micro-kernel, which the kernels must have.
void product_run_blis(const product_kernels *kernels, const product *product);

// The same as product_run, with only our own kernels.
static inline void product_run_own(const product_kernels *kernels, const product *product) {
  (product->row_stride == 1 ? kernels->own.packed_product : kernels->own.plain_product)(product);
}

// c = x · weightsᵀ through bli_sgemm or bli_dgemm with the micro-kernel's sub-configuration, for comparison. BLIS packs
// its operands in each call. weights [units][k], x [rows][k], c [rows][units]. Returns false if there is no BLIS.
typedef struct gemm_comparison {
  const void *x;
  const void *weights;
  void *c;
  ptrdiff_t rows;
  ptrdiff_t units;
  ptrdiff_t k;
} gemm_comparison;
bool product_by_gemm(const product_kernels *kernels, const gemm_comparison *product);

// packed[d][i] = source[i·item_stride + d·depth_stride] for i < count, and 0 for count <= i < width; d < depth. One
// of the strides must be 1. This packs panels (width P) and row tiles (width = count <= R), from rows or from columns.
// If depth_stride is 1, `readable` >= depth scalars of each item may be read, because reading whole vectors is faster.
static inline void pack(const product_kernels *kernels, void *packed, ptrdiff_t width, const void *source,
                        ptrdiff_t count, ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable,
                        ptrdiff_t depth_stride) {
  kernels->own.pack(packed, width, source, count, item_stride, depth, readable, depth_stride);
}

// target[i·item_stride + d] += packed[d][i] for i < count, d < depth. This adds a panel of a gradient to its matrix.
static inline void unpack_adding(const product_kernels *kernels, void *target, ptrdiff_t item_stride,
                                 const void *packed, ptrdiff_t width, ptrdiff_t count, ptrdiff_t depth) {
  kernels->own.unpack_adding(target, item_stride, packed, width, count, depth);
}

// sums[u] += Σ_r panel[r][u] for u < P, in ascending r.
static inline void add_rows(const product_kernels *kernels, void *sums, const void *panel, ptrdiff_t rows) {
  kernels->own.add_rows(sums, panel, rows);
}

// panels[q][r][u] = values[q][u] for q < count, r < rows, u < P. The panels lie `stride` apart.
static inline void fill_rows(const product_kernels *kernels, void *panels, ptrdiff_t stride, ptrdiff_t count,
                             const void *values, ptrdiff_t rows) {
  kernels->own.fill_rows(panels, stride, count, values, rows);
}

// Fetches rows into the second cache before they are overwritten. Stores become visible in order, so a store into a
// line of far memory holds up all later ones.
static inline void fetch_rows(const void *rows, ptrdiff_t count, ptrdiff_t stride, ptrdiff_t row_bytes) {
  for (ptrdiff_t r = 0; r < count; r++)
    for (ptrdiff_t at = 0; at < row_bytes; at += 64) __builtin_prefetch((const char *)rows + r * stride + at, 1, 2);
}

// Runs a loop of independent multiply-adds and returns the number of floating-point operations. The benchmark measures
// its time to find the peak of a core.
static inline double multiply_add_burst(instruction_set set, scalar_type scalar, ptrdiff_t repetitions) {
  return product_kernels_for(set, scalar)->own.multiply_add_burst(repetitions);
}

#pragma clang assume_nonnull end
