// ENTRY(name, set, (parameters), (arguments)) compiles `name_body` for each instruction set and defines `name`, which
// runs the variant for the instruction set that the expression `set` gives.
#pragma once
#include "lanes.h"

#define ENTRY_VARIANT(of_set, architecture, attributes, supported, name, parameters, arguments) \
  architecture(attributes static void name##_##of_set parameters { name##_body arguments; })
#define ENTRY_CASE(of_set, architecture, attributes, supported, name, arguments) \
  architecture(case instruction_set_##of_set : name##_##of_set arguments; return;)

#define ENTRY(name, set, parameters, arguments)                \
  INSTRUCTION_SETS(ENTRY_VARIANT, name, parameters, arguments) \
  void name parameters {                                       \
    switch (set) {                                             \
      INSTRUCTION_SETS(ENTRY_CASE, name, arguments)            \
      default: name##_portable arguments;                      \
    }                                                          \
  }
