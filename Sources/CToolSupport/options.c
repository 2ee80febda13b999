#define _GNU_SOURCE
#include "options.h"

#include <getopt.h>
#include <stddef.h>

int next_option(int count, char **arguments, const char *const *names, const bool *takes_value, int name_count,
                const char **value, int *position) {
  enum { known = 1 };
  struct option table[options_most + 1] = {0};
  for (int i = 0; i < name_count && i < options_most; i++)
    table[i] = (struct option){names[i], takes_value[i] ? required_argument : no_argument, NULL, known};
  optind = *position;
  opterr = 0;
  int index = 0;
  // ":" first: a missing value is told apart from an unknown option.
  const int result = getopt_long(count, arguments, ":h", table, &index);
  *position = optind;
  if (result == 'h') return options_help;
  if (result == -1) return options_end;
  if (result == ':') return options_value_missing;
  // getopt_long leaves in optopt what the table has for an option that takes no value, and 0 for an unknown one.
  if (result == '?' && optopt == known) return options_value_unexpected;
  if (result != known) return options_unknown;
  *value = optarg;
  return index;
}
