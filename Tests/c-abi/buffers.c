// Tests structures of other versions, buffers with wrong counts, and buffers that overlap. The messages must be exact,
// and nothing may be read or written outside: the buffers end at a page that cannot be read.
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect.h"

// Copies bytes to memory that ends with the last readable page.
static void *before_the_wall(const void *content, size_t size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) exit(1);
  return memcpy(pages + page - size, content, size);
}

// A structure of this version with more bytes behind it, as a newer header has.
#define LARGER(type)        \
  struct {                  \
    type own;               \
    unsigned char more[24]; \
  }

static char text[400];
static const char *refused_tail(const char *name, size_t size, size_t byte, size_t known) {
  snprintf(text, sizeof text,
           "%s.size is %zu, and byte %zu is 7, expected zeros from byte %zu on: this version of the library has no "
           "fields there",
           name, size, byte, known);
  return text;
}
static const char *refused_size(const char *name, const char *type, size_t size, size_t known) {
  // A size from a negative number is shown as that number.
  snprintf(text, sizeof text, "%s.size is %zd, expected sizeof(%s) = %zu, at least 8 and at most 4096", name, size,
           type, known);
  return text;
}

static void options_may_grow(void) {
  recurrent_layer *layer = NULL;
  recurrent_layer_options options = lstm_options();
  static const size_t absurd[] = {0, 7, 4097, SIZE_MAX / 2, SIZE_MAX};
  for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    const size_t *size = before_the_wall(&absurd[i], sizeof *size);
    EXPECT_EXACTLY(refused_size("options", "recurrent_layer_options", absurd[i], sizeof options),
                   recurrent_layer_create((const recurrent_layer_options *)(const void *)size, &layer));
  }
  EXPECT_INVALID("expected a multiple of 8 bytes",
                 recurrent_layer_create((const recurrent_layer_options *)(const void *)((char *)&options + 4), &layer));

  // A program that knows only the sizes: every later field counts as zero.
  const size_t known = offsetof(recurrent_layer_options, cell);
  options.size = known;
  EXPECT_OK(recurrent_layer_create(before_the_wall(&options, known), &layer));
  size_t values = 0;
  EXPECT_OK(recurrent_layer_value_count(layer, &values));
  EXPECT(values == H * C + H * H + 2 * H);
  EXPECT_OK(recurrent_layer_destroy(layer));
  options.size = sizeof(size_t);
  EXPECT_EXACTLY("input_size is 0, expected at least 1",
                 recurrent_layer_create(before_the_wall(&options, sizeof(size_t)), &layer));

  LARGER(recurrent_layer_options) larger = {lstm_options(), {0}};
  larger.own.size = sizeof larger;
  EXPECT_OK(recurrent_layer_create(&larger.own, &layer));
  EXPECT_OK(recurrent_layer_destroy(layer));
  larger.more[3] = 7;
  EXPECT_EXACTLY(refused_tail("options", sizeof larger, sizeof options + 3, sizeof options),
                 recurrent_layer_create(&larger.own, &layer));
}

void structures_may_grow(void) {
  options_may_grow();
  enum { xs = T * N * C, ys = T * N * H, states = N * H };
  scalar x[xs], y[ys], y2[ys], h[states] = {0}, c[states] = {0};
  fill(x, xs);
  recurrent_layer *lstm = make_layer(lstm_options());
  recurrent_layer_options options = lstm_options();
  options.cell = RECURRENT_GRU;
  recurrent_layer *gru = make_layer(options);
  recurrent_scratch *scratch;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  recurrent_call call = sizes();
  EXPECT_OK(recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch));

  // A call.
  call.size = offsetof(recurrent_call, lengths);
  memset(h, 0, sizeof h);
  memset(c, 0, sizeof c);
  EXPECT_OK(recurrent_forward(lstm, before_the_wall(&call, call.size), x, xs, STATE(h, c), y2, ys, scratch));
  EXPECT(memcmp(y, y2, sizeof y) == 0);
  call.size = sizeof(size_t);
  EXPECT_EXACTLY("steps is 0, expected at least 1",
                 recurrent_forward(lstm, before_the_wall(&call, call.size), x, xs, STATE(h, c), y2, ys, scratch));
  call.size = 4097;
  EXPECT_EXACTLY(refused_size("call", "recurrent_call", 4097, sizeof call),
                 recurrent_forward(lstm, &call, x, xs, STATE(h, c), y2, ys, scratch));
  LARGER(recurrent_call) larger = {sizes(), {0}};
  larger.own.size = sizeof larger;
  EXPECT_OK(recurrent_forward(lstm, &larger.own, x, xs, STATE(h, c), y2, ys, scratch));
  larger.more[23] = 7;
  EXPECT_EXACTLY(refused_tail("call", sizeof larger, sizeof call + 23, sizeof call),
                 recurrent_forward(lstm, &larger.own, x, xs, STATE(h, c), y2, ys, scratch));

  // A state.
  call = sizes();
  recurrent_state state = {.size = offsetof(recurrent_state, c), .h = h, .h_count = states};
  EXPECT_OK(recurrent_forward(gru, &call, x, xs, before_the_wall(&state, state.size), y2, ys, scratch));
  EXPECT_EXACTLY("state.c is null, expected the address of values",
                 recurrent_forward(lstm, &call, x, xs, before_the_wall(&state, state.size), y2, ys, scratch));
  state.size = sizeof(size_t);
  EXPECT_EXACTLY("state.h is null, expected the address of values",
                 recurrent_forward(lstm, &call, x, xs, before_the_wall(&state, state.size), y2, ys, scratch));
  state.size = 4;
  EXPECT_EXACTLY(refused_size("state", STATE_NAME, 4, sizeof state),
                 recurrent_forward(gru, &call, x, xs, &state, y2, ys, scratch));
  EXPECT_EXACTLY("state is null, expected the address of a " STATE_NAME,
                 recurrent_forward(gru, &call, x, xs, NULL, y2, ys, scratch));
  LARGER(recurrent_state) further = {*STATE(h, c), {0}};
  further.own.size = sizeof further;
  EXPECT_OK(recurrent_forward(lstm, &call, x, xs, &further.own, y2, ys, scratch));
  further.more[0] = 7;
  EXPECT_EXACTLY(refused_tail("state", sizeof further, sizeof state, sizeof state),
                 recurrent_forward(lstm, &call, x, xs, &further.own, y2, ys, scratch));
  EXPECT_INVALID("expected a multiple of 8 bytes",
                 recurrent_forward(lstm, &call, x, xs, (const recurrent_state *)(const void *)((char *)&state + 4), y2,
                                   ys, scratch));

  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(gru));
  EXPECT_OK(recurrent_layer_destroy(lstm));
}

// MARK: - Counts

#define PLACE(h, h_count, c, c_count) (&(recurrent_state){sizeof(recurrent_state), h, h_count, c, c_count})

static void states_are_counted(recurrent_layer *lstm, recurrent_layer *gru, recurrent_scratch *scratch) {
  enum { xs = T * N * C, ys = T * N * H, states = N * H };
  scalar x[xs], y[ys], h[states + 1] = {0}, c[states + 1] = {0};
  fill(x, xs);
  fill(y, ys);
  const recurrent_call call = sizes();
  recurrent_record *record;
  recurrent_gradients *gradients;
  recurrent_stream *stream;
  EXPECT_OK(recurrent_record_create(&record));
  EXPECT_OK(recurrent_gradients_create(lstm, &gradients));
  EXPECT_OK(recurrent_stream_create(lstm, N, &stream));
  EXPECT_OK(recurrent_record_forward(lstm, &call, x, xs, STATE(h, c), NULL, 0, record, scratch));
  scalar h_before[states + 1], c_before[states + 1], y_before[ys];
  memcpy(h_before, h, sizeof h);
  memcpy(c_before, c, sizeof c);
  memcpy(y_before, y, sizeof y);

  // Every call that takes a state refuses one that is too short, too long, or larger than any memory.
#define LARGEST(place, count)                                                                \
  is_double ? place "_count is " count ", expected 0 to 17592186044416: no memory is larger" \
            : place "_count is " count ", expected 0 to 35184372088832: no memory is larger"
  struct {
    const char *message;
    recurrent_state state;
  } wrong[] = {
      {"h has 9 values, expected 2·5 = 10", *PLACE(h, states - 1, c, states)},
      {"h has 11 values, expected 2·5 = 10", *PLACE(h, states + 1, c, states)},
      {"h has 0 values, expected 2·5 = 10", *PLACE(h, 0, c, states)},
      {"c has 9 values, expected 2·5 = 10", *PLACE(h, states, c, states - 1)},
      {"c has 11 values, expected 2·5 = 10", *PLACE(h, states, c, states + 1)},
      {"c has 0 values, expected 2·5 = 10", *PLACE(h, states, c, 0)},
      {"h is null, expected the address of values", *PLACE(NULL, states, c, states)},
      {"c is null, expected the address of values", *PLACE(h, states, NULL, states)},
      {"c is null, expected the address of values", *PLACE(h, states, NULL, 0)},
      {LARGEST("h", "-1"), *PLACE(h, SIZE_MAX, c, states)},
      {LARGEST("c", "9223372036854775807"), *PLACE(h, states, c, SIZE_MAX / 2)},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char message[200], d_message[200];
    snprintf(message, sizeof message, "state.%s", wrong[i].message);
    snprintf(d_message, sizeof d_message, "d_state.%s", wrong[i].message);
    const recurrent_state *state = &wrong[i].state;
    EXPECT_EXACTLY(message, recurrent_forward(lstm, &call, x, xs, state, y, ys, scratch));
    EXPECT_EXACTLY(message, recurrent_record_forward(lstm, &call, x, xs, state, y, ys, record, scratch));
    EXPECT_EXACTLY(d_message, recurrent_backward(lstm, record, x, xs, y, ys, state, NULL, 0, gradients, scratch));
    EXPECT_EXACTLY(message, recurrent_stream_get_state(stream, state));
    EXPECT_EXACTLY(message, recurrent_stream_set_state(stream, state));
  }
  EXPECT_EXACTLY("state.c is not null, expected null: this cell has no c",
                 recurrent_forward(gru, &call, x, xs, STATE(h, c), y, ys, scratch));
  EXPECT_EXACTLY("state.c is null and state.c_count is 3, expected 0 then",
                 recurrent_forward(gru, &call, x, xs, PLACE(h, states, NULL, 3), y, ys, scratch));
  EXPECT(memcmp(h_before, h, sizeof h) == 0 && memcmp(c_before, c, sizeof c) == 0);
  EXPECT(memcmp(y_before, y, sizeof y) == 0);
  // The refused calls have not changed the record.
  EXPECT_OK(recurrent_backward(lstm, record, x, xs, y, ys, STATE(h, c), NULL, 0, gradients, scratch));
  EXPECT_OK(recurrent_stream_destroy(stream));
  EXPECT_OK(recurrent_gradients_destroy(gradients));
  EXPECT_OK(recurrent_record_destroy(record));
}

static void lengths_and_resets_are_counted(recurrent_layer *lstm, recurrent_scratch *scratch) {
  enum { xs = T * N * C, ys = T * N * H, states = N * H };
  scalar x[xs], y[ys], h[states] = {0}, c[states] = {0};
  fill(x, xs);
  // A read beyond these counts would end the process.
  const int64_t *lengths = before_the_wall((const int64_t[N]){2, 4}, N * sizeof(int64_t));
  const uint8_t *resets = before_the_wall((const uint8_t[T *N]){0}, T * N);
#define EXPECT_CALL(text, ...)                                                                \
  do {                                                                                        \
    const recurrent_call call = {.size = sizeof call, __VA_ARGS__};                           \
    EXPECT_EXACTLY(text, recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch)); \
  } while (0)
#define LENGTHS(count) .steps = T, .batch_size = N, .lengths = lengths, .lengths_count = count
#define RESETS(count) .steps = T, .batch_size = N, .resets = resets, .resets_count = count
  EXPECT_CALL("lengths has 1 values, expected batch_size = 2", LENGTHS(N - 1));
  EXPECT_CALL("lengths has 3 values, expected batch_size = 2", LENGTHS(N + 1));
  EXPECT_CALL("lengths has 0 values, expected batch_size = 2", LENGTHS(0));
  EXPECT_CALL("lengths_count is -1, expected 0 to 17592186044416: no memory is larger", LENGTHS(SIZE_MAX));
  EXPECT_CALL("resets has 7 values, expected 4·2 = 8", RESETS(T * N - 1));
  EXPECT_CALL("resets has 9 values, expected 4·2 = 8", RESETS(T * N + 1));
  EXPECT_CALL("resets_count is -1, expected 0 to 140737488355328: no memory is larger", RESETS(SIZE_MAX));
  EXPECT_CALL("lengths is null and lengths_count is 2, expected 0 then", .steps = T, .batch_size = N,
              .lengths_count = N);
  EXPECT_CALL("resets is null and resets_count is 8, expected 0 then", .steps = T, .batch_size = N,
              .resets_count = T * N);
  EXPECT_CALL("dropout_mode is 2, expected 0 to 1", .steps = T, .batch_size = N,
              .dropout_mode = (recurrent_dropout_mode)2);
  recurrent_call call = {.size = sizeof call, LENGTHS(N)};
  call.lengths = (const int64_t *)(const void *)((const char *)lengths - 4);
  EXPECT_INVALID("lengths is at", recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch));
  // There are more steps than resets, both within what memory can hold and beyond.
  call = (recurrent_call){.size = sizeof call, RESETS(T * N)};
  call.steps = (size_t)1 << 31;
  EXPECT_INVALID("2147483648·2", recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch));
  call = (recurrent_call){.size = sizeof call, LENGTHS(N)};
  call.steps = (size_t)1 << 31;
  EXPECT_INVALID("2147483648·2", recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch));
  call.steps = T;
  call.batch_size = (size_t)1 << 31;
  EXPECT_INVALID("2147483648", recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch));
  call = (recurrent_call){.size = sizeof call, RESETS(T * N), .lengths = lengths, .lengths_count = N};
  EXPECT_OK(recurrent_forward(lstm, &call, x, xs, STATE(h, c), y, ys, scratch));
}

void buffers_are_counted(void) {
  recurrent_layer_options options = lstm_options();
  recurrent_layer *lstm = make_layer(options);
  options.cell = RECURRENT_GRU;
  recurrent_layer *gru = make_layer(options);
  recurrent_scratch *scratch;
  EXPECT_OK(recurrent_scratch_create(1, &scratch));
  states_are_counted(lstm, gru, scratch);
  lengths_and_resets_are_counted(lstm, scratch);
  EXPECT_OK(recurrent_scratch_destroy(scratch));
  EXPECT_OK(recurrent_layer_destroy(gru));
  EXPECT_OK(recurrent_layer_destroy(lstm));
}

// MARK: - Overlaps

// The buffers lie next to each other in the order of their names. Then each later one is moved onto each earlier one.
enum { most_buffers = 6 };
typedef struct {
  size_t count;
  const char *names[most_buffers];
  size_t sizes[most_buffers];
} arrangement;

static _Alignas(16) char memory[1024];

static void arrange(const arrangement *of, void *places[], size_t later, size_t earlier) {
  char *next = memory;
  for (size_t i = 0; i < of->count; i++) {
    places[i] = next;
    next += of->sizes[i];
  }
  places[later] = places[earlier];
}

typedef recurrent_status run(void *const places[], void *context);

static void expect_apart(const arrangement *of, run *call, void *context) {
  void *places[most_buffers];
  for (size_t later = 1; later < of->count; later++) {
    for (size_t earlier = 0; earlier < later; earlier++) {
      arrange(of, places, later, earlier);
      snprintf(text, sizeof text, "%s overlaps %s in memory, expected buffers of their own", of->names[later],
               of->names[earlier]);
      EXPECT_EXACTLY(text, call(places, context));
    }
  }
  arrange(of, places, 0, 0);
  EXPECT_OK(call(places, context));
}

typedef struct {
  recurrent_layer *layer;
  recurrent_scratch *scratch;
  recurrent_record *record;
  recurrent_gradients *gradients;
  recurrent_stream *stream;
} objects;

enum { xs = T * N * C, ys = T * N * H, states = N * H };

static recurrent_call call_with(int64_t *lengths, uint8_t *resets) {
  for (int n = 0; n < N; n++) lengths[n] = T;
  recurrent_call call = sizes();
  call.lengths = lengths;
  call.lengths_count = N;
  call.resets = resets;
  call.resets_count = T * N;
  return call;
}

static recurrent_status run_forward(void *const places[], void *context) {
  const objects *use = context;
  const recurrent_call call = call_with(places[1], places[2]);
  return recurrent_forward(use->layer, &call, places[0], xs, STATE(places[4], places[5]), places[3], ys, use->scratch);
}

static recurrent_status run_record(void *const places[], void *context) {
  const objects *use = context;
  const recurrent_call call = call_with(places[1], places[2]);
  return recurrent_record_forward(use->layer, &call, places[0], xs, STATE(places[4], places[5]), places[3], ys,
                                  use->record, use->scratch);
}

static recurrent_status run_record_without_y(void *const places[], void *context) {
  const objects *use = context;
  const recurrent_call call = call_with(places[1], places[2]);
  return recurrent_record_forward(use->layer, &call, places[0], xs, STATE(places[3], places[4]), NULL, 0, use->record,
                                  use->scratch);
}

static recurrent_status run_backward(void *const places[], void *context) {
  const objects *use = context;
  return recurrent_backward(use->layer, use->record, places[0], xs, places[1], ys, STATE(places[3], places[4]),
                            places[2], xs, use->gradients, use->scratch);
}

static recurrent_status run_step(void *const places[], void *context) {
  const objects *use = context;
  return recurrent_stream_step(use->stream, places[0], N * C, places[1], N * H);
}

static recurrent_status run_process(void *const places[], void *context) {
  const objects *use = context;
  return recurrent_stream_process(use->stream, T, places[0], xs, places[1], ys);
}

static recurrent_status run_get_state(void *const places[], void *context) {
  const objects *use = context;
  return recurrent_stream_get_state(use->stream, STATE(places[0], places[1]));
}

static recurrent_status run_set_state(void *const places[], void *context) {
  const objects *use = context;
  return recurrent_stream_set_state(use->stream, STATE(places[0], places[1]));
}

void buffers_are_apart(void) {
  objects use = {.layer = make_layer(lstm_options())};
  EXPECT_OK(recurrent_scratch_create(1, &use.scratch));
  EXPECT_OK(recurrent_record_create(&use.record));
  EXPECT_OK(recurrent_gradients_create(use.layer, &use.gradients));
  EXPECT_OK(recurrent_stream_create(use.layer, N, &use.stream));
  enum { word = sizeof(scalar), ls = N * sizeof(int64_t), rs = T * N };
  const arrangement forward = {6,
                               {"x", "lengths", "resets", "y", "state.h", "state.c"},
                               {xs * word, ls, rs, ys * word, states * word, states * word}};
  expect_apart(&forward, run_forward, &use);
  expect_apart(&forward, run_record, &use);
  const arrangement without_y = {
      5, {"x", "lengths", "resets", "state.h", "state.c"}, {xs * word, ls, rs, states * word, states * word}};
  expect_apart(&without_y, run_record_without_y, &use);
  const arrangement backward = {
      5, {"x", "dy", "dx", "d_state.h", "d_state.c"}, {xs * word, ys * word, xs * word, states * word, states * word}};
  expect_apart(&backward, run_backward, &use);
  expect_apart(&(arrangement){2, {"x", "y"}, {N * C * word, N * H * word}}, run_step, &use);
  expect_apart(&(arrangement){2, {"x", "y"}, {xs * word, ys * word}}, run_process, &use);
  const arrangement state = {2, {"state.h", "state.c"}, {states * word, states * word}};
  expect_apart(&state, run_get_state, &use);
  expect_apart(&state, run_set_state, &use);
  // An overlap of one scalar is enough for an error.
  scalar values[xs + ys - 1] = {0}, h[states] = {0}, c[states] = {0};
  const recurrent_call call = sizes();
  EXPECT_EXACTLY("y overlaps x in memory, expected buffers of their own",
                 recurrent_forward(use.layer, &call, values, xs, STATE(h, c), values + xs - 1, ys, use.scratch));
  EXPECT_OK(recurrent_stream_destroy(use.stream));
  EXPECT_OK(recurrent_gradients_destroy(use.gradients));
  EXPECT_OK(recurrent_record_destroy(use.record));
  EXPECT_OK(recurrent_scratch_destroy(use.scratch));
  EXPECT_OK(recurrent_layer_destroy(use.layer));
}
