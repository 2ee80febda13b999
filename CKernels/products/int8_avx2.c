// 8-bit weights on AVX2. VPMADDUBSW would multiply bytes, but it saturates its sums at 16 bits. So weights widen to 16
// bits when they are loaded.
#if defined(__x86_64__)
#include "int8_vectors.h"

#define ATTRIBUTES FOR_AVX2
#define KERNEL FOR_AVX2 static inline __attribute__((always_inline))
#define NAMED(kernel) kernel##_avx2
#define GROUP 2
#define FOR_AMX_TILES 0
#define HAS_MASKS 0
#define MOST_ROWS 6
#define MOST_VECTORS 1
#define MOST_SUMS 4
#define LEAST_SUMS 1

typedef shorts operand;

KERNEL void load_weights(operand *weights, const char *source) {
  *weights = __builtin_convertvector(*(const half_bytes *)source, shorts);
}

typedef int16_t sixteen_shorts __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t eight_integers __attribute__((vector_size(32), aligned(4), may_alias));
KERNEL void multiply_add(integers *sums, const operand *weights, word x) {
  const eight_integers both = {x, x, x, x, x, x, x, x};
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    eight_integers *sum = (eight_integers *)sums + i;
    *sum += __builtin_ia32_pmaddwd256(((const sixteen_shorts *)weights)[i], (sixteen_shorts)both);
  }
}

#include "int8_kernels.h"
#endif
