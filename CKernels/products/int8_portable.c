// 8-bit weights on any processor. On x86-64, that is SSE2, whose PMADDWD multiplies 8 pairs of 16-bit numbers.
#include "int8_vectors.h"

#define ATTRIBUTES
#define KERNEL static inline __attribute__((always_inline))
#define NAMED(kernel) kernel##_portable
#define GROUP 2
#define FOR_AMX_TILES 0
#define HAS_MASKS 0
#define MOST_ROWS 4
#define MOST_VECTORS 1
#define MOST_SUMS 4
#define LEAST_SUMS 1

typedef shorts operand;

KERNEL void load_weights(operand *weights, const char *source) {
  *weights = __builtin_convertvector(*(const half_bytes *)source, shorts);
}

#if defined(__x86_64__)
typedef int16_t eight_shorts __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_integers __attribute__((vector_size(16), aligned(4), may_alias));
KERNEL void multiply_add(integers *sums, const operand *weights, word x) {
  const four_integers both = {x, x, x, x};
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    four_integers *sum = (four_integers *)sums + i;
    *sum += __builtin_ia32_pmaddwd128(((const eight_shorts *)weights)[i], (eight_shorts)both);
  }
}
#else
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
KERNEL void multiply_add(integers *sums, const operand *weights, word x) {
  const integers even = __builtin_convertvector(__builtin_shufflevector(*weights, *weights, EVEN), integers);
  const integers odd = __builtin_convertvector(__builtin_shufflevector(*weights, *weights, ODD), integers);
  int16_t pair[2];
  memcpy(pair, &x, sizeof pair);
  *sums += even * pair[0] + odd * pair[1];
}
#endif

#include "int8_kernels.h"
