"""Compares the double-double values of Tests/CExact with mpmath's, to 90 bits. Half of the arguments have random bits;
the others are uniform in the range where the activations change."""

import ctypes
import random
import struct
import sys

from mpmath import exp, log, mp, mpf, tanh

mp.prec = 400
LIMIT = -90


class Exact(ctypes.Structure):
    _fields_ = [("high", ctypes.c_double), ("low", ctypes.c_double), ("exponent", ctypes.c_int)]


def arguments(count):
    generator = random.Random(1)
    while count > 0:
        x = struct.unpack("<d", generator.getrandbits(64).to_bytes(8, "little"))[0]
        if count % 2:
            x = generator.uniform(-1, 1) * 2.0 ** generator.uniform(-30, 11)
        if x == x and abs(x) != float("inf"):
            count -= 1
            yield x


def worst(function, truth, xs):
    error, at = mpf(0), 0.0
    for x in xs:
        true = truth(mpf(x))
        value = function(x)
        value = mp.ldexp(mpf(value.high) + mpf(value.low), value.exponent)
        # The value may be zero if the true one is smaller than every double.
        this = mpf(0) if true == value or abs(true) < mp.ldexp(1, -2000) else abs(value - true) / abs(true)
        if this > error:
            error, at = this, x
    return error, at


def true_sigmoid(x):
    if x < -2000:
        return mpf(0)
    return 1 / (1 + exp(-x))


def true_tanh(x):
    return mp.sign(x) if abs(x) > 2000 else x * (1 - x * x / 3) if abs(x) < mp.ldexp(1, -60) else tanh(x)


def main():
    library = ctypes.CDLL(sys.argv[1])
    good = True
    for name, truth in (("sigmoid", true_sigmoid), ("tanh", true_tanh)):
        function = getattr(library, f"exact_{name}")
        function.argtypes, function.restype = [ctypes.c_double], Exact
        error, at = worst(function, truth, arguments(int(sys.argv[2])))
        bits = float(log(error, 2)) if error else float("-inf")
        print(f"{name}: at most 2^{bits:.1f} of the true value, at {at!r}")
        good = good and bits <= LIMIT
    sys.exit(not good)


main()
