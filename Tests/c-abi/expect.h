// The macros that count failures, and the small layer that all C tests use.
#pragma once

#include <recurrent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scalar.h"

extern int failures;

// Expects the call to succeed.
#define EXPECT_OK(call)                                                                                  \
  do {                                                                                                   \
    const recurrent_status status = (call);                                                              \
    if (status != RECURRENT_OK) {                                                                        \
      failures++;                                                                                        \
      printf("%s:%d: %s is %d: %s\n", __FILE__, __LINE__, #call, (int)status, recurrent_last_message()); \
    }                                                                                                    \
  } while (0)

// Expects the call to fail with a status and a message that contains a text.
#define EXPECT_ERROR(expected, text, call)                                                                             \
  do {                                                                                                                 \
    const recurrent_status status = (call);                                                                            \
    if (status != (expected) || strstr(recurrent_last_message(), text) == NULL) {                                      \
      failures++;                                                                                                      \
      printf("%s:%d: %s is %d, not %d with '%s': %s\n", __FILE__, __LINE__, #call, (int)status, (int)(expected), text, \
             recurrent_last_message());                                                                                \
    }                                                                                                                  \
  } while (0)
#define EXPECT_INVALID(text, call) EXPECT_ERROR(RECURRENT_INVALID_ARGUMENT, text, call)

// Expects the call to fail with exactly this message.
#define EXPECT_EXACTLY(text, call)                                                             \
  do {                                                                                         \
    const recurrent_status status = (call);                                                    \
    if (status != RECURRENT_INVALID_ARGUMENT || strcmp(recurrent_last_message(), text) != 0) { \
      failures++;                                                                              \
      printf("%s:%d: %s is %d with '%s', not '%s'\n", __FILE__, __LINE__, #call, (int)status,  \
             recurrent_last_message(), text);                                                  \
    }                                                                                          \
  } while (0)

#define EXPECT(condition)                                              \
  do {                                                                 \
    if (!(condition)) {                                                \
      failures++;                                                      \
      printf("%s:%d: is false: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                  \
  } while (0)

enum { C = 3, H = 5, T = 4, N = 2 };

static inline recurrent_layer_options lstm_options(void) {
  return (recurrent_layer_options){.size = sizeof(recurrent_layer_options),
                                   .input_size = C,
                                   .hidden_size = H,
                                   .layer_count = 1,
                                   .cell = RECURRENT_LSTM,
                                   .seed = 1};
}

static inline recurrent_layer *make_layer(recurrent_layer_options options) {
  recurrent_layer *layer = NULL;
  EXPECT_OK(recurrent_layer_create(&options, &layer));
  if (layer == NULL) exit(1);
  return layer;
}

static inline recurrent_call sizes(void) {
  return (recurrent_call){.size = sizeof(recurrent_call), .steps = T, .batch_size = N};
}

static inline size_t count_of(const scalar *values, size_t count) { return values == NULL ? 0 : count; }

// A state with `states` scalars in h, and as many in c unless it is null.
#define STATE(h, c) (&(recurrent_state){sizeof(recurrent_state), h, count_of(h, states), c, count_of(c, states)})

static inline void fill(scalar *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = (scalar)((i * 37 + 11) % 64) / 32 - 1;
}

// In allocations.c: calls allocate nothing.
void calls_allocate_nothing(void);
void large_calls_allocate_nothing(size_t threads, recurrent_cell cell, int has_lengths);
// In options.c: the options of a layer.
void options_are_checked(void);
void variants_differ(void);
void weights_in_fewer_bits(recurrent_weights weights, const char *of_doubles, const char *of_training);
// In parameters.c: the parameters of a layer.
void parameters_have_pytorchs_names(void);
// In calls.c: forward.
void forward_is_checked(void);
void layouts_lengths_and_resets(void);
// In training.c: records, backward and gradients.
void training_is_checked(void);
// In streams.c: streams.
void streams_step(void);
// In files.c: saving and loading.
void files_are_checked(const char *folder);
// In buffers.c: structures, counts and overlaps.
void structures_may_grow(void);
void buffers_are_counted(void);
void buffers_are_apart(void);
// In scalars.c: handles of both scalars.
void scalars_are_told_apart(const char *folder);
