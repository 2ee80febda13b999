// Products of row tiles and weight panels.
//
// A panel holds P units of a matrix, P = panel_width: panel[k][u], u < P contiguous, zero beyond the last unit. A row
// tile holds up to R = tile_rows rows: packed, tile[k][r], r < its own number of rows, or plain, the rows of a matrix
// as they are. A product adds for each element one chain of multiply-adds in ascending k from zero, cut every
// PRODUCT_K_BLOCK, and adds the chains to c in ascending order; all kernels of an instruction set give the same bits.
// AVX2 and AVX-512 kernels fuse each multiply-add, portable ones round the product first.
//
// Counts and strides are in floats. Panels and row tiles need PRODUCT_SLACK readable floats behind them: BLIS's
// micro-kernels load one step of k ahead. Panels start at a multiple of 64 bytes.
#pragma once
#include "processor.h"

#pragma clang assume_nonnull begin

enum { PRODUCT_SLACK = 64, PRODUCT_K_BLOCK = 512, PRODUCT_MOST_TILE_ROWS = 12 };

// The kernels of one instruction set, and how they were chosen.
typedef struct product_kernels {
  instruction_set set;
  ptrdiff_t tile_rows;    // R: 12 on AVX-512, 6 on AVX2, 4 portable
  ptrdiff_t panel_width;  // P: 32 on AVX-512, where 16 for narrow layers; 16 elsewhere
  const char *_Nullable blis_version;
  const char *_Nullable sub_configuration;  // null: our own kernels instead of BLIS's
  const char *reason;
  char reason_text[96];
  struct {
    void *_Nullable function;
    void *_Nullable context;
    bool units_on_m;
  } micro_kernel;
} product_kernels;

// The kernels of a set that the processor supports. Chosen at the first call; safe from any thread.
const product_kernels *product_kernels_for(instruction_set set);

// The same, with the panel width that wastes the least on a layer of so many units.
const product_kernels *product_kernels_for_units(instruction_set set, ptrdiff_t units);

// For each panel q < panel_count, row r < row_count and unit u < P:
//   c[q][r][u] = (add ? c[q][r][u] : 0) + Σ_k rows[k][r] · panels[q][k][u]
typedef struct product {
  const float *rows;  // one row tile: [k][row_count], or plain [row_count][k]
  ptrdiff_t row_count;
  ptrdiff_t row_stride;  // 1 for a packed tile, of plain rows any other; a single row may be either
  const float *panels;   // [panel_count] at panel_stride, each [k][P]
  ptrdiff_t panel_count;
  ptrdiff_t panel_stride;
  ptrdiff_t k;
  float *c;  // [panel_count] at c_panel_stride, [row_count] at c_row_stride, each P
  ptrdiff_t c_panel_stride;
  ptrdiff_t c_row_stride;
  bool add;
  // Weights of the next product, panels at panel_stride too, that a full tile fetches from far caches meanwhile:
  // `next_count` floats of each. Null where weights stay near.
  const float *_Nullable next;
  ptrdiff_t next_count;
} product;

// One row tile times some panels. BLIS's micro-kernel where the tile is full and nothing is fetched, our own elsewhere.
void product_run(const product_kernels *kernels, const product *product);

// The same with our own kernels alone, for comparison and where there is no BLIS.
void product_run_own(const product_kernels *kernels, const product *product);

// The comparison path, c = x · weightsᵀ through bli_sgemm with the same sub-configuration, which packs in each call:
// weights [units][k], x [rows][k], c [rows][units]. False where there is no BLIS.
typedef struct sgemm_comparison {
  const float *x;
  const float *weights;
  float *c;
  ptrdiff_t rows;
  ptrdiff_t units;
  ptrdiff_t k;
} sgemm_comparison;
bool product_by_sgemm(const product_kernels *kernels, const sgemm_comparison *product);

// packed[d][i] = source[i·item_stride + d·depth_stride] for i < count, 0 for count <= i < width, d < depth. One of the
// strides must be 1. Makes panels (width P, 16 or 32) and row tiles (width = count <= R) of either orientation. Where
// depth_stride is 1, `readable` >= depth floats of each item may be read: whole vectors are faster.
void pack(const product_kernels *kernels, float *packed, ptrdiff_t width, const float *source, ptrdiff_t count,
          ptrdiff_t item_stride, ptrdiff_t depth, ptrdiff_t readable, ptrdiff_t depth_stride);

// target[i·item_stride + d] += packed[d][i] for i < count, d < depth: a gradient's panel back into its matrix.
void unpack_adding(const product_kernels *kernels, float *target, ptrdiff_t item_stride, const float *packed,
                   ptrdiff_t width, ptrdiff_t count, ptrdiff_t depth);

// sums[u] += Σ_r panel[r][u] for u < P, in ascending r.
void add_rows(const product_kernels *kernels, float *sums, const float *panel, ptrdiff_t rows);

// panels[q][r][u] = values[q][u] for q < count, r < rows, u < P; panels lie `stride` apart.
void fill_rows(const product_kernels *kernels, float *panels, ptrdiff_t stride, ptrdiff_t count, const float *values,
               ptrdiff_t rows);

// Multiply-adds that a core can do: runs a loop of independent ones and returns how many floating-point operations
// that were. Timed by the benchmark, it gives the peak that shares are quoted of.
double multiply_add_burst(instruction_set set, ptrdiff_t repetitions);

#pragma clang assume_nonnull end
