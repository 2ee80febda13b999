// Does what a host of plugins does: a thread loads the library, uses it on two threads and causes an error, unloads it
// and ends, while the process continues. The argument is the library's path.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <recurrent.h>
#include <stdio.h>
#include <string.h>

static const char *problem = "the thread did not run";

// Declares a pointer to a function of the library, without a conversion that ISO C forbids.
#define FUNCTION(name)                \
  __typeof__(&recurrent_##name) name; \
  memcpy(&name, &(void *){dlsym(library, "recurrent_" #name)}, sizeof name)

static const char *use(void *library) {
  FUNCTION(layer_create);
  FUNCTION(scratch_create);
  FUNCTION(forward);
  FUNCTION(last_message);
  recurrent_layer *layer = NULL;
  if (layer_create(NULL, &layer) == RECURRENT_OK ||
      strcmp(last_message(), "options is null, expected the address of a recurrent_layer_options") != 0)
    return "the error is another";
  // The layer is so large that threads divide it. Neither the layer nor the scratch is destroyed, so the pool's thread
  // still waits when the library is closed.
  enum { H = 256, N = 32, T = 4 };
  static float x[T * N * H], y[T * N * H], h[N * H], c[N * H];
  const recurrent_layer_options options = {
      .size = sizeof options, .input_size = H, .hidden_size = H, .layer_count = 1, .cell = RECURRENT_LSTM};
  const recurrent_call call = {.size = sizeof call, .steps = T, .batch_size = N};
  const recurrent_state state = {sizeof state, h, N * H, c, N * H};
  recurrent_scratch *scratch = NULL;
  if (layer_create(&options, &layer) || scratch_create(2, &scratch) ||
      forward(layer, &call, x, T * N * H, &state, y, T * N * H, scratch))
    return last_message();
  return NULL;
}

static void *load_use_and_unload(void *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  problem = library == NULL ? dlerror() : use(library);
  if (library != NULL && dlclose(library) != 0) problem = dlerror();
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  for (int round = 0; round < 3 && (round == 0 || problem == NULL); round++) {
    pthread_t thread;
    pthread_create(&thread, NULL, load_use_and_unload, arguments[1]);
    pthread_join(thread, NULL);
  }
  puts(problem ? problem : "C: loaded and unloaded");
  return problem != NULL;
}
