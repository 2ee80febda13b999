#include "dropout.h"

#include "entry.h"

// Sixteen counters at once: lane l of word w belongs to counter l.
typedef uint32_t words __attribute__((ext_vector_type(16)));
typedef uint64_t products __attribute__((ext_vector_type(16)));

// Ten rounds of multiplications and exclusive ors. After each round, the golden ratio and √3 - 1 are added to the key.
LANES void philox(words counter[4], uint32_t key_low, uint32_t key_high) {
#pragma clang loop unroll(full)
  for (int round = 0; round < 10; round++) {
    const products a = __builtin_convertvector(counter[0], products) * 0xD2511F53u;
    const products b = __builtin_convertvector(counter[2], products) * 0xCD9E8D57u;
    const words a_low = __builtin_convertvector(a, words), a_high = __builtin_convertvector(a >> 32, words);
    const words b_low = __builtin_convertvector(b, words), b_high = __builtin_convertvector(b >> 32, words);
    counter[0] = b_high ^ counter[1] ^ key_low;
    counter[1] = b_low;
    counter[2] = a_high ^ counter[3] ^ key_high;
    counter[3] = a_low;
    key_low += 0x9E3779B9u;
    key_high += 0xBB67AE85u;
  }
}

// The bits of units `first` to `first` + 63. Unit first + u has the bits of lane u / 4 of word u % 4.
LANES void bits_of_units(words counter[4], ptrdiff_t first, const dropout_row *row) {
  const words lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  counter[0] = lane + (uint32_t)(first / 4);
  counter[1] = (words)row->step;
  counter[2] = (words)(uint32_t)row->sequence;
  counter[3] = (words)(row->layer + ((uint32_t)(row->sequence >> 32) << 16));
  philox(counter, (uint32_t)row->seed, (uint32_t)(row->seed >> 32));
}

// The same body for each scalar.
#define DROP_UNITS(name, scalar)                                                                       \
  LANES void name##_body(instruction_set set, scalar *target, const scalar *source, ptrdiff_t count,   \
                         const dropout_row *row) {                                                     \
    const scalar scale = (scalar)row->scale;                                                           \
    /* A counter has the bits of four units, the first of which may lie before the target. */          \
    for (ptrdiff_t first = -(row->first & 3); first < count; first += 64) {                            \
      words bits[4];                                                                                   \
      bits_of_units(bits, row->first + first, row);                                                    \
      const ptrdiff_t end = count - first < 64 ? count - first : 64;                                   \
      for (ptrdiff_t u = first < 0 ? -first : 0; u < end; u++)                                         \
        target[first + u] = bits[u & 3][u >> 2] < row->threshold ? 0 : scale * source[first + u];      \
    }                                                                                                  \
  }                                                                                                    \
  ENTRY(name, set, (instruction_set set, scalar *target, const scalar *source, ptrdiff_t count,        \
                    const dropout_row *row), (set, target, source, count, row))

// clang-format off
DROP_UNITS(drop_units_f32, float)
DROP_UNITS(drop_units_f64, double)
// clang-format on

void philox_4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t bits[4]) {
  words lanes[4] = {counter[0], counter[1], counter[2], counter[3]};
  philox(lanes, key[0], key[1]);
  for (int w = 0; w < 4; w++) bits[w] = lanes[w][0];
}
