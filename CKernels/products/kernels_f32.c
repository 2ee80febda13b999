#define OF_SCALAR(f32, f64) f32
#include "kernels.h"
