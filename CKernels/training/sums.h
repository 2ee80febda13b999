// Sums over the lanes of a vector, in an order that is the same for every instruction set.
#pragma once
#include "lanes.h"

LANES double sum_of_eight(const lanes8d *a) {
  const lanes4d half = a->lo + a->hi;
  return (half.x + half.z) + (half.y + half.w);
}

LANES float sum_of_sixteen(const lanes16 *a) {
  const lanes8 half = a->lo + a->hi;
  const lanes4 quarter = half.lo + half.hi;
  return (quarter.x + quarter.z) + (quarter.y + quarter.w);
}

LANES float largest_of_sixteen(const lanes16 *a) {
  const lanes8 half = a->lo > a->hi ? a->lo : a->hi;
  const lanes4 quarter = half.lo > half.hi ? half.lo : half.hi;
  const float even = quarter.x > quarter.z ? quarter.x : quarter.z;
  const float odd = quarter.y > quarter.w ? quarter.y : quarter.w;
  return even > odd ? even : odd;
}
