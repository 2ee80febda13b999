// The true values of the activations, for tests and the benchmark, in double-double arithmetic: at least 90 bits are
// right. Tests/exact compares them with mpmath.
#pragma once

// The value (high + low)·2^exponent, where |low| is at most half a unit in the last place of high.
typedef struct exact {
  double high;
  double low;
  int exponent;
} exact;

// σ(x) = 1 / (1 + exp(-x)) and tanh(x), for any finite x.
exact exact_sigmoid(double x);
exact exact_tanh(double x);

// The error of a value in units in the last place of the true value. It is infinite if the value is a NaN.
double exact_ulps(exact truth, double value);
