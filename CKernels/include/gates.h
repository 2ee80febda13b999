// The gate passes, written in Swift (Sources/Recurrent/Cells) and compiled for each instruction set.
//
// A gate pass works on one gate tile: some rows of a step and the units of one block or of several. Forward runs it
// right after the products, while the tile is still in a near cache, and backward on all rows of a step. In a block, a
// gate slot holds the values of one gate for all rows, [rows][P]; the slots of a block lie slot_stride apart. All
// passes work in place.
#pragma once
#include "lanes.h"

#pragma clang assume_nonnull begin

// One structure serves every cell and every scalar. The pass knows which; strides and counts are in its scalars.
typedef struct gate_tile {
  void *_Null_unspecified slots;  // [block] at slot_block_stride, [slot] at slot_stride, each [rows][P]
  ptrdiff_t slot_stride;
  ptrdiff_t slot_block_stride;
  ptrdiff_t state_block_stride;      // from one block to the next of c, dh, dc and d_operand
  ptrdiff_t rows;                    // at least 1
  ptrdiff_t width;                   // P
  ptrdiff_t units;                   // the number of units that exist: of matrices [rows][H], only these are touched
  const void *_Nullable previous_h;  // [rows][H] at previous_stride: h of the step before
  ptrdiff_t previous_stride;
  const void *_Nullable vectors;  // [block][P]: the parameter with one value for each unit, such as IndRNN's u
  // Forward
  void *_Nullable h;  // [rows][H] at h_stride: overwritten
  ptrdiff_t h_stride;
  // [block] at state_block_stride, each [rows][P]: c of the step before, overwritten with c of this step.
  void *_Nullable c;
  // [block] at slot_block_stride, each [rows][P]: c of the step before. Forward writes it if it is not null, and
  // backward reads it.
  void *_Nullable previous_c;
  // Backward
  const void *_Nullable dy;  // [rows][H] at dy_stride, or null for zero
  ptrdiff_t dy_stride;
  // The next three are [block] at state_block_stride, each [rows][P].
  void *_Nullable dh;                // gradient of h; a GRU leaves the direct term of that of h'
  void *_Nullable dc;                // gradient of c, overwritten with that of c'
  void *_Nullable d_operand;         // gradient of the operand slot, such as r∘h'
  void *_Nullable vector_gradients;  // [block][P]: gradient of that parameter, added to
} gate_tile;

// What a scalar of W and U holds in a step in registers.
//
//   full     one weight.
//   halves   the weights of two k in bf16, the even one below. x and the operand are rounded floats.
//   words    the same, for AVX512_BF16. A scalar of x and of the operand holds two k too.
//   bytes    the weights of four k in 8 bits, for VNNI. A row of x or of the operand starts with a scalar that holds
//            the row's scale; each of the following scalars holds four k too. W and U each start with two arrays
//            [gate][unit]: the integers that the sums start from, and the scales of the weights (see rounded.h).
//   shorts   like bytes, but with two k in 16 bits each, for AVX2.
typedef enum __attribute__((enum_extensibility(closed))) step_format {
  step_format_full,
  step_format_halves,
  step_format_words,
  step_format_bytes,
  step_format_shorts,
} step_format;

// One stage of a step of one row whose sums stay in registers, for one step block: both products and the gates.
//
// The units of a cell are divided into step blocks of one to four half vectors. Only whole half vectors are read and
// written, so each array [H] needs room for up to half a vector after its last unit.
typedef struct register_step {
  const void *x;        // [C], as `format` says
  const void *operand;  // [H], as `format` says: h' or what the stage before left
  const void *weights;  // the biases [biased slot][unit], then W [scalar][gate][unit], as `format` says
  const void *u;        // [scalar][gate][unit]
  // The pointers below are to the block's first unit in arrays [H].
  const void *vectors;     // the parameter with one value for each unit
  const void *previous_h;  // h of the step before
  void *h;                 // overwritten
  void *c;                 // c of the step before, overwritten with c of this step
  void *kept;              // what a stage leaves for the gates of the next one
  void *next_operand;      // what a stage leaves for the product of the next one
  ptrdiff_t input_size;    // C
  ptrdiff_t hidden_size;   // H
  ptrdiff_t half_vectors;  // of the block
  instruction_set set;
  step_format format;
} register_step;

// The largest number of half vectors that the sums of one product take in a step block of more than one vector; 0 if
// there are no such blocks.
static inline ptrdiff_t most_sums(instruction_set set) {
  return set == instruction_set_avx512 ? 16 : set == instruction_set_avx2 ? 12 : 0;
}

// Both products of a step in registers run side by side if their sums take at most so many vectors. More would find no
// register, or no free multiply-add unit.
static inline ptrdiff_t most_side_by_side(instruction_set set) {
  return set == instruction_set_avx512 ? 8 : set == instruction_set_avx2 ? 6 : 2;
}

// Whether there may be too few registers for the sums of both products in a block of more than one vector.
static inline bool few_registers(instruction_set set) { return set != instruction_set_avx512; }

// Returns a copy of the step with the set as a constant, so that the compiler removes the code that the set never runs.
LANES register_step step_for(instruction_set set, const register_step *step) {
  register_step copy = *step;
  copy.set = set;
  return copy;
}

// Returns the set of this variant as a constant, so that the compiler removes the code that the set never runs. Each
// variant but the portable one has the constant of its set already.
LANES instruction_set set_here(instruction_set set) {
  if (__builtin_constant_p(set)) return set;
  if (set != instruction_set_portable) __builtin_trap();
  return instruction_set_portable;
}

// A step block or a format that the set or the scalar does not have.
LANES void stop_at_wrong_step(void) { __builtin_trap(); }

// Returns the address, but the compiler does not know that what lies there has been loaded before.
LANES const void *hidden_address(const void *address) {
  __asm__("" : "+r"(address));
  return address;
}

// Makes the compiler store what `place` points to, and load it again where it is used.
LANES void leave_in_memory(void *place) { __asm__ volatile("" : : "r"(place) : "memory"); }

// The functions of a gate pass for one instruction set. `step` computes the bits of `forward` after the products.
typedef struct gate_functions {
  void (*forward)(const gate_tile *tile);
  void (*backward)(const gate_tile *tile);
  void (*step)(const register_step *step);
} gate_functions;

// Declares the functions of a gate pass for float and for double, such as name_forward_f32, and name_f32 and name_f64,
// which return those for an instruction set.
#define GATE_PASS(name) GATE_PASS_OF(name, f32) GATE_PASS_OF(name, f64)
#define GATE_PASS_OF(name, scalar)                                                                               \
  MULTIVERSION(name##_forward_##scalar, (const gate_tile *tile), (tile))                                         \
  MULTIVERSION(name##_backward_##scalar, (const gate_tile *tile), (tile))                                        \
  MULTIVERSION(name##_step_##scalar, (const register_step *step), ((register_step[]){step_for(this_set, step)})) \
  static inline gate_functions name##_##scalar(instruction_set set) {                                            \
    return (gate_functions){name##_forward_##scalar##_for(set), name##_backward_##scalar##_for(set),             \
                            name##_step_##scalar##_for(set)};                                                    \
  }

// clang-format off
// RNN, slot h: forward pre-activation -> h; backward h -> d.
GATE_PASS(rnn_tanh)
GATE_PASS(rnn_relu)
// IndRNN, slot h, vector u: forward pre-activation without u∘h' -> h; backward h -> d, and dh = d∘u for the step
// before.
GATE_PASS(indrnn_tanh)
GATE_PASS(indrnn_relu)
// LSTM by its cell output, slots i f g o: forward pre-activations -> gates; backward gates -> di df dg do.
GATE_PASS(lstm_tanh)
GATE_PASS(lstm_linear)
// GRU by its update, slots n r z u with u = U h' + b_hn: forward pre-activations -> gates, u stays; backward n r z u ->
// dn dr dz dn∘r.
GATE_PASS(gru_keeps_old)
GATE_PASS(gru_takes_new)
// GRU with reset before the product, slots n r z rh. First stage: r and z -> gates, rh = r∘h'; backward r -> dr.
GATE_PASS(gru_reset)
// Second stage: n -> gate; backward n, z -> dn, dz.
GATE_PASS(gru_update_keeps_old)
GATE_PASS(gru_update_takes_new)
// The activations of an array [count] in place; the array has a multiple of 128 bytes.
#define ACTIVATION(name, scalar) MULTIVERSION(name, (scalar *values, ptrdiff_t count), (values, count))
ACTIVATION(sigmoid_of_f32, float)
ACTIVATION(sigmoid_of_f64, double)
ACTIVATION(tanh_of_f32, float)
ACTIVATION(tanh_of_f64, double)
// clang-format on

#pragma clang assume_nonnull end
