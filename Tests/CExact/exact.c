#include "exact.h"

#include <math.h>

// A double-double is high + low, where |low| is at most half a unit in the last place of high. The formulas are those
// of T. J. Dekker, https://doi.org/10.1007/BF01397083, with fused multiply-adds.
typedef struct dd {
  double high;
  double low;
} dd;

static dd fast_sum(double a, double b) {  // |a| >= |b|
  const double sum = a + b;
  return (dd){sum, b - (sum - a)};
}
static dd sum(double a, double b) {
  const double sum = a + b, part = sum - a;
  return (dd){sum, (a - (sum - part)) + (b - part)};
}
static dd product(double a, double b) {
  const double high = a * b;
  return (dd){high, fma(a, b, -high)};
}
static dd add(dd a, dd b) {
  const dd high = sum(a.high, b.high), low = sum(a.low, b.low);
  const dd first = fast_sum(high.high, high.low + low.high);
  return fast_sum(first.high, first.low + low.low);
}
static dd multiply(dd a, dd b) {
  const dd high = product(a.high, b.high);
  return fast_sum(high.high, high.low + (a.high * b.low + a.low * b.high));
}
static dd negative(dd a) { return (dd){-a.high, -a.low}; }
static dd divide(dd a, dd b) {
  const double first = a.high / b.high;
  const dd rest = add(a, negative(multiply(b, (dd){first, 0})));
  const double second = rest.high / b.high;
  const dd last = add(rest, negative(multiply(b, (dd){second, 0})));
  return add(fast_sum(first, second), (dd){last.high / b.high, 0});
}

// exp(y) = (1 + m)·2^n, where |n·ln 2 - y| <= ln 2 / 2.
typedef struct exponential {
  dd m;
  int n;
} exponential;

static exponential expm1_reduced(double y) {
  // ln 2 as the sum of three doubles.
  const double ln2[3] = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56, 0x1.7b57a079a1934p-111};
  const double n = rint(y / ln2[0]);
  dd r = {y, 0};
  for (int i = 0; i < 3; i++) r = add(r, negative(product(n, ln2[i])));
  // exp(r) - 1 = r·(1 + r/2·(1 + r/3·(…)))
  dd series = {1, 0};
  for (int k = 28; k > 1; k--) series = add((dd){1, 0}, divide(multiply(r, series), (dd){k, 0}));
  return (exponential){multiply(r, series), (int)n};
}

exact exact_sigmoid(double x) {
  const double y = -fabs(x);
  if (y < -2000) return (exact){x > 0, 0, 0};
  const exponential e = expm1_reduced(y);
  const dd one = {1, 0}, m = add(one, e.m);
  const dd power = {ldexp(m.high, e.n), ldexp(m.low, e.n)};
  const dd value = divide(x > 0 ? one : m, add(one, power));
  return (exact){value.high, value.low, x > 0 ? 0 : e.n};
}

exact exact_tanh(double x) {
  if (fabs(x) < 0x1p-200) return (exact){x, 0, 0};  // tanh(x) = x - x³/3 + …
  if (fabs(x) > 1000) return (exact){copysign(1, x), 0, 0};
  const exponential e = expm1_reduced(-2 * fabs(x));
  dd m = e.m;  // exp(-2|x|) - 1
  if (e.n != 0) {
    m = add(m, (dd){1, 0});
    m = add((dd){ldexp(m.high, e.n), ldexp(m.low, e.n)}, (dd){-1, 0});
  }
  const dd value = divide(negative(m), add((dd){2, 0}, m));
  return x < 0 ? (exact){-value.high, -value.low, 0} : (exact){value.high, value.low, 0};
}

double exact_ulps(exact truth, double value) {
  if (isnan(value)) return INFINITY;
  if (truth.high == 0) return fabs(value) / 0x1p-1074;
  int exponent = ilogb(truth.high);
  // If the true value is just below a power of two, its unit is half of that power's.
  if (fabs(truth.high) == ldexp(1, exponent) && (truth.low < 0) != (truth.high < 0) && truth.low != 0) exponent--;
  exponent += truth.exponent;
  const int unit = exponent - 52 < -1074 ? -1074 : exponent - 52;
  return ldexp(fabs((ldexp(value, -truth.exponent) - truth.high) - truth.low), truth.exponent - unit);
}
