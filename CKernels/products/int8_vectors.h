// The vectors of the kernels for 8-bit weights: 64 bytes, in the registers that the instruction set has. The kernels
// read as 32-bit words what was written as bytes, so these types may alias any other.
#pragma once
#include "rounded_forms.h"

enum { LANE_COUNT = 16 };
typedef int32_t integers __attribute__((ext_vector_type(16), aligned(4), may_alias));
typedef float floats __attribute__((ext_vector_type(16), aligned(4), may_alias));
typedef int16_t shorts __attribute__((ext_vector_type(32), aligned(2), may_alias));
typedef int16_t half_shorts __attribute__((ext_vector_type(16), aligned(2), may_alias));
typedef int8_t bytes __attribute__((ext_vector_type(64), aligned(1), may_alias));
typedef int8_t half_bytes __attribute__((ext_vector_type(32), aligned(1), may_alias));
typedef int8_t quarter_bytes __attribute__((ext_vector_type(16), aligned(1), may_alias));
typedef int32_t word __attribute__((may_alias));
