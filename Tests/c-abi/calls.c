// Tests forward: what is refused, layouts, lengths and resets.
#include "expect.h"

void forward_is_checked(void) {
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
  EXPECT_INVALID("x_count is -1", recurrent_forward(layer, &call, x, SIZE_MAX, STATE(h, c), y, ys, scratch));
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
  WITH(steps, 0, "steps is 0");
  WITH(batch_size, 0, "batch_size is 0");
  WITH(steps, SIZE_MAX, "steps is -1");
  WITH(steps, SIZE_MAX / 2, "what this machine's memory holds");
  WITH(batch_size, SIZE_MAX / 2, "what this machine's memory holds");
  WITH(steps, (size_t)1 << 62, "what this machine's memory holds");
  WITH(batch_size, (size_t)1 << 40, "what this machine's memory holds");
  WITH(x_layout, 3, "x_layout is 3, expected 0 to 2");
  WITH(y_layout, -1, "y_layout is -1");
  WITH(dropout_mode, 2, "dropout_mode is 2, expected 0 to 1");
  WITH(dropout_mode, -1, "dropout_mode is -1, expected 0 to 1");
  WITH(x_layout, RECURRENT_STRIDED, "x_step is 0");
  WITH(y_layout, RECURRENT_STRIDED, "y_step is 0");
#undef WITH
#define WITH_LENGTHS(text, ...)                                                                \
  do {                                                                                         \
    call = sizes();                                                                            \
    call.lengths = (const int64_t[N]){__VA_ARGS__};                                            \
    call.lengths_count = N;                                                                    \
    EXPECT_INVALID(text, recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch)); \
  } while (0)
  WITH_LENGTHS("lengths[0] is 5, expected 0 to 4", T + 1, 0);
  WITH_LENGTHS("lengths[1] is -1, expected 0 to 4", T, -1);
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
  EXPECT_INVALID("what this machine's memory holds",
                 recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));

  call = sizes();
  call.x_layout = RECURRENT_STRIDED;
  call.x_step = 1;
  call.x_sequence = 1;
  EXPECT_INVALID("rows of 3 overlap", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.x_step = SIZE_MAX / 2;
  EXPECT_INVALID("reach beyond any memory", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.x_step = N * C;
  call.x_sequence = SIZE_MAX;
  EXPECT_INVALID("x_sequence is -1", recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.x_sequence = C;
  EXPECT_OK(recurrent_forward(layer, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("x has 23 values", recurrent_forward(layer, &call, x, xs - 1, STATE(h, c), y, ys, scratch));
  EXPECT_INVALID("x_count is 9223372036854775807",
                 recurrent_forward(layer, &call, x, SIZE_MAX / 2, STATE(h, c), y, ys, scratch));

  EXPECT_INVALID("thread_count is 0", recurrent_scratch_create(0, &scratch));
  EXPECT(scratch == NULL);
  EXPECT_INVALID("thread_count is 1025", recurrent_scratch_create(1025, &scratch));
  EXPECT_INVALID("thread_count is -1", recurrent_scratch_create(SIZE_MAX, &scratch));
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

void layouts_lengths_and_resets(void) {
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
