// 8-bit weights on AVX-512 without VNNI: the multiply-adds of AVX2 on wider registers.
#if defined(__x86_64__)
#include <immintrin.h>

#include "int8_vectors.h"

#define ATTRIBUTES FOR_AVX512
#define KERNEL FOR_AVX512 static inline __attribute__((always_inline))
#define NAMED(kernel) kernel##_avx512
#define GROUP 2
#define FOR_AMX_TILES 0
#define HAS_MASKS 1
#define MOST_ROWS 12
#define MOST_VECTORS 2
#define MOST_SUMS 20
#define LEAST_SUMS 1

typedef shorts operand;

KERNEL void load_weights(operand *weights, const char *source) {
  *weights = __builtin_convertvector(*(const half_bytes *)source, shorts);
}

typedef int16_t all_shorts __attribute__((vector_size(64)));
KERNEL void multiply_add(integers *sums, const operand *weights, word x) {
  const integers both = x;
  *sums += (integers)__builtin_ia32_pmaddwd512((all_shorts)*weights, (all_shorts)both);
}

#include "int8_kernels.h"
#endif
