// Uses the C ABI from C17: every function as intended, and every wrong use that must be an error. With -DDOUBLES, it
// uses the functions for doubles.
#include <math.h>
#include <pthread.h>
#include <recurrent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"

int failures;

// MARK: - Allocations

// Counts the allocations of the whole process, the library included, on all threads.
static _Atomic size_t allocations;
static void count_one(void) { allocations++; }
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size) { return count_one(), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return count_one(), __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return count_one(), __libc_realloc(memory, size); }
void *aligned_alloc(size_t alignment, size_t size) { return count_one(), __libc_memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
  count_one();
  *memory = __libc_memalign(alignment, size);
  return *memory == NULL;
}

static void calls_allocate_nothing(void) {
  for (int cell = 0; cell < 3; cell++) {
    recurrent_layer_options options = lstm_options();
    options.cell = (recurrent_cell)cell;
    options.layer_count = 2;
    recurrent_layer *layer = make_layer(options);
    recurrent_scratch *scratch;
    recurrent_record *record;
    recurrent_gradients *gradients;
    recurrent_stream *stream;
    EXPECT_OK(recurrent_scratch_create(1, &scratch));
    EXPECT_OK(recurrent_record_create(&record));
    EXPECT_OK(recurrent_gradients_create(layer, &gradients));
    EXPECT_OK(recurrent_stream_create(layer, N, &stream));
    enum { xs = T * N * C, ys = T * N * H, states = 2 * N * H };
    scalar x[xs], y[ys], dx[xs], h[states] = {0}, c[states] = {0};
    scalar *own_c = cell == RECURRENT_LSTM ? c : NULL;
    fill(x, xs);
    recurrent_call call = sizes();
    call.y_layout = RECURRENT_STRIDED;
    call.y_step = N * H;
    call.y_sequence = H;
    size_t before = 0;
    for (int round = 0; round < 3; round++) {
      EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, own_c), y, ys, scratch));
      EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, own_c), y, ys, record, scratch));
      EXPECT_OK(recurrent_backward(layer, record, x, xs, y, ys, STATE(h, own_c), dx, xs, gradients, scratch));
      EXPECT_OK(recurrent_gradients_zero(gradients));
      EXPECT_OK(recurrent_stream_process(stream, T, x, xs, y, ys));
      EXPECT_OK(recurrent_stream_step(stream, x, N * C, y, N * H));
      EXPECT_OK(recurrent_stream_get_state(stream, STATE(h, own_c)));
      EXPECT_OK(recurrent_stream_set_state(stream, STATE(h, own_c)));
      EXPECT(allocations > 0);
      if (round > 0 && allocations != before) {
        failures++;
        printf("cell %d: calls allocated %zu times\n", cell, allocations - before);
      }
      before = allocations;
    }
    EXPECT_OK(recurrent_stream_destroy(stream));
    EXPECT_OK(recurrent_gradients_destroy(gradients));
    EXPECT_OK(recurrent_record_destroy(record));
    EXPECT_OK(recurrent_scratch_destroy(scratch));
    EXPECT_OK(recurrent_layer_destroy(layer));
  }
}

// The same with lengths and resets, and with a layer so large that two threads divide it.
static void large_calls_allocate_nothing(size_t threads, recurrent_cell cell, int has_lengths) {
  enum { inputs = 40, units = 160, batch = 24, steps = 6, states = batch * units };
  enum { xs = steps * batch * inputs, ys = steps * batch * units };
  static scalar x[xs], dx[xs], y[ys], h[states], c[states];
  scalar *own_c = cell == RECURRENT_LSTM ? c : NULL;
  recurrent_layer_options options = lstm_options();
  options.cell = cell;
  options.input_size = inputs;
  options.hidden_size = units;
  recurrent_layer *layer = make_layer(options);
  recurrent_scratch *scratch;
  recurrent_record *record;
  recurrent_gradients *gradients;
  EXPECT_OK(recurrent_scratch_create(threads, &scratch));
  EXPECT_OK(recurrent_record_create(&record));
  EXPECT_OK(recurrent_gradients_create(layer, &gradients));
  int64_t lengths[batch];
  uint8_t resets[steps * batch];
  for (size_t n = 0; n < batch; n++) lengths[n] = (int64_t)(n * 5 % (steps + 1));
  for (size_t row = 0; row < steps * batch; row++) resets[row] = row % 11 == 0;
  recurrent_call call = {.size = sizeof call, .steps = steps, .batch_size = batch};
  if (has_lengths) {
    call.lengths = lengths;
    call.lengths_count = batch;
    call.resets = resets;
    call.resets_count = steps * batch;
  }
  fill(x, xs);
  size_t before = 0;
  for (int round = 0; round < 4; round++) {
    memset(h, 0, sizeof h);
    memset(c, 0, sizeof c);
    EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, own_c), y, ys, scratch));
    EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, own_c), y, ys, record, scratch));
    EXPECT_OK(recurrent_backward(layer, record, x, xs, y, ys, STATE(h, own_c), dx, xs, gradients, scratch));
    if (round > 0 && allocations != before) {
      failures++;
      printf("cell %d, %zu threads, lengths %d: calls allocated %zu times\n", (int)cell, threads, has_lengths,
             allocations - before);
    }
    before = allocations;
  }
  EXPECT_OK(recurrent_gradients_destroy(gradients));
  EXPECT_OK(recurrent_record_destroy(record));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(layer));
}

// MARK: - Options

static void options_are_checked(void) {
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
  WITH(input_size, 0, "options.input_size is 0, expected 1 to");
  WITH(hidden_size, 0, "options.hidden_size is 0");
  WITH(layer_count, 0, "options.layer_count is 0");
  WITH(input_size, SIZE_MAX, "options.input_size is 18446744073709551615");
  WITH(hidden_size, SIZE_MAX / 2, "expected a product of at most");
  WITH(hidden_size, (size_t)1 << 32, "expected a product of at most");
  WITH(layer_count, (size_t)1 << 60, "expected a product of at most");
  WITH(cell, 4, "options.cell is 4, expected 0 to 3");
  WITH(direction, 4, "options.direction is 4, expected 0 to 3");
  WITH(activation, 2, "options.activation is 2");
  WITH(cell_output, 2, "options.cell_output is 2");
  WITH(reset, 2, "options.reset is 2");
  WITH(update, 7, "options.update is 7");
  WITH(instruction_set, 4, "options.instruction_set is 4");
  WITH(weights, 3, "options.weights is 3, expected 0 to 2");
  WITH(dropout, 1.5f, "dropout is 1.5, expected 0 ... 1");
  WITH(dropout, -0.5f, "dropout is -0.5");
  WITH(dropout, NAN, "dropout is nan");
#undef WITH
}

static void forms_differ(void) {
  // Each variant of each cell gives another y, and every instruction set that exists runs.
  struct {
    recurrent_cell cell;
    int activation, cell_output, reset, update;
  } forms[] = {{RECURRENT_RNN, 0, 0, 0, 0},  {RECURRENT_RNN, 1, 0, 0, 0}, {RECURRENT_LSTM, 0, 0, 0, 0},
               {RECURRENT_LSTM, 0, 1, 0, 0}, {RECURRENT_GRU, 0, 0, 0, 0}, {RECURRENT_GRU, 0, 0, 1, 0},
               {RECURRENT_GRU, 0, 0, 0, 1},  {RECURRENT_GRU, 0, 0, 1, 1},
               {RECURRENT_INDRNN, 0, 0, 0, 0}, {RECURRENT_INDRNN, 1, 0, 0, 0}};
  enum { count = sizeof forms / sizeof *forms, states = N * H };
  scalar x[T * N * C], y[count][T * N * H];
  fill(x, T * N * C);
  recurrent_scratch *scratch;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  for (int set = 0; set <= 3; set++) {
    for (int i = 0; i < count; i++) {
      recurrent_layer_options options = lstm_options();
      options.cell = forms[i].cell;
      options.activation = (recurrent_activation)forms[i].activation;
      options.cell_output = (recurrent_cell_output)forms[i].cell_output;
      options.reset = (recurrent_reset_form)forms[i].reset;
      options.update = (recurrent_update_form)forms[i].update;
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

static void weights_in_fewer_bits(recurrent_weights weights, const char *of_doubles, const char *of_training) {
  enum { states = N * H };
  recurrent_layer_options options = lstm_options();
  options.weights = weights;
  recurrent_layer *layer = NULL;
  if (is_double) {
    EXPECT_INVALID(of_doubles, recurrent_layer_create(&options, &layer));
    return;
  }
  options.seed = 3;
  layer = make_layer(options);
  options.weights = RECURRENT_WEIGHTS_FULL;
  recurrent_layer *full = make_layer(options);
  recurrent_scratch *scratch;
  recurrent_record *record;
  recurrent_stream *stream;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  EXPECT_OK(recurrent_record_create(&record));
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
  EXPECT_INVALID(of_training,
                 recurrent_record_forward(layer, &call, x, T * N * C, STATE(h, c), y, T * N * H, record, scratch));
  EXPECT_OK(recurrent_stream_destroy(stream));
  EXPECT_OK(recurrent_record_destroy(record));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(full));
  EXPECT_OK(recurrent_layer_destroy(layer));
}

// MARK: - Parameters

static void parameters_have_pytorchs_names(void) {
  recurrent_layer_options options = lstm_options();
  options.layer_count = 2;
  options.direction = RECURRENT_BIDIRECTIONAL;
  recurrent_layer *layer = make_layer(options);
  const char *names[] = {"weight_ih_l0",         "weight_hh_l0",         "bias_ih_l0",         "bias_hh_l0",
                         "weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse",
                         "weight_ih_l1",         "weight_hh_l1",         "bias_ih_l1",         "bias_hh_l1",
                         "weight_ih_l1_reverse", "weight_hh_l1_reverse", "bias_ih_l1_reverse", "bias_hh_l1_reverse"};
  size_t count = 0, values = 0, sum = 0, rows = 0, columns = 0;
  EXPECT_OK(recurrent_layer_parameter_count(layer, &count));
  EXPECT(count == 16);
  for (size_t i = 0; i < count; i++) {
    const char *name = NULL;
    EXPECT_OK(recurrent_layer_parameter_name(layer, i, &name));
    EXPECT(name && strcmp(name, names[i]) == 0);
    EXPECT_OK(recurrent_layer_parameter_shape(layer, names[i], &rows, &columns));
    EXPECT(rows == 4 * H && columns == (i % 4 > 1 ? 1 : i % 4 == 1 ? H : i < 8 ? C : 2 * H));
    sum += rows * columns;
  }
  EXPECT_OK(recurrent_layer_value_count(layer, &values));
  EXPECT(values == sum);
  size_t size = 0;
  EXPECT_OK(recurrent_layer_output_size(layer, &size));
  EXPECT(size == 2 * H);
  EXPECT_OK(recurrent_layer_state_count(layer, &size));
  EXPECT(size == 4);

  const char *name;
  EXPECT_INVALID("index is 16, expected 0 to 15", recurrent_layer_parameter_name(layer, 16, &name));
  EXPECT_INVALID("index is 18446744073709551615", recurrent_layer_parameter_name(layer, SIZE_MAX, &name));
  EXPECT_INVALID("name is null", recurrent_layer_parameter_name(layer, 0, NULL));
  EXPECT_INVALID("name is null", recurrent_layer_parameter_shape(layer, NULL, &rows, &columns));
  EXPECT_INVALID("rows is null", recurrent_layer_parameter_shape(layer, "bias_ih_l0", NULL, &columns));
  EXPECT_INVALID("columns is null", recurrent_layer_parameter_shape(layer, "bias_ih_l0", &rows, NULL));
  EXPECT_ERROR(RECURRENT_UNKNOWN_NAME, "there are: weight_ih_l0, weight_hh_l0, bias_ih_l0",
               recurrent_layer_parameter_shape(layer, "bias", &rows, &columns));

  scalar bias[4 * H], back[4 * H];
  fill(bias, 4 * H);
  EXPECT_OK(recurrent_layer_set_parameter(layer, "bias_hh_l1_reverse", bias, 4 * H));
  EXPECT_OK(recurrent_layer_get_parameter(layer, "bias_hh_l1_reverse", back, 4 * H));
  EXPECT(memcmp(bias, back, sizeof bias) == 0);
  EXPECT_ERROR(RECURRENT_UNKNOWN_NAME, "parameter 'bias_hh_l2' does not exist, there are: weight_ih_l0",
               recurrent_layer_set_parameter(layer, "bias_hh_l2", bias, 4 * H));
  EXPECT_ERROR(RECURRENT_UNKNOWN_NAME, "'' does not exist", recurrent_layer_get_parameter(layer, "", back, 4 * H));
  EXPECT_INVALID("count is 3, expected 20, bias_hh_l0's shape [20]",
                 recurrent_layer_set_parameter(layer, "bias_hh_l0", bias, 3));
  EXPECT_INVALID("count is 21, expected 20", recurrent_layer_get_parameter(layer, "bias_hh_l0", back, 21));
  EXPECT_INVALID("values_count is 18446744073709551615",
                 recurrent_layer_get_parameter(layer, "bias_hh_l0", back, SIZE_MAX));
  EXPECT_INVALID("values is null", recurrent_layer_set_parameter(layer, "bias_hh_l0", NULL, 4 * H));
  EXPECT_INVALID("values is null", recurrent_layer_get_parameter(layer, "bias_hh_l0", NULL, 4 * H));
  EXPECT_INVALID(is_double ? "expected a multiple of 8 bytes" : "expected a multiple of 4 bytes",
                 recurrent_layer_get_parameter(layer, "bias_hh_l0", (scalar *)(void *)((char *)back + 1), 4 * H));

  scalar *all = malloc(values * sizeof(scalar)), *again = malloc(values * sizeof(scalar));
  fill(all, values);
  EXPECT_OK(recurrent_layer_set_values(layer, all, values));
  EXPECT_OK(recurrent_layer_get_values(layer, again, values));
  EXPECT(memcmp(all, again, values * sizeof(scalar)) == 0);
  EXPECT_OK(recurrent_layer_get_parameter(layer, "bias_hh_l1_reverse", back, 4 * H));
  EXPECT(memcmp(back, all + values - 4 * H, sizeof back) == 0);
  EXPECT_INVALID("all parameters", recurrent_layer_set_values(layer, all, values - 1));
  EXPECT_INVALID("all parameters", recurrent_layer_get_values(layer, all, values + 1));
  EXPECT_INVALID("values is null", recurrent_layer_set_values(layer, NULL, values));
  free(all);
  free(again);
  EXPECT_OK(recurrent_layer_destroy(layer));

  options = lstm_options();
  options.no_bias = 1;
  layer = make_layer(options);
  EXPECT_OK(recurrent_layer_parameter_count(layer, &count));
  EXPECT(count == 2);
  EXPECT_OK(recurrent_layer_destroy(layer));
}

// MARK: - Calls

static void forward_is_checked(void) {
  recurrent_layer *layer = make_layer(lstm_options());
  recurrent_scratch *scratch = NULL;
  EXPECT_OK(recurrent_scratch_create(2, &scratch));
  scalar x[T * N * C], y[T * N * H], h[N * H] = {0}, c[N * H] = {0};
  enum { xs = T * N * C, ys = T * N * H, states = N * H };
  fill(x, xs);
  recurrent_call call = sizes();
  size_t bytes = 1, threads = 0;
  EXPECT_OK(recurrent_scratch_byte_count(scratch, &bytes));
  EXPECT(bytes == 0);
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_OK(recurrent_scratch_byte_count(scratch, &bytes));
  EXPECT(bytes > 0);
  EXPECT_OK(recurrent_scratch_thread_count(scratch, &threads));
  EXPECT(threads == 2);
  EXPECT(memcmp(h, y + (T - 1) * N * H, sizeof h) == 0);

  EXPECT_INVALID("layer is null", recurrent_forward(NULL, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("call is null", recurrent_forward(layer, NULL, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("x is null", recurrent_forward(layer, &call, NULL, xs, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("h is null", recurrent_forward(layer, &call, x, xs, STATE(NULL, c), y, ys, scratch));
  EXPECT_INVALID("c is null", recurrent_forward(layer, &call, x, xs, STATE(h, NULL), y, ys, scratch));
  EXPECT_INVALID("y is null", recurrent_forward(layer, &call, x, xs, STATE(h, c), NULL, ys, scratch));
  EXPECT_INVALID("scratch is null", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, NULL));
  EXPECT_INVALID("x has 23 values, expected 4·2·3 = 24",
                 recurrent_forward(layer, &call, x, xs - 1, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("y has 41 values, expected 4·2·5 = 40",
                 recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys + 1, scratch));
  EXPECT_INVALID("x_count is 18446744073709551615",
                 recurrent_forward(layer, &call, x, SIZE_MAX, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("y overlaps x", recurrent_forward(layer, &call, y, xs, STATE(h, c), y, ys, scratch));
  EXPECT_ERROR(RECURRENT_INVALID_HANDLE, "scratch is a recurrent_layer, expected a recurrent_scratch",
               recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, (recurrent_scratch *)layer));
  EXPECT_ERROR(RECURRENT_INVALID_HANDLE, "layer is a recurrent_scratch, expected a recurrent_layer",
               recurrent_forward((recurrent_layer *)scratch, &call, x, xs, STATE(h, c), y, ys, scratch));
  static const double nothing[4] = {1, 2, 3, 4};
  EXPECT_ERROR(RECURRENT_INVALID_HANDLE, "layer is no handle or a destroyed one",
               recurrent_forward((const recurrent_layer *)nothing, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_ERROR(RECURRENT_INVALID_HANDLE, "layer is no handle",
               recurrent_forward((const recurrent_layer *)((const char *)nothing + 1), &call, x, xs, STATE(h, c), y, ys,
                                 scratch));

#define WITH(field, value, text)                                                               \
  do {                                                                                         \
    call = sizes();                                                                            \
    call.field = value;                                                                        \
    EXPECT_INVALID(text, recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch)); \
  } while (0)
  WITH(steps, 0, "call.steps is 0");
  WITH(batch_size, 0, "call.batch_size is 0");
  WITH(steps, SIZE_MAX, "call.steps is 18446744073709551615");
  WITH(steps, SIZE_MAX / 2, "expected a product of at most");
  WITH(batch_size, SIZE_MAX / 2, "expected a product of at most");
  WITH(steps, (size_t)1 << 62, "expected a product of at most");
  WITH(batch_size, (size_t)1 << 40, "expected a product of at most");
  WITH(x_layout, 3, "call.x_layout is 3, expected 0 to 2");
  WITH(y_layout, -1, "call.y_layout is 4294967295");
  WITH(dropout_mode, 2, "call.dropout_mode is 2, expected 0 or 1");
  WITH(dropout_mode, -1, "call.dropout_mode is 4294967295, expected 0 or 1");
  WITH(x_layout, RECURRENT_STRIDED, "call.x_step is 0");
  WITH(y_layout, RECURRENT_STRIDED, "call.y_step is 0");
#undef WITH
#define WITH_LENGTHS(text, ...)                                                                \
  do {                                                                                         \
    call = sizes();                                                                            \
    call.lengths = (const int64_t[N]){__VA_ARGS__};                                            \
    call.lengths_count = N;                                                                    \
    EXPECT_INVALID(text, recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch)); \
  } while (0)
  WITH_LENGTHS("lengths[0] is 5, expected 0 ... 4", T + 1, 0);
  WITH_LENGTHS("lengths[1] is -1, expected 0 ... 4", T, -1);
  WITH_LENGTHS("lengths[1] is 9223372036854775807", T, INT64_MAX);
  WITH_LENGTHS("lengths[0] is -9223372036854775808", INT64_MIN, 0);
#undef WITH_LENGTHS
  // Sizes that overflow are refused before lengths and resets are read.
  call = sizes();
  call.steps = (size_t)1 << 62;
  call.lengths = (const int64_t[N]){0, 0};
  call.lengths_count = N;
  call.resets = (const uint8_t[1]){0};
  call.resets_count = 1;
  EXPECT_INVALID("expected a product of at most", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));

  call = sizes();
  call.x_layout = RECURRENT_STRIDED;
  call.x_step = 1;
  call.x_sequence = 1;
  EXPECT_INVALID("rows of 3 overlap", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.x_step = SIZE_MAX / 2;
  EXPECT_INVALID("reach beyond any memory", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.x_step = N * C;
  call.x_sequence = SIZE_MAX;
  EXPECT_INVALID("call.x_sequence is 18446744073709551615",
                 recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.x_sequence = C;
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("x has 23 values", recurrent_forward(layer, &call, x, xs - 1, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("x_count is 9223372036854775807",
                 recurrent_forward(layer, &call, x, SIZE_MAX / 2, STATE(h, c), y, ys, scratch));

  EXPECT_INVALID("thread_count is 0", recurrent_scratch_create(0, &scratch));
  EXPECT(scratch == NULL);
  EXPECT_INVALID("thread_count is 1025", recurrent_scratch_create(1025, &scratch));
  EXPECT_INVALID("thread_count is 18446744073709551615", recurrent_scratch_create(SIZE_MAX, &scratch));
  EXPECT_INVALID("scratch is null", recurrent_scratch_create(1, NULL));
  EXPECT_INVALID("scratch is null", recurrent_scratch_byte_count(NULL, &bytes));

  recurrent_layer_options options = lstm_options();
  options.cell = RECURRENT_GRU;
  recurrent_layer *gru = make_layer(options);
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  call = sizes();
  EXPECT_INVALID("c is not null", recurrent_forward(gru, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_OK(recurrent_forward(gru, &call, x, xs, STATE(h, NULL), y, ys, scratch));
  EXPECT_OK(recurrent_layer_destroy(gru));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(layer));
}

static void layouts_lengths_and_resets(void) {
  recurrent_layer *layer = make_layer(lstm_options());
  recurrent_scratch *scratch;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  enum { xs = T * N * C, ys = T * N * H, states = N * H };
  scalar x[xs], y[ys], h[N * H] = {0}, c[N * H] = {0};
  fill(x, xs);
  recurrent_call call = sizes();
  call.lengths = (const int64_t[N]){2, T};
  call.lengths_count = N;
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  for (int i = 0; i < H; i++) {
    EXPECT(y[2 * N * H + i] == 0);
    EXPECT(h[i] == y[N * H + i]);
  }
  // The same sequences batch-major, with y strided as [T][N][H + 1].
  scalar x2[xs], y2[T * N * (H + 1)], h2[N * H] = {0}, c2[N * H] = {0};
  for (int t = 0; t < T; t++)
    for (int n = 0; n < N; n++) memcpy(x2 + (n * T + t) * C, x + (t * N + n) * C, C * sizeof(scalar));
  call.x_layout = RECURRENT_BATCH_MAJOR;
  call.y_layout = RECURRENT_STRIDED;
  call.y_step = N * (H + 1);
  call.y_sequence = H + 1;
  EXPECT_OK(recurrent_forward(layer, &call, x2, xs, STATE(h2, c2), y2, T * N * (H + 1), scratch));
  EXPECT(memcmp(h, h2, sizeof h) == 0 && memcmp(c, c2, sizeof c) == 0);
  for (int row = 0; row < T * N; row++) EXPECT(memcmp(y + row * H, y2 + row * (H + 1), H * sizeof(scalar)) == 0);

  // A sequence with a reset gives the same as two sequences.
  call = sizes();
  call.resets = (const uint8_t[T * N]){0, 0, 0, 0, 1, 0};
  call.resets_count = T * N;
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  scalar h3[N * H] = {0}, c3[N * H] = {0}, y3[2 * N * H];
  call = sizes();
  call.steps = 2;
  EXPECT_OK(recurrent_forward(layer, &call, x + 2 * N * C, 2 * N * C, STATE(h3, c3), y3, 2 * N * H, scratch));
  EXPECT(memcmp(h, h3, H * sizeof(scalar)) == 0 && memcmp(h + H, h3 + H, H * sizeof(scalar)) != 0);

  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(layer));
}

// MARK: - Training

static void training_is_checked(void) {
  recurrent_layer_options options = lstm_options();
  options.layer_count = 2;
  options.dropout = 0.5f;
  recurrent_layer *layer = make_layer(options), *other = make_layer(lstm_options());
  recurrent_scratch *scratch;
  recurrent_record *record = NULL;
  recurrent_gradients *gradients = NULL, *of_other = NULL;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  EXPECT_OK(recurrent_record_create(&record));
  EXPECT_OK(recurrent_gradients_create(layer, &gradients));
  EXPECT_OK(recurrent_gradients_create(other, &of_other));
  EXPECT_INVALID("record is null", recurrent_record_create(NULL));
  EXPECT_INVALID("layer is null", recurrent_gradients_create(NULL, &of_other));
  EXPECT(of_other == NULL);
  EXPECT_OK(recurrent_gradients_create(other, &of_other));
  EXPECT_INVALID("gradients is null", recurrent_gradients_create(layer, NULL));

  enum { xs = T * N * C, ys = T * N * H, states = 2 * N * H };
  scalar x[xs], y[ys], y2[ys], dy[ys], dx[xs], h[states] = {0}, c[states] = {0}, dh[states] = {0}, dc[states] = {0};
  fill(x, xs);
  fill(dy, ys);
  recurrent_call call = sizes();
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  call.dropout_mode = RECURRENT_DROPOUT_OFF;
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), y2, ys, record, scratch));
  EXPECT(memcmp(y, y2, sizeof y) == 0);
  // A call whose fields are all zero drops, so that nobody trains without dropout because of a forgotten field. Equal
  // seeds drop the same units.
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  call.dropout_mode = RECURRENT_DROPOUT_SEEDED;
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), y2, ys, record, scratch));
  EXPECT(memcmp(y, y2, sizeof y) != 0);
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), dy, ys, record, scratch));
  EXPECT(memcmp(dy, y2, sizeof y) == 0);
  call.dropout_seed = 7;
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), dy, ys, record, scratch));
  EXPECT(memcmp(dy, y2, sizeof y) != 0);
  fill(dy, ys);
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), y2, ys, record, scratch));
  EXPECT(memcmp(y, y2, sizeof y) != 0);
  call.y_layout = RECURRENT_BATCH_MAJOR;
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  call.dropout_mode = RECURRENT_DROPOUT_OFF;
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), y2, ys, record, scratch));
  for (int t = 0; t < T; t++)
    for (int n = 0; n < N; n++) EXPECT(memcmp(y + (t * N + n) * H, y2 + (n * T + t) * H, H * sizeof(scalar)) == 0);
  EXPECT_INVALID("y is null and y_count is 1",
                 recurrent_record_forward(layer, &call, x, xs, STATE(h, c), NULL, 1, record, scratch));
  EXPECT_INVALID("y has 39 values",
                 recurrent_record_forward(layer, &call, x, xs, STATE(h, c), y, ys - 1, record, scratch));
  EXPECT_INVALID("record is null", recurrent_record_forward(layer, &call, x, xs, STATE(h, c), NULL, 0, NULL, scratch));
  EXPECT_INVALID("x is null", recurrent_record_forward(layer, &call, NULL, xs, STATE(h, c), NULL, 0, record, scratch));

#define BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, dxs, gradients, scratch) \
  recurrent_backward(layer, record, x, xs, dy, ys, STATE(dh, dc), dx, dxs, gradients, scratch)
  EXPECT_INVALID("layer is null", BACKWARD(NULL, record, x, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("record is null", BACKWARD(layer, NULL, x, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("x is null", BACKWARD(layer, record, NULL, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("dy is null and dy_count is 40, expected 0 then",
                 BACKWARD(layer, record, x, xs, NULL, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("d_state.h is null", BACKWARD(layer, record, x, xs, dy, ys, NULL, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("d_state.c is null", BACKWARD(layer, record, x, xs, dy, ys, dh, NULL, dx, xs, gradients, scratch));
  EXPECT_INVALID("dx is null and dx_count",
                 BACKWARD(layer, record, x, xs, dy, ys, dh, dc, NULL, xs, gradients, scratch));
  EXPECT_INVALID("gradients is null", BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, xs, NULL, scratch));
  EXPECT_INVALID("scratch is null", BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, xs, gradients, NULL));
  EXPECT_INVALID("x has 1 values", BACKWARD(layer, record, x, 1, dy, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("dy has 39 values", BACKWARD(layer, record, x, xs, dy, ys - 1, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("dx has 0 values", BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, 0, gradients, scratch));
  EXPECT_INVALID("dx overlaps x", BACKWARD(layer, record, x, xs, dy, ys, dh, dc, x, xs, gradients, scratch));
  EXPECT_INVALID("gradients are of", BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, xs, of_other, scratch));
  EXPECT_INVALID("the record was filled by", BACKWARD(other, record, x, xs, dy, ys, dh, dc, dx, xs, of_other, scratch));
  EXPECT_ERROR(RECURRENT_INVALID_HANDLE, "record is a recurrent_gradients",
               BACKWARD(layer, (recurrent_record *)gradients, x, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_OK(BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));
  EXPECT_INVALID("the record is empty or was consumed",
                 BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));

  scalar bias[4 * H], twice[4 * H];
  EXPECT_OK(recurrent_gradients_get(gradients, "bias_hh_l1", bias, 4 * H));
  double largest = 0;
  for (int i = 0; i < 4 * H; i++) largest = fmax(largest, fabs(bias[i]));
  EXPECT(largest > 0);
  // Gradients are added to, dx and dy may be null, and zeroed gradients are 0.
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  memset(dh, 0, sizeof dh);
  memset(dc, 0, sizeof dc);
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), NULL, 0, record, scratch));
  EXPECT_OK(BACKWARD(layer, record, x, xs, dy, ys, dh, dc, NULL, 0, gradients, scratch));
  EXPECT_OK(recurrent_gradients_get(gradients, "bias_hh_l1", twice, 4 * H));
  for (int i = 0; i < 4 * H; i++) EXPECT(fabs(twice[i] - 2 * bias[i]) <= (is_double ? 1e-14 : 1e-5) * largest);
  size_t count = 0;
  EXPECT_OK(recurrent_layer_value_count(layer, &count));
  scalar *all = malloc(count * sizeof(scalar));
  EXPECT_OK(recurrent_gradients_get_values(gradients, all, count));
  EXPECT(memcmp(twice, all + count - 4 * H, sizeof twice) == 0);
  EXPECT_INVALID("all parameters", recurrent_gradients_get_values(gradients, all, 1));
  EXPECT_INVALID("values is null", recurrent_gradients_get_values(gradients, NULL, count));
  free(all);
  EXPECT_OK(recurrent_gradients_zero(gradients));
  EXPECT_OK(recurrent_gradients_get(gradients, "bias_hh_l1", bias, 4 * H));
  for (int i = 0; i < 4 * H; i++) EXPECT(bias[i] == 0);
  memset(dh, 0, sizeof dh);
  memset(dc, 0, sizeof dc);
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), NULL, 0, record, scratch));
  EXPECT_OK(BACKWARD(layer, record, x, xs, NULL, 0, dh, dc, dx, xs, gradients, scratch));
  for (int i = 0; i < xs; i++) EXPECT(dx[i] == 0);
  EXPECT_ERROR(RECURRENT_UNKNOWN_NAME, "there are: weight_ih_l0",
               recurrent_gradients_get(gradients, "weight", bias, 4 * H));
  EXPECT_INVALID("count is 1", recurrent_gradients_get(gradients, "bias_hh_l1", bias, 1));
  EXPECT_INVALID("name is null", recurrent_gradients_get(gradients, NULL, bias, 4 * H));

  // The layer no longer has the record's parameters.
  EXPECT_OK(recurrent_record_forward(layer, &call, x, xs, STATE(h, c), NULL, 0, record, scratch));
  EXPECT_OK(recurrent_layer_set_parameter(layer, "bias_hh_l1", bias, 4 * H));
  EXPECT_INVALID("other parameters than the layer has now",
                 BACKWARD(layer, record, x, xs, dy, ys, dh, dc, dx, xs, gradients, scratch));

  EXPECT_OK(recurrent_gradients_destroy(gradients));
  EXPECT_OK(recurrent_gradients_destroy(of_other));
  EXPECT_OK(recurrent_record_destroy(record));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(layer));
  EXPECT_OK(recurrent_layer_destroy(other));
}

// MARK: - Streams

static void streams_step(void) {
  recurrent_layer_options options = lstm_options();
  options.layer_count = 2;
  recurrent_layer *layer = make_layer(options);
  recurrent_scratch *scratch;
  recurrent_stream *stream = NULL, *fork = NULL;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  EXPECT_OK(recurrent_stream_create(layer, N, &stream));
  enum { xs = T * N * C, ys = T * N * H, states = 2 * N * H };
  scalar x[xs], whole[ys], y[ys], h[states] = {0}, c[states] = {0}, h2[states], c2[states];
  fill(x, xs);
  recurrent_call call = sizes();
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), whole, ys, scratch));
  for (int t = 0; t < T; t++) EXPECT_OK(recurrent_stream_step(stream, x + t * N * C, N * C, y + t * N * H, N * H));
  EXPECT(memcmp(y, whole, sizeof y) == 0);
  EXPECT_OK(recurrent_stream_get_state(stream, STATE(h2, c2)));
  EXPECT(memcmp(h, h2, sizeof h) == 0 && memcmp(c, c2, sizeof c) == 0);
  EXPECT_OK(recurrent_stream_reset(stream));
  EXPECT_OK(recurrent_stream_process(stream, T, x, xs, y, ys));
  EXPECT(memcmp(y, whole, sizeof y) == 0);
  EXPECT_OK(recurrent_stream_process(stream, 0, x, 0, y, 0));

  // A fork, and a stream that was set to the same state, continue with the same bits.
  EXPECT_OK(recurrent_stream_fork(stream, &fork));
  EXPECT_OK(recurrent_stream_step(stream, x, N * C, y, N * H));
  EXPECT_OK(recurrent_stream_set_state(stream, STATE(h2, c2)));
  EXPECT_OK(recurrent_stream_step(stream, x, N * C, y + N * H, N * H));
  EXPECT_OK(recurrent_stream_step(fork, x, N * C, y + 2 * N * H, N * H));
  EXPECT(memcmp(y, y + N * H, N * H * sizeof(scalar)) == 0 && memcmp(y, y + 2 * N * H, N * H * sizeof(scalar)) == 0);

  int active = -1;
  EXPECT_OK(recurrent_stream_leave(stream, 0));
  EXPECT_OK(recurrent_stream_is_active(stream, 0, &active));
  EXPECT(active == 0);
  EXPECT_OK(recurrent_stream_step(stream, x, N * C, y, N * H));
  for (int i = 0; i < H; i++) EXPECT(y[i] == 0 && y[H + i] != 0);
  EXPECT_OK(recurrent_stream_join(stream, 0));
  EXPECT_OK(recurrent_stream_is_active(stream, 0, &active));
  EXPECT(active == 1);
  EXPECT_OK(recurrent_stream_step(stream, x, N * C, y, N * H));
  EXPECT(memcmp(y, whole, H * sizeof(scalar)) == 0 && memcmp(y + H, whole + H, H * sizeof(scalar)) != 0);
  EXPECT_OK(recurrent_stream_reset_slot(stream, 1));
  EXPECT_OK(recurrent_stream_step(stream, x, N * C, y, N * H));
  EXPECT(memcmp(y + H, whole + H, H * sizeof(scalar)) == 0);

  EXPECT_INVALID("slot is 2, expected 0 ..< 2", recurrent_stream_join(stream, N));
  EXPECT_INVALID("slot is", recurrent_stream_leave(stream, SIZE_MAX));
  EXPECT_INVALID("slot is 2", recurrent_stream_reset_slot(stream, N));
  EXPECT_INVALID("slot is 2", recurrent_stream_is_active(stream, N, &active));
  EXPECT_INVALID("is_active is null", recurrent_stream_is_active(stream, 0, NULL));
  EXPECT_INVALID("stream is null", recurrent_stream_step(NULL, x, N * C, y, N * H));
  EXPECT_INVALID("x is null", recurrent_stream_step(stream, NULL, N * C, y, N * H));
  EXPECT_INVALID("y is null", recurrent_stream_step(stream, x, N * C, NULL, N * H));
  EXPECT_INVALID("x has 5 values", recurrent_stream_step(stream, x, N * C - 1, y, N * H));
  EXPECT_INVALID("y has 11 values", recurrent_stream_step(stream, x, N * C, y, N * H + 1));
  EXPECT_INVALID("y overlaps x", recurrent_stream_step(stream, y, N * C, y, N * H));
  EXPECT_INVALID("steps is 18446744073709551615", recurrent_stream_process(stream, SIZE_MAX, x, xs, y, ys));
  EXPECT_INVALID("steps is 9223372036854775807", recurrent_stream_process(stream, SIZE_MAX / 2, x, xs, y, ys));
  EXPECT_INVALID("x has 24 values", recurrent_stream_process(stream, (size_t)1 << 55, x, xs, y, ys));
  EXPECT_INVALID("h is null", recurrent_stream_get_state(stream, STATE(NULL, c)));
  EXPECT_INVALID("c is null", recurrent_stream_set_state(stream, STATE(h, NULL)));
  EXPECT_INVALID("fork is null", recurrent_stream_fork(stream, NULL));
  EXPECT_INVALID("stream is null", recurrent_stream_create(layer, 1, NULL));
  EXPECT_OK(recurrent_stream_destroy(fork));
  EXPECT_INVALID("batch_size is 0", recurrent_stream_create(layer, 0, &fork));
  EXPECT(fork == NULL);
  EXPECT_INVALID("batch_size is 1152921504606846976, expected a product of at most",
                 recurrent_stream_create(layer, (size_t)1 << 60, &fork));
  options.direction = RECURRENT_REVERSE;
  recurrent_layer *reverse = make_layer(options);
  EXPECT_INVALID("expected forward", recurrent_stream_create(reverse, 1, &fork));
  EXPECT_OK(recurrent_layer_destroy(reverse));

  // A stream may outlive its layer.
  EXPECT_OK(recurrent_layer_destroy(layer));
  EXPECT_ERROR(RECURRENT_INVALID_HANDLE, "destroyed", recurrent_layer_destroy(layer));
  EXPECT_OK(recurrent_stream_step(stream, x, N * C, y, N * H));
  EXPECT_OK(recurrent_stream_destroy(stream));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
}

// MARK: - Files

static char folder[4096];

static const char *write_file(const char *header, uint64_t claimed, size_t content) {
  static char path[5000];
  snprintf(path, sizeof path, "%s/bad.safetensors", folder);
  FILE *file = fopen(path, "wb");
  fwrite(&claimed, sizeof claimed, 1, file);
  fputs(header, file);
  for (size_t i = 0; i < content; i++) fputc(0, file);
  fclose(file);
  return path;
}

static void files_are_checked(void) {
  recurrent_layer_options options = {
      .size = sizeof options, .input_size = 1, .hidden_size = 1, .layer_count = 1, .no_bias = 1, .seed = 3};
  recurrent_layer *layer = make_layer(options), *loaded = NULL;
  options.seed = 4;
  loaded = make_layer(options);
  char path[5000];
  snprintf(path, sizeof path, "%s/good.safetensors", folder);
  scalar before[2], after[2];
  EXPECT_OK(recurrent_layer_get_values(layer, before, 2));
  EXPECT_OK(recurrent_layer_save(layer, path, "encoder."));
  EXPECT_OK(recurrent_layer_load(loaded, path, "encoder."));
  EXPECT_OK(recurrent_layer_get_values(loaded, after, 2));
  EXPECT(memcmp(before, after, sizeof before) == 0);
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "has no tensor 'weight_ih_l0'; it has: encoder.weight_hh_l0",
               recurrent_layer_load(loaded, path, NULL));
  EXPECT_INVALID("path is null", recurrent_layer_load(loaded, NULL, ""));
  EXPECT_INVALID("path is null", recurrent_layer_save(loaded, NULL, ""));
  EXPECT_INVALID("layer is null", recurrent_layer_load(NULL, path, ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be read: No such file or directory",
               recurrent_layer_load(loaded, "/nowhere/at.all", ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be read: the path is empty", recurrent_layer_load(loaded, "", ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be read: Is a directory", recurrent_layer_load(loaded, folder, ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be written: No such file or directory",
               recurrent_layer_save(loaded, "/nowhere/at.all", ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be written: the path is empty", recurrent_layer_save(loaded, "", ""));

  // The file is cut at every possible length.
  FILE *file = fopen(path, "rb");
  char bytes[4096];
  const size_t count = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  snprintf(path, sizeof path, "%s/cut.safetensors", folder);
  for (size_t length = 0; length < count; length++) {
    file = fopen(path, "wb");
    fwrite(bytes, 1, length, file);
    fclose(file);
    EXPECT_ERROR(RECURRENT_FILE_ERROR, length < 8 ? "bytes" : "truncated",
                 recurrent_layer_load(loaded, path, "encoder."));
  }

  const char *ih =
      "{\"weight_ih_l0\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s},"
      "\"weight_hh_l0\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":%s}}";
  struct {
    const char *type, *shape, *first, *second;
    size_t content;
    const char *text;
  } files[] = {
      {"F32", "[1,1]", "[0,4]", "[4,8]", 8, NULL},
      {"F32", "[1,1]", "[0,4]", "[0,4]", 8, "overlap"},
      {"F32", "[1,1]", "[0,4]", "[2,6]", 8, "overlap"},
      {"F32", "[1,1]", "[0,4]", "[8,12]", 12, "holes"},
      {"F32", "[1,1]", "[4,8]", "[8,12]", 12, "holes"},
      {"F32", "[1,1]", "[0,4]", "[4,8]", 12, "bytes that belong to no tensor"},
      {"F32", "[1,1]", "[0,4]", "[4,8]", 7, "truncated"},
      {"F32", "[1,1]", "[0,4]", "[-4,0]", 8, "data_offsets"},
      {"F32", "[1,1]", "[0,4]", "[8,4]", 8, "data_offsets"},
      {"F32", "[1,1]", "[0]", "[4,8]", 8, "data_offsets"},
      {"F32", "[1,1]", "[0,18446744073709551616]", "[4,8]", 8, "header"},
      {"F32", "[1,1]", "[0,9223372036854775807]", "[4,8]", 8, "asks for 4"},
      {"F32", "[-1,-1]", "[0,4]", "[4,8]", 8, "has the number -1, expected plain digits"},
      {"F32", "[4294967296,4294967296]", "[0,4]", "[4,8]", 8, "impossible shape"},
      {"F32", "[1,2]", "[0,4]", "[4,8]", 8, "asks for 8"},
      {"F32", "[1]", "[0,4]", "[4,8]", 8, "has the shape [1], expected [1, 1]"},
      {"I32", "[1,1]", "[0,4]", "[4,8]", 8, "is of type I32, expected floats"},
      {"BOOL", "[1,1]", "[0,1]", "[1,5]", 5, "is of type BOOL, expected floats"},
      {"F33", "[1,1]", "[0,4]", "[4,8]", 8, "unknown type 'F33'"},
      {"F16", "[1,1]", "[0,2]", "[2,6]", 6, NULL},
      {"F64", "[1,1]", "[0,8]", "[8,12]", 12, NULL},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char header[1024];
    snprintf(header, sizeof header, ih, files[i].type, files[i].shape, files[i].first, files[i].second);
    const char *bad = write_file(header, strlen(header), files[i].content);
    if (files[i].text)
      EXPECT_ERROR(RECURRENT_FILE_ERROR, files[i].text, recurrent_layer_load(loaded, bad, NULL));
    else
      EXPECT_OK(recurrent_layer_load(layer, bad, NULL));
  }
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "claims 100000001 bytes, at most 100000000",
               recurrent_layer_load(loaded, write_file("{}", 100000001, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "claims 18446744073709551615 bytes",
               recurrent_layer_load(loaded, write_file("{}", UINT64_MAX, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "does not start with '{'",
               recurrent_layer_load(loaded, write_file("[]", 2, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "does not start with '{'", recurrent_layer_load(loaded, write_file("", 0, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "header is not what",
               recurrent_layer_load(loaded, write_file("{\"a\"", 4, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "header is not what",
               recurrent_layer_load(loaded, write_file("{\"a\":1}", 7, 0), ""));
  // A load that failed has changed nothing.
  EXPECT_OK(recurrent_layer_get_values(loaded, after, 2));
  EXPECT(memcmp(before, after, sizeof before) == 0);
  EXPECT_OK(recurrent_layer_destroy(layer));
  EXPECT_OK(recurrent_layer_destroy(loaded));
}

// MARK: - The rest

static void *other_thread(void *message) {
  *(int *)message = strlen(recurrent_last_message()) == 0;
  EXPECT_INVALID("record is null", recurrent_record_create(NULL));
  return NULL;
}

static void messages_belong_to_threads(void) {
  EXPECT_INVALID("options is null", recurrent_layer_create(NULL, &(recurrent_layer *){NULL}));
  int was_empty = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, other_thread, &was_empty);
  pthread_join(thread, NULL);
  EXPECT(was_empty);
  EXPECT(strstr(recurrent_last_message(), "options is null") != NULL);
}

static void null_is_never_a_crash(void) {
  EXPECT_OK(recurrent_layer_destroy(NULL));
  EXPECT_OK(recurrent_scratch_destroy(NULL));
  EXPECT_OK(recurrent_record_destroy(NULL));
  EXPECT_OK(recurrent_gradients_destroy(NULL));
  EXPECT_OK(recurrent_stream_destroy(NULL));
  EXPECT_INVALID("null", recurrent_layer_output_size(NULL, NULL));
  EXPECT_INVALID("null", recurrent_layer_state_count(NULL, NULL));
  EXPECT_INVALID("null", recurrent_layer_parameter_count(NULL, NULL));
  EXPECT_INVALID("null", recurrent_layer_parameter_name(NULL, 0, NULL));
  EXPECT_INVALID("null", recurrent_layer_parameter_shape(NULL, NULL, NULL, NULL));
  EXPECT_INVALID("null", recurrent_layer_get_parameter(NULL, NULL, NULL, 0));
  EXPECT_INVALID("null", recurrent_layer_set_parameter(NULL, NULL, NULL, 0));
  EXPECT_INVALID("null", recurrent_layer_value_count(NULL, NULL));
  EXPECT_INVALID("null", recurrent_layer_get_values(NULL, NULL, 0));
  EXPECT_INVALID("null", recurrent_layer_set_values(NULL, NULL, 0));
  EXPECT_INVALID("null", recurrent_layer_load(NULL, NULL, NULL));
  EXPECT_INVALID("null", recurrent_layer_save(NULL, NULL, NULL));
  EXPECT_INVALID("null", recurrent_scratch_byte_count(NULL, NULL));
  EXPECT_INVALID("null", recurrent_scratch_thread_count(NULL, NULL));
  EXPECT_INVALID("null", recurrent_forward(NULL, NULL, NULL, 0, NULL, NULL, 0, NULL));
  EXPECT_INVALID("null", recurrent_record_forward(NULL, NULL, NULL, 0, NULL, NULL, 0, NULL, NULL));
  EXPECT_INVALID("null", recurrent_gradients_zero(NULL));
  EXPECT_INVALID("null", recurrent_gradients_get(NULL, NULL, NULL, 0));
  EXPECT_INVALID("null", recurrent_gradients_get_values(NULL, NULL, 0));
  EXPECT_INVALID("null", recurrent_backward(NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, 0, NULL, NULL));
  EXPECT_INVALID("null", recurrent_stream_fork(NULL, NULL));
  EXPECT_INVALID("null", recurrent_stream_step(NULL, NULL, 0, NULL, 0));
  EXPECT_INVALID("null", recurrent_stream_process(NULL, 0, NULL, 0, NULL, 0));
  EXPECT_INVALID("null", recurrent_stream_get_state(NULL, NULL));
  EXPECT_INVALID("null", recurrent_stream_set_state(NULL, NULL));
  EXPECT_INVALID("null", recurrent_stream_reset(NULL));
  EXPECT_INVALID("null", recurrent_stream_reset_slot(NULL, 0));
  EXPECT_INVALID("null", recurrent_stream_join(NULL, 0));
  EXPECT_INVALID("null", recurrent_stream_leave(NULL, 0));
  EXPECT_INVALID("null", recurrent_stream_is_active(NULL, 0, NULL));
  EXPECT_INVALID("null", recurrent_stream_create(NULL, 0, NULL));
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  snprintf(folder, sizeof folder, "%s", arguments[1]);
  EXPECT(strcmp(recurrent_last_message(), "") == 0);
  EXPECT(strcmp(recurrent_version(), RECURRENT_VERSION) == 0);
  EXPECT(strlen(recurrent_processor_description()) > 20);
  calls_allocate_nothing();
  for (int cell = 0; cell < 3; cell++)
    for (size_t threads = 1; threads <= 2; threads++)
      for (int has_lengths = 0; has_lengths < 2; has_lengths++)
        large_calls_allocate_nothing(threads, (recurrent_cell)cell, has_lengths);
  options_are_checked();
  forms_differ();
  weights_in_fewer_bits(RECURRENT_WEIGHTS_INT8, "weights is int8, expected full for a layer of Double",
                        "weights is int8, expected full: only a layer with full weights can be trained");
  weights_in_fewer_bits(RECURRENT_WEIGHTS_BF16, "weights is bf16, expected full for a layer of Double",
                        "weights is bf16, expected full: only a layer with full weights can be trained");
  parameters_have_pytorchs_names();
  forward_is_checked();
  layouts_lengths_and_resets();
  training_is_checked();
  streams_step();
  files_are_checked();
  messages_belong_to_threads();
  null_is_never_a_crash();
  structures_may_grow();
  buffers_are_counted();
  buffers_are_apart();
#ifndef DOUBLES
  scalars_are_told_apart(folder);
#endif
  const char *scalars = is_double ? "doubles" : "floats";
  printf(failures ? "C, %s: %d failures\n" : "C, %s: all as expected\n", scalars, failures);
  return failures != 0;
}
