// Tests that calls allocate nothing after the first one of their kind.
#include "expect.h"

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

void calls_allocate_nothing(void) {
  for (int cell = 0; cell <= RECURRENT_INDRNN; cell++) {
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
void large_calls_allocate_nothing(size_t threads, recurrent_cell cell, int has_lengths) {
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
