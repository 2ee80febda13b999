// Tests the parameters of a layer: names, shapes, and values by name or all at once.
#include "expect.h"

void parameters_have_pytorchs_names(void) {
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
  EXPECT_INVALID("index is -1", recurrent_layer_parameter_name(layer, SIZE_MAX, &name));
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
  EXPECT_INVALID("values_count is -1", recurrent_layer_get_parameter(layer, "bias_hh_l0", back, SIZE_MAX));
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
