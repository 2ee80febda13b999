// Uses handles of floats and of doubles together. Each call refuses those of the other scalar and names the function
// that takes them. Functions without a scalar, scratches and records work with both.
#include <math.h>

#include "expect.h"

enum { xs = T * N * C, ys = T * N * H, states = N * H, most_values = 4 * H * (C + H + 2) };

#define STATE_F64(h, c) (&(recurrent_state_f64){sizeof(recurrent_state_f64), h, states, c, states})
#define EXPECT_REFUSED(text, call) EXPECT_ERROR(RECURRENT_INVALID_HANDLE, text, call)

typedef struct {
  recurrent_layer *layer;
  recurrent_gradients *gradients;
  recurrent_stream *stream;
} handles;

static handles make_handles(recurrent_layer *layer) {
  handles made = {.layer = layer};
  EXPECT_OK(recurrent_gradients_create(layer, &made.gradients));
  EXPECT_OK(recurrent_stream_create(layer, N, &made.stream));
  return made;
}

static void destroy_handles(handles made) {
  EXPECT_OK(recurrent_stream_destroy(made.stream));
  EXPECT_OK(recurrent_gradients_destroy(made.gradients));
  EXPECT_OK(recurrent_layer_destroy(made.layer));
}

static recurrent_layer *make_layer_of_doubles(void) {
  const recurrent_layer_options options = lstm_options();
  recurrent_layer *layer = NULL;
  EXPECT_OK(recurrent_layer_create_f64(&options, &layer));
  if (layer == NULL) exit(1);
  return layer;
}

// The functions without a scalar give the same answers for both. The layer of doubles gets the other's values.
static void both_are_alike(handles floats, handles doubles) {
  size_t a = 0, b = 0;
#define EXPECT_EQUAL(name)                                     \
  do {                                                         \
    EXPECT_OK(recurrent_layer_##name(floats.layer, &a));       \
    EXPECT_OK(recurrent_layer_##name(doubles.layer, &b));      \
    EXPECT(a == b && a > 0);                                   \
  } while (0)
  EXPECT_EQUAL(output_size);
  EXPECT_EQUAL(state_count);
  EXPECT_EQUAL(parameter_count);
  EXPECT_EQUAL(value_count);
#undef EXPECT_EQUAL
  EXPECT(a == most_values);
  const char *name = NULL;
  size_t rows = 0, columns = 0;
  EXPECT_OK(recurrent_layer_parameter_name(doubles.layer, 1, &name));
  EXPECT(name && strcmp(name, "weight_hh_l0") == 0);
  EXPECT_OK(recurrent_layer_parameter_shape(doubles.layer, "weight_hh_l0", &rows, &columns));
  EXPECT(rows == 4 * H && columns == H);
  EXPECT_ERROR(RECURRENT_UNKNOWN_NAME, "there are: weight_ih_l0",
               recurrent_layer_parameter_shape(doubles.layer, "weight", &rows, &columns));
  float single[most_values];
  double twice[most_values];
  EXPECT_OK(recurrent_layer_get_values(floats.layer, single, most_values));
  for (size_t i = 0; i < most_values; i++) twice[i] = single[i];
  EXPECT_OK(recurrent_layer_set_values_f64(doubles.layer, twice, most_values));
}

static void others_are_refused(handles floats, handles doubles, recurrent_record *record, recurrent_scratch *scratch) {
  const recurrent_call call = sizes();
  float x[xs], y[ys], h[states] = {0}, c[states] = {0}, values[most_values];
  double x64[xs], y64[ys], h64[states] = {0}, c64[states] = {0}, values64[most_values];
  fill(x, xs);
  for (int i = 0; i < xs; i++) x64[i] = x[i];

#define DOUBLES_GIVEN(kind, function) \
  #kind " holds doubles, expected a recurrent_" #kind " of floats: use recurrent_" #function "_f64"
#define FLOATS_GIVEN(kind, function) \
  #kind " holds floats, expected a recurrent_" #kind " of doubles: use recurrent_" #function
  // Gives each function a handle of the other scalar.
#define EXPECT_BOTH_REFUSED(kind, function, arguments, arguments64)                                      \
  EXPECT_REFUSED(DOUBLES_GIVEN(kind, function), recurrent_##function arguments);                         \
  EXPECT(strcmp(recurrent_last_message(), DOUBLES_GIVEN(kind, function)) == 0);                          \
  EXPECT_REFUSED(FLOATS_GIVEN(kind, function), recurrent_##function##_f64 arguments64);                  \
  EXPECT(strcmp(recurrent_last_message(), FLOATS_GIVEN(kind, function)) == 0)
  EXPECT_BOTH_REFUSED(layer, layer_get_parameter, (doubles.layer, "bias_hh_l0", values, 4 * H),
                      (floats.layer, "bias_hh_l0", values64, 4 * H));
  EXPECT_BOTH_REFUSED(layer, layer_set_parameter, (doubles.layer, "bias_hh_l0", x, 4 * H),
                      (floats.layer, "bias_hh_l0", x64, 4 * H));
  EXPECT_BOTH_REFUSED(layer, layer_get_values, (doubles.layer, values, most_values),
                      (floats.layer, values64, most_values));
  EXPECT_BOTH_REFUSED(layer, layer_set_values, (doubles.layer, x, xs), (floats.layer, x64, xs));
  EXPECT_BOTH_REFUSED(layer, forward, (doubles.layer, &call, x, xs, STATE(h, c), y, ys, scratch),
                      (floats.layer, &call, x64, xs, STATE_F64(h64, c64), y64, ys, scratch));
  EXPECT_BOTH_REFUSED(layer, record_forward, (doubles.layer, &call, x, xs, STATE(h, c), y, ys, record, scratch),
                      (floats.layer, &call, x64, xs, STATE_F64(h64, c64), y64, ys, record, scratch));
  EXPECT_BOTH_REFUSED(
      layer, backward,
      (doubles.layer, record, x, xs, y, ys, STATE(h, c), NULL, 0, doubles.gradients, scratch),
      (floats.layer, record, x64, xs, y64, ys, STATE_F64(h64, c64), NULL, 0, floats.gradients, scratch));
  EXPECT_BOTH_REFUSED(gradients, gradients_get, (doubles.gradients, "bias_hh_l0", values, 4 * H),
                      (floats.gradients, "bias_hh_l0", values64, 4 * H));
  EXPECT_BOTH_REFUSED(gradients, gradients_get_values, (doubles.gradients, values, most_values),
                      (floats.gradients, values64, most_values));
  EXPECT_BOTH_REFUSED(stream, stream_step, (doubles.stream, x, N * C, y, N * H),
                      (floats.stream, x64, N * C, y64, N * H));
  EXPECT_BOTH_REFUSED(stream, stream_process, (doubles.stream, T, x, xs, y, ys), (floats.stream, T, x64, xs, y64, ys));
  EXPECT_BOTH_REFUSED(stream, stream_get_state, (doubles.stream, STATE(h, c)), (floats.stream, STATE_F64(h64, c64)));
  EXPECT_BOTH_REFUSED(stream, stream_set_state, (doubles.stream, STATE(h, c)), (floats.stream, STATE_F64(h64, c64)));

  // These errors name no other function, because no function takes gradients of another scalar than the layer's.
  const char *gradients = "gradients holds doubles, expected a recurrent_gradients of floats, as layer is";
  EXPECT_OK(recurrent_record_forward(floats.layer, &call, x, xs, STATE(h, c), y, ys, record, scratch));
  EXPECT_REFUSED(gradients, recurrent_backward(floats.layer, record, x, xs, y, ys, STATE(h, c), NULL, 0,
                                               doubles.gradients, scratch));
  EXPECT_REFUSED("record holds floats, expected a recurrent_record of doubles, as layer is",
                 recurrent_backward_f64(doubles.layer, record, x64, xs, NULL, 0, STATE_F64(h64, c64), NULL, 0,
                                        doubles.gradients, scratch));
  // The refused calls have not changed the record.
  EXPECT_OK(recurrent_backward(floats.layer, record, x, xs, y, ys, STATE(h, c), NULL, 0, floats.gradients, scratch));
  EXPECT_OK(recurrent_record_forward(floats.layer, &call, x, xs, STATE(h, c), y, ys, record, scratch));
  EXPECT_OK(recurrent_record_forward_f64(doubles.layer, &call, x64, xs, STATE_F64(h64, c64), y64, ys, record, scratch));
  EXPECT_REFUSED(
      "record holds doubles, expected a recurrent_record of floats, as layer is",
      recurrent_backward(floats.layer, record, x, xs, y, ys, STATE(h, c), NULL, 0, floats.gradients, scratch));
  EXPECT_OK(recurrent_backward_f64(doubles.layer, record, x64, xs, y64, ys, STATE_F64(h64, c64), NULL, 0,
                                   doubles.gradients, scratch));
}

// One scratch and one record work for both scalars in turn. After the first call of each, the scratch does not grow.
static void results_are_close(handles floats, handles doubles, recurrent_record *record, recurrent_scratch *scratch) {
  const recurrent_call call = sizes();
  float x[xs], y[ys], whole[ys];
  double x64[xs], y64[ys], whole64[ys];
  fill(x, xs);
  for (int i = 0; i < xs; i++) x64[i] = x[i];
  size_t before = 0, bytes = 0;
  for (int round = 0; round < 3; round++) {
    float h[states] = {0}, c[states] = {0};
    double h64[states] = {0}, c64[states] = {0};
    EXPECT_OK(recurrent_record_forward(floats.layer, &call, x, xs, STATE(h, c), whole, ys, record, scratch));
    EXPECT_OK(recurrent_backward(floats.layer, record, x, xs, whole, ys, STATE(h, c), NULL, 0, floats.gradients,
                                 scratch));
    EXPECT_OK(recurrent_record_forward_f64(doubles.layer, &call, x64, xs, STATE_F64(h64, c64), whole64, ys, record,
                                           scratch));
    EXPECT_OK(recurrent_backward_f64(doubles.layer, record, x64, xs, whole64, ys, STATE_F64(h64, c64), NULL, 0,
                                     doubles.gradients, scratch));
    for (int i = 0; i < states; i++) EXPECT(fabs(h[i] - h64[i]) < 1e-5 && fabs(c[i] - c64[i]) < 1e-5);
    for (int i = 0; i < ys; i++) EXPECT(fabs(whole[i] - whole64[i]) < 1e-6);
    EXPECT_OK(recurrent_scratch_byte_count(scratch, &bytes));
    EXPECT(round == 0 || bytes == before);
    before = bytes;
  }
  EXPECT_OK(recurrent_gradients_zero(doubles.gradients));
  double values[most_values];
  EXPECT_OK(recurrent_gradients_get_values_f64(doubles.gradients, values, most_values));
  for (int i = 0; i < most_values; i++) EXPECT(values[i] == 0);

  // A stream gives the bits of one call on the whole, and the functions for its seats need no scalar.
  int active = 0;
  recurrent_stream *fork = NULL;
  EXPECT_OK(recurrent_stream_fork(doubles.stream, &fork));
  EXPECT_OK(recurrent_stream_process_f64(fork, T, x64, xs, y64, ys));
  EXPECT(memcmp(y64, whole64, sizeof y64) == 0);
  EXPECT_OK(recurrent_stream_process(floats.stream, T, x, xs, y, ys));
  EXPECT(memcmp(y, whole, sizeof y) == 0);
  EXPECT_OK(recurrent_stream_leave(fork, 1));
  EXPECT_OK(recurrent_stream_is_active(fork, 1, &active));
  EXPECT(active == 0);
  EXPECT_INVALID("slot is 2, expected 0 to 1, a seat of the stream", recurrent_stream_join(fork, N));
  EXPECT_OK(recurrent_stream_join(fork, 1));
  EXPECT_OK(recurrent_stream_reset(fork));
  EXPECT_OK(recurrent_stream_step_f64(fork, x64, N * C, y64, N * H));
  EXPECT(memcmp(y64, whole64, N * H * sizeof(double)) == 0);
  EXPECT_OK(recurrent_stream_destroy(fork));
}

// A layer of doubles is saved without loss, loads a file of floats exactly, and is rounded in a layer of floats.
static void files_are_of_either(handles floats, handles doubles, const char *folder) {
  char path[5000];
  snprintf(path, sizeof path, "%s/scalars.safetensors", folder);
  float single[most_values], single2[most_values];
  double twice[most_values], twice2[most_values];
  for (int i = 0; i < most_values; i++) twice[i] = 1.0 / (i + 3);
  EXPECT_OK(recurrent_layer_set_values_f64(doubles.layer, twice, most_values));
  EXPECT_OK(recurrent_layer_save(doubles.layer, path, NULL));
  EXPECT_OK(recurrent_layer_load(floats.layer, path, NULL));
  EXPECT_OK(recurrent_layer_get_values(floats.layer, single, most_values));
  for (int i = 0; i < most_values; i++) EXPECT(single[i] == (float)twice[i]);
  memset(twice2, 0, sizeof twice2);
  EXPECT_OK(recurrent_layer_set_values_f64(doubles.layer, twice2, most_values));
  EXPECT_OK(recurrent_layer_load(doubles.layer, path, NULL));
  EXPECT_OK(recurrent_layer_get_values_f64(doubles.layer, twice2, most_values));
  EXPECT(memcmp(twice, twice2, sizeof twice) == 0);
  EXPECT_OK(recurrent_layer_save(floats.layer, path, "a."));
  EXPECT_OK(recurrent_layer_load(doubles.layer, path, "a."));
  EXPECT_OK(recurrent_layer_get_values_f64(doubles.layer, twice2, most_values));
  for (int i = 0; i < most_values; i++) EXPECT(twice2[i] == single[i]);
  EXPECT_OK(recurrent_layer_get_values(floats.layer, single2, most_values));
  EXPECT(memcmp(single, single2, sizeof single) == 0);
}

void scalars_are_told_apart(const char *folder) {
  recurrent_scratch *scratch;
  recurrent_record *record;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  EXPECT_OK(recurrent_record_create(&record));
  const handles floats = make_handles(make_layer(lstm_options())), doubles = make_handles(make_layer_of_doubles());
  both_are_alike(floats, doubles);
  others_are_refused(floats, doubles, record, scratch);
  destroy_handles(doubles);
  // The streams keep the parameters that their layers had when the streams were made.
  recurrent_layer *layer = make_layer_of_doubles();
  float single[most_values];
  double twice[most_values];
  EXPECT_OK(recurrent_layer_get_values(floats.layer, single, most_values));
  for (int i = 0; i < most_values; i++) twice[i] = single[i];
  EXPECT_OK(recurrent_layer_set_values_f64(layer, twice, most_values));
  const handles equal = make_handles(layer);
  results_are_close(floats, equal, record, scratch);
  files_are_of_either(floats, equal, folder);
  destroy_handles(equal);
  destroy_handles(floats);
  EXPECT_OK(recurrent_record_destroy(record));
  EXPECT_OK(recurrent_scratch_destroy(scratch));
}
