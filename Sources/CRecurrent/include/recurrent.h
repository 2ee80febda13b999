// recurrent.h: RNN, LSTM, GRU and IndRNN on the CPU, forward and backward through time.
//
// Letters: T time steps, N sequences in a batch, C inputs per step, H hidden units, L layers on top of each other,
// D directions (1 or 2), O outputs per step (H, or 2·H if both directions are next to each other), G gates (RNN and
// IndRNN 1, GRU 3, LSTM 4). Every buffer's comment starts with its shape, whose rightmost dimension is contiguous, and
// says whether the buffer is read, overwritten or added to. Every buffer is passed with its count, in elements, which
// must match its shape.
//
// Calls never print. Every call returns a status, except the few that return a text. After a call has failed,
// recurrent_last_message says which argument was wrong, what it was and what was expected, and the call has changed
// nothing, unless its comment says otherwise. Pointers may not be null unless a comment allows it. No two buffers of a
// call may overlap, not even two that are only read. Sizes that this machine's memory cannot hold are refused; if
// memory runs out nevertheless, the process ends.
//
// Outputs, states and all gradients have the same bits on every processor whose instruction set fuses multiply-adds
// (AVX2, AVX-512): in float, in double and with weights in 8 bits. The portable kernels do not fuse multiply-adds and
// give other bits. With weights in bf16, AVX2 and AVX-512 give the same bits. AVX512_BF16 and AMX add in other orders,
// so each of them gives bits of its own.
//
// Layers, and what is made of them, hold floats. The functions at the end, whose names end in _f64, are the same for
// doubles.
//
// Passing a handle of another type is an error. Passing a destroyed handle is an error only until its memory is reused,
// which may happen at once: from then on the behavior is undefined, as after free.
//
// A structure starts with its size, so that later versions can add fields at its end. The library accepts a smaller
// size, from a program that was compiled with an older header: the missing fields count as zero. It accepts a larger
// size only if all bytes that it does not know are zero. Set a structure to zero before filling it in, as
// `= {.size = sizeof call}` does. The number in the library's soname changes only if programs must be compiled again.
//
// Any number of threads may use a layer at once as long as none of them changes it. Only one call at a time may use a
// scratch, a record, gradients or a stream. The library stays in memory after dlclose.
#ifndef RECURRENT_H
#define RECURRENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RECURRENT_VERSION "0.5.0"

// MARK: - Status and messages

typedef enum recurrent_status {
  RECURRENT_OK = 0,
  RECURRENT_INVALID_ARGUMENT = 1,  // null, a size, a count or an option that does not fit
  RECURRENT_INVALID_HANDLE = 2,    // destroyed, of another type, or of floats where doubles are expected
  RECURRENT_UNKNOWN_NAME = 3,      // a parameter that does not exist; the message lists those that do
  RECURRENT_FILE_ERROR = 4,        // a file that cannot be read or written, or is not what it should be
  RECURRENT_UNSUPPORTED = 5        // an instruction set that this processor lacks
} recurrent_status;

// What was wrong with the last call that failed on this thread; empty before the first failure. Valid until the next
// failure on this thread.
const char *recurrent_last_message(void);

// RECURRENT_VERSION of the library that runs.
const char *recurrent_version(void);

// One line on the processor, the instruction set, and whose kernels run and why. Valid forever.
const char *recurrent_processor_description(void);

// MARK: - Layers

// A recurrent layer: L levels of one cell, each the input of the next; its parameters, and their packed form.
typedef struct recurrent_layer recurrent_layer;

typedef enum recurrent_cell {
  RECURRENT_RNN = 0,   // h = tanh(W x + b_ih + U h' + b_hh)
  RECURRENT_LSTM = 1,  // i, f, o = σ(...), g = tanh(...), c = f∘c' + i∘g, h = o∘tanh(c); gates in the order i f g o
  RECURRENT_GRU = 2,   // r, z = σ(...), n = tanh(W x + b_ih + r∘(U h' + b_hh)), h = (1-z)∘n + z∘h'; gates r z n
  RECURRENT_INDRNN = 3  // h = activation(W x + u∘h' + b): weight_ih [H,C], weight_hh [H] (u), bias_ih [H]
} recurrent_cell;

typedef enum recurrent_direction {
  RECURRENT_FORWARD = 0,
  RECURRENT_REVERSE = 1,           // from the last step, of each sequence its own, to the first
  RECURRENT_BIDIRECTIONAL = 2,     // both; y is [forward, reverse], O = 2·H
  RECURRENT_BIDIRECTIONAL_SUM = 3  // both; y is the sum, O = H
} recurrent_direction;

// What the h of an RNN or an IndRNN passes through. An IndRNN is usually used with RECURRENT_RELU.
typedef enum recurrent_activation { RECURRENT_TANH = 0, RECURRENT_RELU = 1 } recurrent_activation;

// How an LSTM's h follows from c.
typedef enum recurrent_cell_output {
  RECURRENT_CELL_OUTPUT_TANH = 0,   // h = o∘tanh(c)
  RECURRENT_CELL_OUTPUT_LINEAR = 1  // h = o∘c
} recurrent_cell_output;

// Where a GRU's reset gate acts.
typedef enum recurrent_reset_form {
  RECURRENT_RESET_AFTER_PRODUCT = 0,  // r∘(U h' + b_hh), as PyTorch, Keras and cuDNN
  RECURRENT_RESET_BEFORE_PRODUCT = 1  // U (r∘h') + b_hh, as the first paper
} recurrent_reset_form;

// What a GRU's update gate lets through.
typedef enum recurrent_update_form {
  RECURRENT_UPDATE_KEEPS_OLD = 0,  // h = (1-z)∘n + z∘h'
  RECURRENT_UPDATE_TAKES_NEW = 1   // h = z∘n + (1-z)∘h'
} recurrent_update_form;

// Whose kernels run. Each instruction set contains the ones before it.
typedef enum recurrent_instruction_set {
  RECURRENT_INSTRUCTION_SET_BEST = 0,  // that this processor has, or what the variable RECURRENT_FORCE_ISA names
  RECURRENT_INSTRUCTION_SET_PORTABLE = 1,
  RECURRENT_INSTRUCTION_SET_AVX2 = 2,
  RECURRENT_INSTRUCTION_SET_AVX512 = 3,
  RECURRENT_INSTRUCTION_SET_AVX512_BF16 = 4,  // AVX-512, with other kernels for weights in bf16
  RECURRENT_INSTRUCTION_SET_AMX = 5           // AVX-512, with other kernels for weights in bf16 and in 8 bits
} recurrent_instruction_set;

// How a layer keeps the weights that it multiplies by, W and U. Its parameters keep their full precision: calls that
// get and set them, and files, do not depend on it.
typedef enum recurrent_weights {
  RECURRENT_WEIGHTS_FULL = 0,  // floats, or doubles
  // 8-bit numbers with a scale for each unit of each gate: max|w| / 127. Each step also rounds the rows of x and h to 8
  // bits, with a scale for each row: max|x| / 127. The sums of their products are exact. With AVX-512 VNNI, calls take
  // a third of the time or less. A row that holds an infinity or a NaN becomes NaN. Only for layers of floats whose
  // input and hidden sizes are at most 65536; recurrent_record_forward refuses them.
  RECURRENT_WEIGHTS_INT8 = 1,
  // bfloat16, the upper halves of floats. Weights are rounded once, and each step rounds the rows of x and h before it
  // multiplies them: to the nearest number, of two equally near ones to the even one, in any rounding mode. The
  // products are added up in floats. Such a layer can be trained: backward rounds the gradients that its products
  // multiply in the same way. AVX512_BF16 and AMX always round sums to the nearest number, and read and write denormal
  // numbers as zero in products. Only for layers of floats.
  RECURRENT_WEIGHTS_BF16 = 2
} recurrent_weights;

// What a layer is made of. Zero is the default of everything but the sizes. Options of other cells are ignored.
typedef struct recurrent_layer_options {
  size_t size;         // sizeof(recurrent_layer_options)
  size_t input_size;   // C, at least 1
  size_t hidden_size;  // H, at least 1
  size_t layer_count;  // L, at least 1
  recurrent_cell cell;
  recurrent_direction direction;
  recurrent_activation activation;    // of an RNN or an IndRNN
  recurrent_cell_output cell_output;  // of an LSTM
  recurrent_reset_form reset;         // of a GRU
  recurrent_update_form update;       // of a GRU
  recurrent_instruction_set instruction_set;
  float dropout;        // between levels, in recurrent_record_forward: 0 to 1
  int no_bias;          // not 0: there are no biases
  int flush_denormals;  // not 0: every call reads and writes denormal numbers as zero
  uint64_t seed;        // equal seeds give equal parameters, uniform in ±1/√H; 0 gives new ones each time
  recurrent_weights weights;
} recurrent_layer_options;

// Makes a layer and stores it in *layer, to be destroyed by recurrent_layer_destroy; null if it fails. So do all the
// other calls that end in create.
recurrent_status recurrent_layer_create(const recurrent_layer_options *options, recurrent_layer **layer);

// Destroys a layer; null is ignored. Streams and records made with it stay valid.
recurrent_status recurrent_layer_destroy(recurrent_layer *layer);

// O, features of y.
recurrent_status recurrent_layer_output_size(const recurrent_layer *layer, size_t *output_size);

// L·D: level by level, forward before reverse, as PyTorch's h_n.
recurrent_status recurrent_layer_state_count(const recurrent_layer *layer, size_t *state_count);

// MARK: - Parameters
//
// By PyTorch's names: weight_ih_l0 [G·H,C], weight_hh_l0 [G·H,H], bias_ih_l0 and bias_hh_l0 [G·H]; those of the next
// level end in l1, whose C is O, and those of a reverse direction in l0_reverse.

// How many there are.
recurrent_status recurrent_layer_parameter_count(const recurrent_layer *layer, size_t *parameter_count);

// The name of a parameter, valid as long as the layer.
recurrent_status recurrent_layer_parameter_name(const recurrent_layer *layer, size_t index, const char **name);

// The shape of a parameter, [rows,columns]; columns is 1 if it is a vector.
recurrent_status recurrent_layer_parameter_shape(const recurrent_layer *layer, const char *name, size_t *rows,
                                                 size_t *columns);

// values: [count], of the parameter's shape; overwritten.
recurrent_status recurrent_layer_get_parameter(const recurrent_layer *layer, const char *name, float *values,
                                               size_t count);

// values: [count], of the parameter's shape; read. Packs the weights again: to set them all, recurrent_layer_set_values
// does so once.
recurrent_status recurrent_layer_set_parameter(recurrent_layer *layer, const char *name, const float *values,
                                               size_t count);

// The floats of all parameters together.
recurrent_status recurrent_layer_value_count(const recurrent_layer *layer, size_t *value_count);

// values: [count], all parameters one after the other in the order of their indices; overwritten.
recurrent_status recurrent_layer_get_values(const recurrent_layer *layer, float *values, size_t count);

// values: [count], all parameters one after the other in the order of their indices; read.
recurrent_status recurrent_layer_set_values(recurrent_layer *layer, const float *values, size_t count);

// Reads the parameters from a safetensors file (github.com/huggingface/safetensors) of type F32, F64, F16 or BF16. Each
// tensor's name is the prefix, such as "encoder.", followed by the parameter's name; a null prefix means none. A matrix
// may also be I8, if a tensor whose name is followed by ".scale" has the scale of each row.
recurrent_status recurrent_layer_load(recurrent_layer *layer, const char *path, const char *prefix);

// Writes the parameters to a safetensors file: to a temporary file beside it first, which is then renamed.
recurrent_status recurrent_layer_save(const recurrent_layer *layer, const char *path, const char *prefix);

// MARK: - Scratch

// The working memory and the threads of a call. It grows when it is first used for a size; after that, calls allocate
// nothing, on any number of threads. On one thread, they take no lock and make no system call. On several threads, a
// call that divides its work may wait for the other threads, and wake them, with the system call futex.
typedef struct recurrent_scratch recurrent_scratch;

// thread_count: 1 to 1024, including the caller's. A call divides a layer's units among them if a step has enough work
// to pay for it; the results are the same bits on any number of threads. In a child of fork, which has only the calling
// thread, calls run on that thread.
recurrent_status recurrent_scratch_create(size_t thread_count, recurrent_scratch **scratch);

// Destroys a scratch; null is ignored.
recurrent_status recurrent_scratch_destroy(recurrent_scratch *scratch);

// The bytes that a scratch holds now: what the calls so far needed.
recurrent_status recurrent_scratch_byte_count(const recurrent_scratch *scratch, size_t *byte_count);

// The threads that a scratch was made with.
recurrent_status recurrent_scratch_thread_count(const recurrent_scratch *scratch, size_t *thread_count);

// MARK: - Sequences

typedef enum recurrent_layout {
  RECURRENT_TIME_MAJOR = 0,   // [T,N,features], PyTorch's default
  RECURRENT_BATCH_MAJOR = 1,  // [N,T,features], PyTorch's batch_first
  RECURRENT_STRIDED = 2       // the strides of the call; the buffer may be longer than needed
} recurrent_layout;

// Whether recurrent_record_forward drops between the levels of a layer that has dropout. No other call drops.
typedef enum recurrent_dropout_mode {
  RECURRENT_DROPOUT_SEEDED = 0,  // with the masks of dropout_seed, first_sequence and first_step
  RECURRENT_DROPOUT_OFF = 1      // not at all
} recurrent_dropout_mode;

// What a call is told about its sequences. Zero is the default of everything but the sizes.
typedef struct recurrent_call {
  size_t size;        // sizeof(recurrent_call)
  size_t steps;       // T, at least 1
  size_t batch_size;  // N, at least 1
  // [N], each 0 to T, read; null if all are T. Past its length, a sequence's state does not change, its y is 0, the
  // values of x and dy are ignored, and no gradient flows.
  const int64_t *lengths;
  size_t lengths_count;  // N, or 0 if lengths is null
  // [T,N], time-major in every layout, read; null for none. If a value is not 0, the state before that step is zero, as
  // if a new sequence began there; nothing crosses that boundary, forward or backward.
  const uint8_t *resets;
  size_t resets_count;        // T·N, or 0 if resets is null
  recurrent_layout x_layout;  // of x and dx
  recurrent_layout y_layout;  // of y and dy
  size_t x_step;              // if strided: floats from one step of a sequence to its next step, and
  size_t x_sequence;          // floats from one sequence to the next
  size_t y_step;
  size_t y_sequence;
  recurrent_dropout_mode dropout_mode;
  // Equal values of these three give equal masks, however the data is split into batches.
  uint64_t dropout_seed;    // a new one for each update gives new masks
  uint64_t first_sequence;  // the number of the batch's first sequence in the data
  uint64_t first_step;      // the number of the first step, if sequences are cut into pieces
} recurrent_call;

// The state of a layer, or the gradient of a state. Calls only read the structure itself. Later versions will add
// pointers and counts at its end for the states of other cells.
typedef struct recurrent_state {
  size_t size;  // sizeof(recurrent_state)
  float *h;     // [L·D,N,H]
  size_t h_count;
  float *c;        // [L·D,N,H] for an LSTM, null for other cells
  size_t c_count;  // 0 if c is null
} recurrent_state;

// Runs sequences through a layer.
//
// x: [T,N,C] or as the call says; read.
// state: the state before the first step is read, and overwritten with the state after the last step.
// y: [T,N,O] or as the call says; overwritten.
recurrent_status recurrent_forward(const recurrent_layer *layer, const recurrent_call *call, const float *x,
                                   size_t x_count, const recurrent_state *state, float *y, size_t y_count,
                                   recurrent_scratch *scratch);

// MARK: - Training

// What forward keeps for backward. A record can be passed to any number of calls; it grows if a call needs more memory.
typedef struct recurrent_record recurrent_record;

recurrent_status recurrent_record_create(recurrent_record **record);

// Destroys a record; null is ignored.
recurrent_status recurrent_record_destroy(recurrent_record *record);

// Does what recurrent_forward does, and keeps what backward needs. The weights of the layer must be full or in bf16. It
// drops between levels as the layer's dropout and the call's dropout_mode say; if nothing is dropped, its results are
// the same bits as those of recurrent_forward.
//
// y: as in recurrent_forward, or null with y_count 0 if it is not needed.
// record: overwritten.
recurrent_status recurrent_record_forward(const recurrent_layer *layer, const recurrent_call *call, const float *x,
                                          size_t x_count, const recurrent_state *state, float *y, size_t y_count,
                                          recurrent_record *record, recurrent_scratch *scratch);

// Gradients of a layer's parameters, by the parameters' names and shapes.
typedef struct recurrent_gradients recurrent_gradients;

// Makes gradients of zero.
recurrent_status recurrent_gradients_create(const recurrent_layer *layer, recurrent_gradients **gradients);

// Destroys gradients; null is ignored.
recurrent_status recurrent_gradients_destroy(recurrent_gradients *gradients);

// Sets all gradients to zero.
recurrent_status recurrent_gradients_zero(recurrent_gradients *gradients);

// values: [count], of the parameter's shape; overwritten.
recurrent_status recurrent_gradients_get(const recurrent_gradients *gradients, const char *name, float *values,
                                         size_t count);

// values: [count], of all parameters in the order of recurrent_layer_get_values; overwritten.
recurrent_status recurrent_gradients_get_values(const recurrent_gradients *gradients, float *values, size_t count);

// Backpropagation through time. Lengths, resets, layouts and dropout are those of the call that filled the record, and
// the layer's parameters must not have changed since then.
//
// record: consumed.
// x: [T,N,C], the same values and layout as in recurrent_record_forward; read.
// dy: [T,N,O] in y's layout, the gradient of y; read. Null with dy_count 0 means zero.
// d_state: the gradient of the final state is read, and overwritten with the gradient of the initial state.
// dx: [T,N,C] in x's layout; overwritten. Null with dx_count 0 if it is not needed.
// gradients: added to.
recurrent_status recurrent_backward(const recurrent_layer *layer, recurrent_record *record, const float *x,
                                    size_t x_count, const float *dy, size_t dy_count, const recurrent_state *d_state,
                                    float *dx, size_t dx_count, recurrent_gradients *gradients,
                                    recurrent_scratch *scratch);

// MARK: - Streams

// Sequences that arrive step by step: their state, and what the kernels need, so that a step allocates nothing. A
// stream keeps the parameters that the layer had when it was made.
typedef struct recurrent_stream recurrent_stream;

// batch_size: N, at least 1: the number of slots; each starts with a sequence whose state is zero. The layer's
// direction must be forward.
recurrent_status recurrent_stream_create(const recurrent_layer *layer, size_t batch_size, recurrent_stream **stream);

// Makes another stream that continues from the state of this one.
recurrent_status recurrent_stream_fork(const recurrent_stream *stream, recurrent_stream **fork);

// Destroys a stream; null is ignored.
recurrent_status recurrent_stream_destroy(recurrent_stream *stream);

// One step of every sequence.
//
// x: [N,C], read.
// y: [N,H], overwritten; 0 for empty slots.
recurrent_status recurrent_stream_step(recurrent_stream *stream, const float *x, size_t x_count, float *y,
                                       size_t y_count);

// Runs `steps` steps, 0 or more, of every sequence: the same bits as that many calls of recurrent_stream_step, in less
// time.
//
// x: [T,N,C], read. May be null, with x_count 0, if steps is 0.
// y: [T,N,H], overwritten; 0 for empty slots. May be null, with y_count 0, if steps is 0.
recurrent_status recurrent_stream_process(recurrent_stream *stream, size_t steps, const float *x, size_t x_count,
                                          float *y, size_t y_count);

// Copies the state of all sequences out.
//
// state: h and c are overwritten; 0 for empty slots.
recurrent_status recurrent_stream_get_state(const recurrent_stream *stream, const recurrent_state *state);

// Sets the state of all sequences.
//
// state: h and c are read; empty slots stay empty.
recurrent_status recurrent_stream_set_state(recurrent_stream *stream, const recurrent_state *state);

// Every sequence starts again from zero.
recurrent_status recurrent_stream_reset(recurrent_stream *stream);

// One sequence starts again from zero.
recurrent_status recurrent_stream_reset_slot(recurrent_stream *stream, size_t slot);

// A new sequence, whose state is zero, takes a slot. It replaces the sequence that has the slot, if there is one.
recurrent_status recurrent_stream_join(recurrent_stream *stream, size_t slot);

// A sequence leaves its slot; an empty slot costs no work. If the slot is empty, nothing happens.
recurrent_status recurrent_stream_leave(recurrent_stream *stream, size_t slot);

// Whether a slot has a sequence: 1 or 0.
recurrent_status recurrent_stream_is_active(const recurrent_stream *stream, size_t slot, int *is_active);

// MARK: - Doubles
//
// Each function that takes or gives floats has a twin for doubles, whose name ends in _f64: shapes, errors and what is
// read or written are the same. A layer made by recurrent_layer_create_f64 holds doubles, as do the gradients and the
// streams that are made of it. Passing them to a function for floats is an error, as are those of floats here; the
// message names the function to use.
//
// Functions without _f64 that take no floats serve both: recurrent_gradients_create, recurrent_stream_join ... Strides
// of a call are in doubles. recurrent_layer_load rounds F64 for a layer of floats; a layer of doubles takes every type
// exactly, and recurrent_layer_save writes it as F64. A scratch or a record may be used for layers of both, and then
// has memory for each. Backward needs the record of the last recurrent_record_forward_f64, with no
// recurrent_record_forward after it.

recurrent_status recurrent_layer_create_f64(const recurrent_layer_options *options, recurrent_layer **layer);

recurrent_status recurrent_layer_get_parameter_f64(const recurrent_layer *layer, const char *name, double *values,
                                                   size_t count);
recurrent_status recurrent_layer_set_parameter_f64(recurrent_layer *layer, const char *name, const double *values,
                                                   size_t count);
recurrent_status recurrent_layer_get_values_f64(const recurrent_layer *layer, double *values, size_t count);
recurrent_status recurrent_layer_set_values_f64(recurrent_layer *layer, const double *values, size_t count);

// The state of a layer of doubles, or the gradient of a state.
typedef struct recurrent_state_f64 {
  size_t size;  // sizeof(recurrent_state_f64)
  double *h;    // [L·D,N,H]
  size_t h_count;
  double *c;       // [L·D,N,H] for an LSTM, null for other cells
  size_t c_count;  // 0 if c is null
} recurrent_state_f64;

recurrent_status recurrent_forward_f64(const recurrent_layer *layer, const recurrent_call *call, const double *x,
                                       size_t x_count, const recurrent_state_f64 *state, double *y, size_t y_count,
                                       recurrent_scratch *scratch);

recurrent_status recurrent_record_forward_f64(const recurrent_layer *layer, const recurrent_call *call, const double *x,
                                              size_t x_count, const recurrent_state_f64 *state, double *y,
                                              size_t y_count, recurrent_record *record, recurrent_scratch *scratch);
recurrent_status recurrent_gradients_get_f64(const recurrent_gradients *gradients, const char *name, double *values,
                                             size_t count);
recurrent_status recurrent_gradients_get_values_f64(const recurrent_gradients *gradients, double *values, size_t count);
recurrent_status recurrent_backward_f64(const recurrent_layer *layer, recurrent_record *record, const double *x,
                                        size_t x_count, const double *dy, size_t dy_count,
                                        const recurrent_state_f64 *d_state, double *dx, size_t dx_count,
                                        recurrent_gradients *gradients, recurrent_scratch *scratch);

recurrent_status recurrent_stream_step_f64(recurrent_stream *stream, const double *x, size_t x_count, double *y,
                                           size_t y_count);
recurrent_status recurrent_stream_process_f64(recurrent_stream *stream, size_t steps, const double *x, size_t x_count,
                                              double *y, size_t y_count);
recurrent_status recurrent_stream_get_state_f64(const recurrent_stream *stream, const recurrent_state_f64 *state);
recurrent_status recurrent_stream_set_state_f64(recurrent_stream *stream, const recurrent_state_f64 *state);

#ifdef __cplusplus
}
#endif

#endif
