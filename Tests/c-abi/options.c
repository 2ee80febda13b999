// Tests the options of a layer: what is refused, the forms of the cells, and weights in fewer bits.
#include <math.h>

#include "expect.h"

void options_are_checked(void) {
  recurrent_layer *layer;
  recurrent_layer_options options = lstm_options();
  EXPECT_INVALID("options is null", recurrent_layer_create(NULL, &layer));
  EXPECT_INVALID("layer is null", recurrent_layer_create(&options, NULL));

#define WITH(field, value, text)                                    \
  do {                                                              \
    options = lstm_options();                                       \
    options.field = value;                                          \
    layer = (recurrent_layer *)&options;                            \
    EXPECT_INVALID(text, recurrent_layer_create(&options, &layer)); \
    EXPECT(layer == NULL);                                          \
  } while (0)
  WITH(input_size, 0, "input_size is 0, expected at least 1");
  WITH(hidden_size, 0, "hidden_size is 0");
  WITH(layer_count, 0, "layer_count is 0");
  WITH(input_size, SIZE_MAX, "input_size is -1");
  WITH(hidden_size, SIZE_MAX / 2, "what this machine's memory holds");
  WITH(hidden_size, (size_t)1 << 32, "this machine's memory");
  WITH(
      hidden_size, (size_t)1 << 24,
      "the layer is LSTM, 3 inputs, 16777216 units, expected a smaller one: its weights do not fit into this machine's "
      "memory");
  WITH(layer_count, (size_t)1 << 60, "what this machine's memory holds");
  WITH(cell, 4, "cell is 4, expected 0 to 3");
  WITH(direction, 4, "direction is 4, expected 0 to 3");
  WITH(activation, 2, "activation is 2");
  WITH(cell_output, 2, "cell_output is 2");
  WITH(reset, 2, "reset is 2");
  WITH(update, 7, "update is 7");
  WITH(instruction_set, 6, "instruction_set is 6, expected 0 to 5");
  WITH(weights, 3, "weights is 3, expected 0 to 2");
  WITH(dropout, 1.5f, "dropout is 1.5, expected 0 to 1");
  WITH(dropout, -0.5f, "dropout is -0.5");
  WITH(dropout, NAN, "dropout is nan");
#undef WITH
  options = lstm_options();
  options.weights = (recurrent_weights)-1;
  EXPECT_EXACTLY("weights is -1, expected 0 to 2", recurrent_layer_create(&options, &layer));
}

void variants_differ(void) {
  // Each variant of each cell gives another y, and every instruction set that exists runs.
  struct {
    recurrent_cell cell;
    int activation, cell_output, reset, update;
  } variants[] = {{RECURRENT_RNN, 0, 0, 0, 0},   {RECURRENT_RNN, 1, 0, 0, 0}, {RECURRENT_LSTM, 0, 0, 0, 0},
                  {RECURRENT_LSTM, 0, 1, 0, 0},  {RECURRENT_GRU, 0, 0, 0, 0}, {RECURRENT_GRU, 0, 0, 1, 0},
                  {RECURRENT_GRU, 0, 0, 0, 1},   {RECURRENT_GRU, 0, 0, 1, 1}, {RECURRENT_INDRNN, 0, 0, 0, 0},
                  {RECURRENT_INDRNN, 1, 0, 0, 0}};
  enum { count = sizeof variants / sizeof *variants, states = N * H };
  scalar x[T * N * C], y[count][T * N * H];
  fill(x, T * N * C);
  recurrent_scratch *scratch;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  for (int set = 0; set <= 5; set++) {
    for (int i = 0; i < count; i++) {
      recurrent_layer_options options = lstm_options();
      options.cell = variants[i].cell;
      options.activation = (recurrent_activation)variants[i].activation;
      options.cell_output = (recurrent_cell_output)variants[i].cell_output;
      options.reset = (recurrent_reset_form)variants[i].reset;
      options.update = (recurrent_update_form)variants[i].update;
      options.instruction_set = (recurrent_instruction_set)set;
      options.flush_denormals = set & 1;
      recurrent_layer *layer = NULL;
      const recurrent_status status = recurrent_layer_create(&options, &layer);
      if (status == RECURRENT_UNSUPPORTED && set > 1) continue;
      EXPECT(status == RECURRENT_OK);
      scalar h[N * H] = {0}, c[N * H] = {0};
      const recurrent_call call = sizes();
      EXPECT_OK(recurrent_forward(layer, &call, x, T * N * C, STATE(h, options.cell == RECURRENT_LSTM ? c : NULL), y[i],
                                  T * N * H, scratch));
      for (int other = 0; other < i; other++) EXPECT(memcmp(y[i], y[other], sizeof y[i]) != 0);
      EXPECT_OK(recurrent_layer_destroy(layer));
    }
  }
  EXPECT_OK(recurrent_scratch_destroy(scratch));
}

// Writes the gradients of one training step, in which dy is y.
static void train(recurrent_layer *layer, const scalar *x, recurrent_scratch *scratch, scalar *gradients,
                  size_t count) {
  recurrent_record *record;
  recurrent_gradients *sums;
  EXPECT_OK(recurrent_record_create(&record));
  EXPECT_OK(recurrent_gradients_create(layer, &sums));
  scalar y[T * N * H], h[N * H] = {0}, c[N * H] = {0}, dh[N * H] = {0}, dc[N * H] = {0};
  enum { states = N * H };
  const recurrent_call call = sizes();
  EXPECT_OK(recurrent_record_forward(layer, &call, x, T * N * C, STATE(h, c), y, T * N * H, record, scratch));
  EXPECT_OK(recurrent_backward(layer, record, x, T * N * C, y, T * N * H, STATE(dh, dc), NULL, 0, sums, scratch));
  EXPECT_OK(recurrent_gradients_get_values(sums, gradients, count));
  EXPECT_OK(recurrent_gradients_destroy(sums));
  EXPECT_OK(recurrent_record_destroy(record));
}

// `of_training` is the error of training; null if such a layer can be trained.
void weights_in_fewer_bits(recurrent_weights weights, const char *of_doubles, const char *of_training) {
  enum { states = N * H };
  recurrent_layer_options options = lstm_options();
  options.weights = weights;
  recurrent_layer *layer = NULL;
  if (is_double) {
    EXPECT_INVALID(of_doubles, recurrent_layer_create(&options, &layer));
    return;
  }
  if (weights == RECURRENT_WEIGHTS_INT8) {
    options.hidden_size = 65537;
    EXPECT_INVALID("is 65537, expected at most 65536 with weights in int8", recurrent_layer_create(&options, &layer));
    options.hidden_size = H;
  }
  options.seed = 3;
  layer = make_layer(options);
  options.weights = RECURRENT_WEIGHTS_FULL;
  recurrent_layer *full = make_layer(options);
  recurrent_scratch *scratch;
  recurrent_stream *stream;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  EXPECT_OK(recurrent_stream_create(layer, N, &stream));
  scalar x[T * N * C], y[T * N * H], expected[T * N * H], streamed[T * N * H];
  scalar h[N * H] = {0}, c[N * H] = {0}, full_h[N * H] = {0}, full_c[N * H] = {0};
  fill(x, T * N * C);
  const recurrent_call call = sizes();
  EXPECT_OK(recurrent_forward(layer, &call, x, T * N * C, STATE(h, c), y, T * N * H, scratch));
  EXPECT_OK(recurrent_forward(full, &call, x, T * N * C, STATE(full_h, full_c), expected, T * N * H, scratch));
  EXPECT_OK(recurrent_stream_process(stream, T, x, T * N * C, streamed, T * N * H));
  EXPECT(memcmp(y, streamed, sizeof y) == 0);
  EXPECT(memcmp(y, expected, sizeof y) != 0);
  for (int i = 0; i < T * N * H; i++) EXPECT(fabs((double)(y[i] - expected[i])) < 0.02);
  if (of_training) {
    recurrent_record *record;
    EXPECT_OK(recurrent_record_create(&record));
    EXPECT_INVALID(of_training,
                   recurrent_record_forward(layer, &call, x, T * N * C, STATE(h, c), y, T * N * H, record, scratch));
    EXPECT_OK(recurrent_record_destroy(record));
  } else {
    enum { count = 4 * H * (C + H + 2) };
    scalar rounded[count], gradients[count];
    train(layer, x, scratch, rounded, count);
    train(full, x, scratch, gradients, count);
    EXPECT(memcmp(rounded, gradients, sizeof rounded) != 0);
    for (int i = 0; i < count; i++) EXPECT(fabs((double)(rounded[i] - gradients[i])) < 0.05);
  }
  EXPECT_OK(recurrent_stream_destroy(stream));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(full));
  EXPECT_OK(recurrent_layer_destroy(layer));
}
