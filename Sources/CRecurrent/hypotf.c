// Swift's Glibc module calls hypotf, which has a new symbol version in glibc 2.35. No other function that the C library
// calls needs a glibc newer than 2.34, so with a hypotf of its own the library runs on 2.34. Only the library sees it.
#include <math.h>

__attribute__((visibility("hidden"))) float hypotf(float x, float y) {
  if (isinf(x) || isinf(y)) return INFINITY;
  // The squares of floats neither overflow nor underflow in double precision.
  return (float)sqrt((double)x * x + (double)y * y);
}
