// 8-bit weights on AVX-512 with VNNI, whose VPDPBUSD adds 64 products of an unsigned and a signed byte to 16 sums. Two
// of them start in a cycle, and each takes 5.
#if defined(__x86_64__)
#include <immintrin.h>

#include "int8_vectors.h"

#define ATTRIBUTES FOR_AVX512_VNNI
#define KERNEL FOR_AVX512_VNNI static inline __attribute__((always_inline))
#define NAMED(kernel) kernel##_avx512_vnni
#define GROUP 4
#define FOR_AMX_TILES 0
#define HAS_MASKS 1
#define MOST_ROWS 12
#define MOST_VECTORS 2
#define MOST_SUMS 24
#define LEAST_SUMS 10

typedef integers operand;

KERNEL void load_weights(operand *weights, const char *source) { *weights = *(const integers *)source; }

typedef int32_t all_integers __attribute__((vector_size(64)));
KERNEL void multiply_add(integers *sums, const operand *weights, word x) {
  const integers four = x;
  *sums = (integers)__builtin_ia32_vpdpbusd512((all_integers)*sums, (all_integers)four, (all_integers)*weights);
}

#include "int8_kernels.h"
#endif
