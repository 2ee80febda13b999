// Tests records, backward and gradients.
#include <math.h>

#include "expect.h"

void training_is_checked(void) {
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
