// Uses the C ABI from C17: every function as intended, and every wrong use that must be an error. With -DDOUBLES, it
// uses the functions for doubles. Each subject has a file; this one has main and what belongs to no other.
#include <pthread.h>

#include "expect.h"

int failures;
static char folder[4096];

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
  for (int cell = 0; cell <= RECURRENT_INDRNN; cell++)
    for (size_t threads = 1; threads <= 2; threads++)
      for (int has_lengths = 0; has_lengths < 2; has_lengths++)
        large_calls_allocate_nothing(threads, (recurrent_cell)cell, has_lengths);
  options_are_checked();
  variants_differ();
  weights_in_fewer_bits(RECURRENT_WEIGHTS_INT8, "weights is int8, expected full for a layer of Double",
                        "weights is int8, expected full or bf16: a layer with weights in 8 bits cannot be trained");
  weights_in_fewer_bits(RECURRENT_WEIGHTS_BF16, "weights is bf16, expected full for a layer of Double", NULL);
  parameters_have_pytorchs_names();
  forward_is_checked();
  layouts_lengths_and_resets();
  training_is_checked();
  streams_step();
  files_are_checked(folder);
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
