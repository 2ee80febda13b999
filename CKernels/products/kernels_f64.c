#define OF_SCALAR(f32, f64) f64
#include "kernels.h"
