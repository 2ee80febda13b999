// The gate passes, written in Swift (Sources/Recurrent/Cells) and compiled for each instruction set.
//
// A gate pass works on one gate tile: the rows of one row tile and the units of one block. It runs right after the
// product, while the tile is still in the nearest cache. A gate slot holds the values of one gate for all rows,
// [rows][P]; the slots of a tile lie slot_stride apart. All passes work in place.
#pragma once
#include "lanes.h"

#pragma clang assume_nonnull begin

// One structure serves every cell and every scalar. The pass knows which; strides and counts are in its scalars.
typedef struct gate_tile {
  void *_Null_unspecified slots;  // [slot] at slot_stride, each [rows][P]
  ptrdiff_t slot_stride;
  ptrdiff_t rows;
  ptrdiff_t width;  // P
  ptrdiff_t units;  // the number of units that exist, <= P: of matrices [rows][H], only these are touched
  const void *_Nullable previous_h;  // [rows][H] at previous_stride: h of the step before
  ptrdiff_t previous_stride;
  const void *_Nullable vectors;  // [vector][P]: the parameters with one value for each unit, such as IndRNN's u
  // Forward
  void *_Nullable h;  // [rows][H] at h_stride: overwritten
  ptrdiff_t h_stride;
  void *_Nullable c;  // [rows][P]: c of the step before, overwritten with c of this step
  // [rows][P]: c of the step before. Forward writes it if it is not null, and backward reads it.
  void *_Nullable previous_c;
  // Backward
  const void *_Nullable dy;  // [rows][H] at dy_stride, or null for zero
  ptrdiff_t dy_stride;
  void *_Nullable dh;                // [rows][P]: gradient of h; a GRU leaves the direct term of that of h'
  void *_Nullable dc;                // [rows][P]: gradient of c, overwritten with that of c'
  void *_Nullable d_operand;         // [rows][P]: gradient of the slot that a stage's product reads, such as r∘h'
  void *_Nullable vector_gradients;  // [vector][P]: gradients of the vectors, added to
} gate_tile;

// Declares a gate pass for float and for double: name_f32 and name_f64.
#define GATE_PASS(name) GATE_PASS_OF(name##_f32) GATE_PASS_OF(name##_f64)
#define GATE_PASS_OF(name) MULTIVERSION(name, (const gate_tile *tile), (tile))

// clang-format off
// RNN, slot h: forward pre-activation -> h; backward h -> d.
GATE_PASS(rnn_tanh_forward)
GATE_PASS(rnn_tanh_backward)
GATE_PASS(rnn_relu_forward)
GATE_PASS(rnn_relu_backward)
// IndRNN, slot h, vector u: forward pre-activation without u∘h' -> h; backward h -> d, and dh = d∘u for the step
// before.
GATE_PASS(indrnn_tanh_forward)
GATE_PASS(indrnn_tanh_backward)
GATE_PASS(indrnn_relu_forward)
GATE_PASS(indrnn_relu_backward)
// LSTM by its cell output, slots i f g o: forward pre-activations -> gates; backward gates -> di df dg do.
GATE_PASS(lstm_tanh_forward)
GATE_PASS(lstm_tanh_backward)
GATE_PASS(lstm_linear_forward)
GATE_PASS(lstm_linear_backward)
// GRU by its update, slots n r z u with u = U h' + b_hn: forward pre-activations -> gates, u stays; backward n r z u ->
// dn dr dz dn∘r.
GATE_PASS(gru_keeps_old_forward)
GATE_PASS(gru_keeps_old_backward)
GATE_PASS(gru_takes_new_forward)
GATE_PASS(gru_takes_new_backward)
// GRU with reset before the product, slots n r z rh. First stage: r and z -> gates, rh = r∘h'; backward r -> dr.
GATE_PASS(gru_reset_forward)
GATE_PASS(gru_reset_backward)
// Second stage: n -> gate; backward n, z -> dn, dz.
GATE_PASS(gru_update_keeps_old_forward)
GATE_PASS(gru_update_keeps_old_backward)
GATE_PASS(gru_update_takes_new_forward)
GATE_PASS(gru_update_takes_new_backward)
// The activations of an array [count] in place; the array has a multiple of 128 bytes.
#define ACTIVATION(name, scalar) MULTIVERSION(name, (scalar *values, ptrdiff_t count), (values, count))
ACTIVATION(sigmoid_of_f32, float)
ACTIVATION(sigmoid_of_f64, double)
ACTIVATION(tanh_of_f32, float)
ACTIVATION(tanh_of_f64, double)
// clang-format on

#pragma clang assume_nonnull end
