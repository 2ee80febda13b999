// Gives bytes to the safetensors reader, or reads them as a program of calls with any options, sizes and handles. With
// -DDOUBLES, the calls are those for doubles. A buffer always has as many scalars as the call is told, so any access
// outside of one is the library's fault.
#define _GNU_SOURCE
#include <recurrent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scalar.h"

// MARK: - Numbers from the input

static const uint8_t *next;
static size_t left;

static unsigned byte(void) { return left ? (left--, *next++) : 0; }

// A size that is mostly small. Otherwise no memory holds it, and it is close to a number that overflows.
static size_t some_size(unsigned most) {
  const unsigned choice = byte();
  if (choice < 240) return choice % (most + 1);
  static const size_t large[] = {
      SIZE_MAX,        SIZE_MAX - 1,    SIZE_MAX / 2,          SIZE_MAX / 2 + 1,      (size_t)1 << 62,
      (size_t)1 << 61, (size_t)1 << 60, ((size_t)1 << 62) + 1, SIZE_MAX / 4,          SIZE_MAX / 4 + 1,
      (size_t)1 << 48, (size_t)1 << 47, ((size_t)1 << 60) + 1, ((size_t)1 << 61) - 1, SIZE_MAX / 3,
      SIZE_MAX / 8};
  return large[choice - 240];
}

static int some_choice(unsigned most) {
  const unsigned choice = byte();
  return choice < 240 ? (int)(choice % (most + 1)) : (int)choice - 248;
}

// The size of a smaller structure, or one that is absurd. A size slightly too large would be an error of the caller:
// the library would read that far.
static size_t some_structure_size(size_t most) {
  const size_t size = some_size(255);
  return size <= most || size > 4096 ? size : most;
}

// MARK: - Buffers

typedef struct {
  scalar *start;
  size_t count;
} buffer;

static buffer make_scalars(size_t count) {
  const unsigned first = byte();
  scalar *start = malloc(count ? count * sizeof(scalar) : 1);
  for (size_t i = 0; i < count; i++) start[i] = (scalar)((i + first) % 7) - 3;
  return (buffer){start, count};
}

// As many scalars as expected, another number of them, or none.
static buffer some_scalars(size_t expected) {
  const unsigned choice = byte();
  if (choice >= 250) return (buffer){NULL, choice & 1 ? expected : 0};
  return make_scalars(choice >= 230 || expected >= 1 << 20 ? choice : expected);
}

// A state whose counts may be wrong. Sometimes h or c is null, c is there for a cell without it, or the size is that of
// another version.
static recurrent_state some_state(size_t count, int has_c) {
  recurrent_state state = {.size = sizeof state};
  if (byte() >= 250) has_c = !has_c;
  const buffer h = some_scalars(count), c = has_c ? some_scalars(count) : (buffer){NULL, 0};
  state.h = h.start, state.h_count = h.count, state.c = c.start, state.c_count = c.count;
  // Smaller or absurd, for the reason given at some_structure_size.
  const unsigned choice = byte();
  if (choice >= 250) state.size = choice & 1 ? choice % (sizeof state + 1) : SIZE_MAX - choice;
  return state;
}

static void free_state(recurrent_state state) { free(state.h), free(state.c); }

// The product of two sizes, at most 1 << 40.
static size_t product(size_t a, size_t b) {
  const size_t most = (size_t)1 << 40;
  return a && b > most / a ? most : a * b;
}

// MARK: - Handles

enum { per_kind = 2 };
static struct {
  recurrent_layer *layers[per_kind];
  recurrent_scratch *scratches[per_kind];
  recurrent_record *records[per_kind];
  recurrent_gradients *gradients[per_kind];
  recurrent_stream *streams[per_kind];
} handles;
// The options that the layers and streams were made with.
typedef struct {
  size_t inputs, units, outputs, states;
  int has_c;
} sizes;
static sizes layer_sizes[per_kind], stream_sizes[per_kind];
static size_t record_steps[per_kind], record_batch[per_kind], stream_batch[per_kind];

static void check(recurrent_status status) {
  if (status != RECURRENT_OK && recurrent_last_message()[0] == 0) abort();
}

// The right handle, or sometimes one of another kind.
static void *some_handle(void *right) {
  const unsigned choice = byte();
  if (choice < 240) return right;
  void *all[sizeof handles / sizeof(void *)];
  memcpy(all, &handles, sizeof all);
  return all[choice % (sizeof all / sizeof *all)];
}

// A layer, but never another than the i-th one, because the buffers have its sizes.
static recurrent_layer *some_layer(unsigned i) {
  recurrent_layer *layer = some_handle(handles.layers[i]);
  return layer == handles.layers[1 - i] ? handles.layers[i] : layer;
}

// MARK: - Calls

static void make_layer(unsigned i) {
  recurrent_layer_options options = {.size = sizeof options};
  if (byte() >= 250) options.size = some_structure_size(sizeof options);
  options.input_size = some_size(40);
  options.hidden_size = some_size(40);
  options.layer_count = some_size(3);
  options.cell = (recurrent_cell)some_choice(3);
  options.direction = (recurrent_direction)some_choice(3);
  options.activation = (recurrent_activation)some_choice(1);
  options.cell_output = (recurrent_cell_output)some_choice(1);
  options.reset = (recurrent_reset_form)some_choice(1);
  options.update = (recurrent_update_form)some_choice(1);
  options.instruction_set = (recurrent_instruction_set)some_choice(5);
  options.dropout = (float)some_choice(10) / 10;
  options.no_bias = some_choice(1);
  options.flush_denormals = some_choice(1);
  options.seed = byte();
  const uint8_t format = byte();
  options.weights = (recurrent_weights)((format >= 200) + (format >= 228));
  recurrent_layer *layer = NULL;
  // The layer is sometimes one of the other scalar, which later calls must refuse.
  check(byte() >= 245 ? create_other_layer(&options, &layer) : recurrent_layer_create(&options, &layer));
  if (!layer) return;
  check(recurrent_layer_destroy(handles.layers[i]));
  handles.layers[i] = layer;
  sizes *of = &layer_sizes[i];
  of->inputs = options.input_size;
  of->units = options.hidden_size;
  of->has_c = options.cell == RECURRENT_LSTM;
  check(recurrent_layer_output_size(layer, &of->outputs));
  check(recurrent_layer_state_count(layer, &of->states));
}

static void use_parameters(recurrent_layer *layer) {
  size_t count = 0, rows = 0, columns = 0;
  check(recurrent_layer_parameter_count(layer, &count));
  const char *name = NULL;
  check(recurrent_layer_parameter_name(layer, some_size(16), &name));
  char wrong[] = "weight_ih_l0_reverse";
  wrong[some_size(20) % sizeof wrong] = (char)byte();
  wrong[sizeof wrong - 1] = 0;
  if (!name || byte() >= 240) name = byte() >= 240 ? NULL : wrong;
  check(recurrent_layer_parameter_shape(layer, name, &rows, &columns));
  buffer values = some_scalars(rows * columns);
  check(recurrent_layer_set_parameter(layer, name, values.start, values.count));
  check(recurrent_layer_get_parameter(layer, name, values.start, values.count));
  free(values.start);
  check(recurrent_layer_value_count(layer, &count));
  values = some_scalars(count);
  check(recurrent_layer_get_values(layer, values.start, values.count));
  check(recurrent_layer_set_values(layer, values.start, values.count));
  free(values.start);
}

static void run(unsigned i, int records) {
  const sizes of = layer_sizes[i];
  recurrent_call call = {.size = sizeof call, .steps = some_size(30), .batch_size = some_size(30)};
  if (byte() >= 250) call.size = some_structure_size(sizeof call);
  call.x_layout = (recurrent_layout)some_choice(2);
  call.y_layout = (recurrent_layout)some_choice(2);
  call.x_step = some_size(200);
  call.x_sequence = some_size(200);
  call.y_step = some_size(200);
  call.y_sequence = some_size(200);
  call.dropout_mode = (recurrent_dropout_mode)some_choice(1);
  call.dropout_seed = byte();
  call.first_sequence = some_size(100);
  call.first_step = some_size(100);
  int64_t *lengths = NULL;
  uint8_t *resets = NULL;
  const size_t rows = product(call.steps, call.batch_size);
  if (call.batch_size < 1 << 10 && byte() & 1) {
    lengths = malloc(call.batch_size * sizeof *lengths + 1);
    for (size_t n = 0; n < call.batch_size; n++) lengths[n] = (int64_t)some_size((unsigned)(call.steps & 31));
  }
  if (rows < 1 << 20 && byte() & 1) {
    resets = malloc(rows + 1);
    for (size_t row = 0; row < rows; row++) resets[row] = byte() < 60;
  }
  call.lengths = lengths;
  call.resets = resets;
  // The counts are right, or too small.
  call.lengths_count = lengths ? call.batch_size - (byte() >= 250 && call.batch_size > 0) : byte() >= 250;
  call.resets_count = resets ? rows - (byte() >= 250 && rows > 0) : byte() >= 250;
  buffer x = some_scalars(call.x_layout == RECURRENT_STRIDED ? 10000 : product(rows, of.inputs));
  buffer y = some_scalars(call.y_layout == RECURRENT_STRIDED ? 10000 : product(rows, of.outputs));
  const size_t count = product(product(of.states, call.batch_size), of.units);
  const recurrent_state state = some_state(count, of.has_c);
  recurrent_layer *layer = some_layer(i);
  recurrent_scratch *scratch = some_handle(handles.scratches[byte() & 1]);
  if (records) {
    const unsigned r = byte() & 1;
    recurrent_record *record = some_handle(handles.records[r]);
    const recurrent_status status =
        recurrent_record_forward(layer, &call, x.start, x.count, &state, y.start, y.count, record, scratch);
    check(status);
    if (status == RECURRENT_OK)
      for (unsigned k = 0; k < per_kind; k++)
        if (record == handles.records[k]) record_steps[k] = call.steps, record_batch[k] = call.batch_size;
  } else {
    check(recurrent_forward(layer, &call, x.start, x.count, &state, y.start, y.count, scratch));
  }
  size_t bytes;
  check(recurrent_scratch_byte_count(scratch, &bytes));
  free(lengths), free(resets), free(x.start), free(y.start), free_state(state);
}

static void run_backward(unsigned i) {
  const sizes of = layer_sizes[i];
  const unsigned r = byte() & 1;
  const size_t rows = record_steps[r] * record_batch[r], count = of.states * record_batch[r] * of.units;
  const int is_strided = byte() >= 240;
  buffer x = some_scalars(is_strided ? 10000 : rows * of.inputs),
         dx = some_scalars(is_strided ? 10000 : rows * of.inputs);
  buffer dy = some_scalars(is_strided ? 10000 : rows * of.outputs);
  const recurrent_state d_state = some_state(count, of.has_c);
  recurrent_layer *layer = some_layer(i);
  recurrent_gradients *gradients = some_handle(handles.gradients[byte() & 1]);
  check(recurrent_backward(layer, handles.records[r], x.start, x.count, dy.start, dy.count, &d_state, dx.start,
                           dx.count, gradients, some_handle(handles.scratches[byte() & 1])));
  size_t units = 0, columns;
  check(recurrent_layer_parameter_shape(layer, "weight_hh_l0", &units, &columns));
  buffer weight = some_scalars(units * of.units);
  check(recurrent_gradients_get(gradients, "weight_hh_l0", weight.start, weight.count));
  free(weight.start);
  if (byte() & 1) check(recurrent_gradients_zero(gradients));
  free(x.start), free(dx.start), free(dy.start), free_state(d_state);
}

static void make_stream(unsigned i) {
  recurrent_stream *stream = NULL;
  const unsigned choice = byte();
  if (choice < 200) {
    const size_t batch = some_size(20);
    check(recurrent_stream_create(some_layer(i), batch, &stream));
    if (stream) stream_batch[i] = batch;
  } else {
    check(recurrent_stream_fork(handles.streams[i], &stream));
  }
  if (!stream) return;
  check(recurrent_stream_destroy(handles.streams[i]));
  handles.streams[i] = stream;
  if (choice < 200) stream_sizes[i] = layer_sizes[i];
}

static void run_stream(unsigned i) {
  const sizes of = stream_sizes[i];
  const unsigned choice = byte() % 8;
  const size_t batch = stream_batch[i], steps = choice == 0 ? 1 : some_size(30), count = of.states * batch * of.units;
  recurrent_stream *stream = handles.streams[i];
  buffer x = some_scalars(product(steps, batch * of.inputs)), y = some_scalars(product(steps, batch * of.units));
  switch (choice) {
    case 0: check(recurrent_stream_step(stream, x.start, x.count, y.start, y.count)); break;
    case 1: check(recurrent_stream_reset(stream)); break;
    case 2: check(recurrent_stream_reset_slot(stream, some_size(20))); break;
    case 3: check(recurrent_stream_join(stream, some_size(20))); break;
    case 4: check(recurrent_stream_leave(stream, some_size(20))); break;
    case 5: {
      const recurrent_state state = some_state(count, of.has_c);
      if (byte() & 1)
        check(recurrent_stream_get_state(stream, &state));
      else
        check(recurrent_stream_set_state(stream, &state));
      free_state(state);
      break;
    }
    default: check(recurrent_stream_process(stream, steps, x.start, x.count, y.start, y.count));
  }
  int active;
  check(recurrent_stream_is_active(stream, some_size(20), &active));
  free(x.start), free(y.start);
}

static void run_program(void) {
  while (left > 0) {
    const unsigned call = byte(), i = byte() & 1;
    switch (call % 12) {
      case 0: make_layer(i); break;
      case 1: use_parameters(handles.layers[i]); break;
      case 2:
      case 3: run(i, 0); break;
      case 4:
      case 5: run(i, 1); break;
      case 6: run_backward(i); break;
      case 7: make_stream(i); break;
      case 8:
      case 9: run_stream(i); break;
      case 10: {
        recurrent_gradients *gradients = NULL;
        check(recurrent_gradients_create(some_handle(handles.layers[i]), &gradients));
        if (!gradients) break;
        check(recurrent_gradients_destroy(handles.gradients[i]));
        handles.gradients[i] = gradients;
        break;
      }
      default: {
        recurrent_scratch *scratch = NULL;
        const size_t threads = some_size(2);
        check(recurrent_scratch_create(threads, &scratch));
        if (!scratch) break;
        check(recurrent_scratch_destroy(handles.scratches[i]));
        handles.scratches[i] = scratch;
      }
    }
  }
}

static void clear(void) {
  for (unsigned i = 0; i < per_kind; i++) {
    check(recurrent_layer_destroy(handles.layers[i]));
    check(recurrent_scratch_destroy(handles.scratches[i]));
    check(recurrent_record_destroy(handles.records[i]));
    check(recurrent_gradients_destroy(handles.gradients[i]));
    check(recurrent_stream_destroy(handles.streams[i]));
  }
  memset(&handles, 0, sizeof handles);
  memset(layer_sizes, 0, sizeof layer_sizes);
  memset(stream_sizes, 0, sizeof stream_sizes);
  memset(record_steps, 0, sizeof record_steps);
  memset(record_batch, 0, sizeof record_batch);
  memset(stream_batch, 0, sizeof stream_batch);
}

// MARK: - Files

static char header[4096];
static size_t header_length;

static void append(const char *text) {
  const size_t length = strlen(text);
  if (header_length + length >= sizeof header) return;
  memcpy(header + header_length, text, length);
  header_length += length;
}

static const char *one_of(const char *const *texts, unsigned count, unsigned usual) {
  const unsigned choice = byte();
  return texts[choice < 200 ? usual : choice % count];
}

static void append_number(size_t usual) {
  static const char *const numbers[] = {"-1",
                                        "0",
                                        "1",
                                        "2",
                                        "4",
                                        "8",
                                        "1.5",
                                        "1e3",
                                        "1e400",
                                        "-0",
                                        "null",
                                        "\"4\"",
                                        "[1]",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "18446744073709551616",
                                        "4611686018427387904",
                                        "4294967296",
                                        "100000000",
                                        "true"};
  char text[32];
  snprintf(text, sizeof text, "%zu", usual);
  const unsigned choice = byte();
  append(choice < 200 ? text : numbers[choice % (sizeof numbers / sizeof *numbers)]);
}

// Writes a header that mostly fits the layer, and returns how many bytes of content it claims.
static size_t make_header(void) {
  static const char *const names[] = {"weight_ih_l0", "weight_hh_l0", "__metadata__", "other", "",
                                      "\\ud800",      "\\u0000"};
  static const char *const types[] = {"F32", "F64", "F16", "BF16", "I64", "BOOL", "F33", "f32", ""};
  static const char *const keys[] = {"dtype", "shape", "data_offsets", "more", "dtype\":1,\"dtype"};
  static const size_t bytes[] = {4, 8, 2, 2, 8, 1, 4, 4, 4};
  header_length = 0;
  append("{");
  size_t end = 0;
  const unsigned entries = byte() < 200 ? 2 : byte() % 5;
  for (unsigned entry = 0; entry < entries; entry++) {
    const unsigned type = byte() % (sizeof types / sizeof *types);
    if (entry) append(",");
    append("\"");
    append(one_of(names, sizeof names / sizeof *names, entry % 2));
    append("\":{\"");
    append(one_of(keys, 5, 0));
    append("\":\"");
    append(types[type]);
    append("\",\"");
    append(one_of(keys, 5, 1));
    append("\":[");
    append_number(1);
    append(",");
    append_number(1);
    append("],\"");
    append(one_of(keys, 5, 2));
    append("\":[");
    append_number(end);
    append(",");
    end += bytes[type];
    append_number(end);
    append("]}");
  }
  append("}");
  // Some of its bytes may be changed.
  for (unsigned change = byte() >= 200 ? byte() % 4 : 0; change > 0; change--)
    header[(byte() * 16 + byte()) % header_length] = (char)byte();
  return end;
}

static void write_all(int file, const void *bytes, size_t count) {
  if (count > 0 && write(file, bytes, count) != (ssize_t)count) abort();
}

// Loads a file of the input's bytes, or of a header that is made from them.
static void load(int makes_header) {
  static int file = -1;
  static char path[64];
  static recurrent_layer *layer;
  if (file < 0) {
    file = memfd_create("fuzz", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    recurrent_layer_options options = {
        .size = sizeof options, .input_size = 1, .hidden_size = 1, .layer_count = 1, .no_bias = 1};
    check(recurrent_layer_create(&options, &layer));
  }
  if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0) abort();
  if (makes_header) {
    size_t content = make_header();
    const unsigned choice = byte();
    const uint64_t length = choice < 230 ? header_length : some_size(255);
    write_all(file, &length, sizeof length);
    write_all(file, header, header_length);
    static const uint8_t zeros[256];
    if (byte() >= 220) content = byte();
    write_all(file, zeros, content);
  } else {
    write_all(file, next, left);
  }
  check(recurrent_layer_load(layer, path, byte() & 1 ? "" : NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  next = data;
  left = size;
  // Files are fuzzed in a run of their own: among the calls, few inputs would reach them.
  if (getenv("FUZZ_FILES")) {
    load(byte() >= 32);
    return 0;
  }
  for (unsigned i = 0; i < per_kind; i++) {
    check(recurrent_record_create(&handles.records[i]));
    check(recurrent_scratch_create(1, &handles.scratches[i]));
    make_layer(i);
    check(recurrent_gradients_create(handles.layers[i], &handles.gradients[i]));
  }
  run_program();
  clear();
  return 0;
}
