// Swift's Glibc module calls hypotf, whose glibc 2.35 version would be the newest that the C library needs: a library
// that brings its own runs on glibc 2.34. It is visible within the library only.
#include <math.h>

__attribute__((visibility("hidden"))) float hypotf(float x, float y) {
  if (isinf(x) || isinf(y)) return INFINITY;
  // The squares of floats neither overflow nor underflow in double precision.
  return (float)sqrt((double)x * x + (double)y * y);
}
