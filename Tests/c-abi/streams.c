// Tests streams: their steps, forks, states and slots.
#include "expect.h"

void streams_step(void) {
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
  EXPECT_OK(recurrent_stream_process(stream, 0, NULL, 0, NULL, 0));
  EXPECT_EXACTLY("x is null and x_count is 1, expected 0 then", recurrent_stream_process(stream, 0, NULL, 1, y, 0));
  EXPECT_EXACTLY("y has 1 values, expected 0·2·5 = 0", recurrent_stream_process(stream, 0, NULL, 0, y, 1));

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

  EXPECT_INVALID("slot is 2, expected 0 to 1, a seat of the stream", recurrent_stream_join(stream, N));
  EXPECT_EXACTLY("slot is -1, expected 0 to 1, a seat of the stream", recurrent_stream_leave(stream, SIZE_MAX));
  EXPECT_INVALID("slot is 2", recurrent_stream_reset_slot(stream, N));
  EXPECT_INVALID("slot is 2, expected 0 to 1, a seat", recurrent_stream_is_active(stream, N, &active));
  EXPECT_EXACTLY("is_active is null, expected the address of the result", recurrent_stream_is_active(stream, 0, NULL));
  EXPECT_EXACTLY("stream is null, expected a recurrent_stream", recurrent_stream_step(NULL, x, N * C, y, N * H));
  EXPECT_INVALID("x is null", recurrent_stream_step(stream, NULL, N * C, y, N * H));
  EXPECT_INVALID("y is null", recurrent_stream_step(stream, x, N * C, NULL, N * H));
  EXPECT_INVALID("x has 5 values", recurrent_stream_step(stream, x, N * C - 1, y, N * H));
  EXPECT_INVALID("y has 11 values", recurrent_stream_step(stream, x, N * C, y, N * H + 1));
  EXPECT_INVALID("y overlaps x", recurrent_stream_step(stream, y, N * C, y, N * H));
  EXPECT_INVALID("steps is -1", recurrent_stream_process(stream, SIZE_MAX, x, xs, y, ys));
  EXPECT_INVALID("steps is 9223372036854775807", recurrent_stream_process(stream, SIZE_MAX / 2, x, xs, y, ys));
  EXPECT_INVALID("x has 24 values", recurrent_stream_process(stream, (size_t)1 << 55, x, xs, y, ys));
  EXPECT_INVALID("h is null", recurrent_stream_get_state(stream, STATE(NULL, c)));
  EXPECT_INVALID("c is null", recurrent_stream_set_state(stream, STATE(h, NULL)));
  EXPECT_INVALID("fork is null", recurrent_stream_fork(stream, NULL));
  EXPECT_INVALID("stream is null", recurrent_stream_create(layer, 1, NULL));
  EXPECT_OK(recurrent_stream_destroy(fork));
  EXPECT_INVALID("batch_size is 0", recurrent_stream_create(layer, 0, &fork));
  EXPECT(fork == NULL);
  EXPECT_INVALID("batch_size is 1152921504606846976, expected at most",
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
