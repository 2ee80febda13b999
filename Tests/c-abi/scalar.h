// The scalar of a test. A test is compiled for floats and, with -DDOUBLES, for doubles. It says `scalar`, and the
// functions' names mean those for that scalar.
#pragma once

#include <recurrent.h>

#ifdef DOUBLES

typedef double scalar;
enum { is_double = 1 };
#define STATE_NAME "recurrent_state_f64"

// A layer of the scalar that is not under test.
static inline recurrent_status create_other_layer(const recurrent_layer_options *options, recurrent_layer **layer) {
  return recurrent_layer_create(options, layer);
}

#define recurrent_state recurrent_state_f64
#define recurrent_layer_create recurrent_layer_create_f64
#define recurrent_layer_get_parameter recurrent_layer_get_parameter_f64
#define recurrent_layer_set_parameter recurrent_layer_set_parameter_f64
#define recurrent_layer_get_values recurrent_layer_get_values_f64
#define recurrent_layer_set_values recurrent_layer_set_values_f64
#define recurrent_forward recurrent_forward_f64
#define recurrent_record_forward recurrent_record_forward_f64
#define recurrent_gradients_get recurrent_gradients_get_f64
#define recurrent_gradients_get_values recurrent_gradients_get_values_f64
#define recurrent_backward recurrent_backward_f64
#define recurrent_stream_step recurrent_stream_step_f64
#define recurrent_stream_process recurrent_stream_process_f64
#define recurrent_stream_get_state recurrent_stream_get_state_f64
#define recurrent_stream_set_state recurrent_stream_set_state_f64

#else

typedef float scalar;
enum { is_double = 0 };
#define STATE_NAME "recurrent_state"

static inline recurrent_status create_other_layer(const recurrent_layer_options *options, recurrent_layer **layer) {
  return recurrent_layer_create_f64(options, layer);
}

#endif
