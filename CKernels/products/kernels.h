// Our own kernels for one scalar. kernels_f32.c and kernels_f64.c compile this file and the files that it includes.
// OF_SCALAR(f32, f64) is the argument for their scalar.
#pragma once
#include <string.h>

#include "forms.h"

#define SCALAR OF_SCALAR(float, double)
#define SCALAR_NAME OF_SCALAR(f32, f64)
#define LANE_COUNT OF_SCALAR(16, 8)
// The largest number of rows that a tile of any instruction set has.
#define MOST_ROWS OF_SCALAR(12, 14)
_Static_assert(MOST_ROWS <= PRODUCT_MOST_TILE_ROWS, "a tile of this scalar has more rows than any tile may have");

// 64 bytes, in the registers that the instruction set has.
typedef SCALAR vector __attribute__((ext_vector_type(LANE_COUNT), aligned(sizeof(SCALAR))));

#define KERNEL static inline __attribute__((always_inline))

// NAMED(pack, avx2) is pack_f32_avx2 or pack_f64_avx2, the name that a profile shows.
#define NAMED(kernel, form) NAMED_BY(kernel, SCALAR_NAME, form)
#define NAMED_BY(kernel, scalar, form) NAME_OF(kernel, scalar, form)
#define NAME_OF(kernel, scalar, form) kernel##_##scalar##_##form

// The portable kernels never fuse a product and an add, on any processor.
#pragma clang fp contract(off)

#include "own_kernels.h"
#include "packing.h"
#include "peak.h"
