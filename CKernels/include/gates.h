// The gate passes, written in Swift (Sources/Recurrent/Gates) and compiled for each instruction set.
//
// A pass works on one gate tile: the rows of one row tile times the units of one panel, while the product that made it
// is still in the nearest cache. A slot is one gate's values for all rows of the record, [row][P]; the slots of a tile
// lie slot_stride apart. All passes work in place.
#pragma once
#include "lanes.h"

#pragma clang assume_nonnull begin

typedef struct gate_tile {
  float *_Null_unspecified slots;  // [slot] at slot_stride, each [rows][P]
  ptrdiff_t slot_stride;
  ptrdiff_t rows;
  ptrdiff_t width;  // P
  ptrdiff_t units;  // units that exist, <= P: matrices by row ([rows][H]) are touched up to here alone
  const float *_Nullable previous_h;  // [rows][H] at previous_stride: h of the step before
  ptrdiff_t previous_stride;
  // Forward
  float *_Nullable h;  // [rows][H] at h_stride: overwritten
  ptrdiff_t h_stride;
  float *_Nullable c;  // [rows][P]: of the step before, overwritten with that of this one
  // [rows][P]: c of the step before. Written by forward where it is not null, read by backward.
  float *_Nullable previous_c;
  // Backward
  const float *_Nullable dy;  // [rows][H] at dy_stride, or null for zero
  ptrdiff_t dy_stride;
  float *_Nullable dh;   // [rows][P]: gradient of h; a GRU leaves its part for the step before
  float *_Nullable dc;   // [rows][P]: gradient of c; left for the step before
  float *_Nullable drh;  // [rows][P]: gradient of r∘h', of a GRU with reset before the product
  bool option;           // of the cell: RNN with ReLU; LSTM with h = o∘c; GRU with z taking the new state
} gate_tile;

#define GATE_PASS(name) MULTIVERSION(name, (const gate_tile *tile), (tile))

// clang-format off
GATE_PASS(rnn_gates_forward)             // slot: pre-activation -> h
GATE_PASS(rnn_gates_backward)            // slot: h -> d
GATE_PASS(lstm_gates_forward)            // slots i f g o: pre-activations -> gates
GATE_PASS(lstm_gates_backward)           // slots i f g o: gates -> di df dg do
GATE_PASS(gru_gates_forward)             // slots n r z u, u = U h + b_hn: pre-activations -> gates, u kept
GATE_PASS(gru_gates_backward)            // slots n r z u: -> dn dr dz dn∘r
GATE_PASS(gru_reset_gates_forward)       // slots n r z rh: r and z -> gates, rh = r∘h'
GATE_PASS(gru_update_gates_forward)      // slots n r z rh: n -> gate
GATE_PASS(gru_update_gates_backward)     // slots n r z rh: n, z -> dn, dz
GATE_PASS(gru_reset_gates_backward)      // slots n r z rh: r -> dr
// Activations alone, for measuring their accuracy: [count] in place, count a multiple of 32.
MULTIVERSION(sigmoid_of, (float *values, ptrdiff_t count), (values, count))
MULTIVERSION(tanh_of, (float *values, ptrdiff_t count), (values, count))
// clang-format on

#pragma clang assume_nonnull end
