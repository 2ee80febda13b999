// The calls of MPI that `Ranks` makes, for Swift, which cannot see MPI's constants: they are macros with casts. Each
// function returns MPI_SUCCESS or an error's code. One thread at a time may call them.
#pragma once
#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// The largest count of one call: MPI's counts are ints.
enum { exchange_most = 1 << 30 };

// Starts MPI unless the program has already done so, and sets `is_owner` to whether this call started it. Sets this
// process's rank and the number of ranks. From now on, MPI returns errors; by default it would end the process.
static inline int exchange_start(int *rank, int *count, bool *is_owner) {
  int running = 0, ended = 0, provided = 0;
  int code = MPI_Initialized(&running);
  *is_owner = !running;
  if (code == MPI_SUCCESS) code = MPI_Finalized(&ended);
  // MPI starts only once in a process, and ends the process if it is called after its end.
  if (code == MPI_SUCCESS && ended) return MPI_ERR_OTHER;
  if (code == MPI_SUCCESS && !running) code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
  if (code == MPI_SUCCESS && running) code = MPI_Query_thread(&provided);
  if (code == MPI_SUCCESS && provided < MPI_THREAD_SERIALIZED) return MPI_ERR_UNSUPPORTED_OPERATION;
  if (code == MPI_SUCCESS) code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (code == MPI_SUCCESS) code = MPI_Comm_rank(MPI_COMM_WORLD, rank);
  if (code == MPI_SUCCESS) code = MPI_Comm_size(MPI_COMM_WORLD, count);
  return code;
}

// Ends MPI. It returns when all ranks have called it.
static inline int exchange_finish(void) { return MPI_Finalize(); }

// words [count] |= those of all other ranks.
static inline int exchange_union(uint64_t *words, size_t count) {
  int code = MPI_SUCCESS;
  for (size_t at = 0; at < count && code == MPI_SUCCESS; at += exchange_most) {
    const int here = (int)(count - at < exchange_most ? count - at : exchange_most);
    code = MPI_Allreduce(MPI_IN_PLACE, words + at, here, MPI_UINT64_T, MPI_BOR, MPI_COMM_WORLD);
  }
  return code;
}

// values [count] += those of all other ranks. All ranks get the same bits.
static inline int exchange_sum(float *values, size_t count) {
  int code = MPI_SUCCESS;
  for (size_t at = 0; at < count && code == MPI_SUCCESS; at += exchange_most) {
    const int here = (int)(count - at < exchange_most ? count - at : exchange_most);
    code = MPI_Allreduce(MPI_IN_PLACE, values + at, here, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  }
  return code;
}

// bytes [count] = those of a rank.
static inline int exchange_broadcast(void *bytes, size_t count, int from) {
  int code = MPI_SUCCESS;
  for (size_t at = 0; at < count && code == MPI_SUCCESS; at += exchange_most) {
    const int here = (int)(count - at < exchange_most ? count - at : exchange_most);
    code = MPI_Bcast((char *)bytes + at, here, MPI_BYTE, from, MPI_COMM_WORLD);
  }
  return code;
}

// Writes MPI's message for an error's code to text [exchange_longest_message], with a zero at the end.
enum { exchange_longest_message = MPI_MAX_ERROR_STRING + 1 };
static inline void exchange_message(int code, char *text) {
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  text[length] = 0;
}

#pragma clang assume_nonnull end
