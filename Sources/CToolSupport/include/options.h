// getopt_long for Swift, which cannot see <getopt.h> and may not touch its global variables.
#pragma once
#include <stdbool.h>

#pragma clang assume_nonnull begin

enum {
  options_end = -1,
  options_unknown = -2,
  options_value_missing = -3,
  options_value_unexpected = -4,
  options_help = -5,
  options_most = 64
};

// Reads the next option of argv. Returns its index in `names` (at most options_most) and its value, or one of the codes
// above; options_help means -h. `position` is the next argument's index; set it to 0 to start again. Only one thread
// may call this at a time.
int next_option(int count, char *_Nullable *_Nonnull arguments, const char *_Nonnull const *_Nonnull names,
                const bool *takes_value, int name_count, const char *_Nullable *_Nonnull value, int *position);

#pragma clang assume_nonnull end
