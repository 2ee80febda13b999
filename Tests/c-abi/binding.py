"""recurrent.h over ctypes and NumPy: as much of it as test.py needs."""
import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint8, c_uint64, c_void_p

import numpy

CELLS = {"rnn": 0, "lstm": 1, "gru": 2}
DIRECTIONS = {"forward": 0, "reverse": 1, "bidirectional": 2, "bidirectional_sum": 3}
LAYOUTS = {"time_major": 0, "batch_major": 1}
# The suffix of the functions for a type of numbers.
SUFFIXES = {numpy.dtype(numpy.float32): "", numpy.dtype(numpy.float64): "_f64"}


class Options(Structure):
    _fields_ = [
        ("size", c_size_t), ("input_size", c_size_t), ("hidden_size", c_size_t), ("layer_count", c_size_t),
        ("cell", c_int), ("direction", c_int), ("activation", c_int), ("cell_output", c_int), ("reset", c_int),
        ("update", c_int), ("instruction_set", c_int), ("dropout", c_float), ("no_bias", c_int),
        ("flush_denormals", c_int), ("seed", c_uint64), ("weights", c_int),
    ]


class Call(Structure):
    _fields_ = [
        ("size", c_size_t), ("steps", c_size_t), ("batch_size", c_size_t), ("lengths", POINTER(c_int64)),
        ("lengths_count", c_size_t), ("resets", POINTER(c_uint8)), ("resets_count", c_size_t), ("x_layout", c_int),
        ("y_layout", c_int), ("x_step", c_size_t), ("x_sequence", c_size_t), ("y_step", c_size_t),
        ("y_sequence", c_size_t), ("dropout_mode", c_int), ("dropout_seed", c_uint64), ("first_sequence", c_uint64),
        ("first_step", c_uint64),
    ]


class State(Structure):
    _fields_ = [("size", c_size_t), ("h", c_void_p), ("h_count", c_size_t), ("c", c_void_p), ("c_count", c_size_t)]


class RecurrentError(Exception):
    pass


def pointer(array):
    """The address of a contiguous array, or null."""
    if array is None:
        return None
    assert array.dtype in SUFFIXES and array.flags.c_contiguous
    return c_void_p(array.ctypes.data)


def count(array):
    return c_size_t(0 if array is None else array.size)


def state(h, c):
    """A state's structure, the same for floats and doubles; c is None if the cell has none."""
    return byref(State(ctypes.sizeof(State), pointer(h), count(h), pointer(c), count(c)))


class Library:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        for name in ("last_message", "version", "processor_description"):
            getattr(self.library, f"recurrent_{name}").restype = c_char_p

    def text(self, name):
        return getattr(self.library, f"recurrent_{name}")().decode()

    def __call__(self, name, *arguments):
        if getattr(self.library, f"recurrent_{name}")(*arguments) != 0:
            raise RecurrentError(f"recurrent_{name}: {self.text('last_message')}")

    def make(self, name, *arguments):
        handle = c_void_p()
        self(name + "_create", *arguments, byref(handle))
        return handle


class Layer:
    """A layer of floats or, with dtype=numpy.float64, of doubles; arrays must be of the same type."""

    def __init__(self, library, threads=1, dtype=numpy.float32, **options):
        self.library = library
        self.dtype = numpy.dtype(dtype)
        self.has_c = options["cell"] == CELLS["lstm"]
        self.hidden_size = options["hidden_size"]
        self.layer = c_void_p()
        self.call("layer_create", byref(Options(size=ctypes.sizeof(Options), **options)), byref(self.layer))
        self.scratch = library.make("scratch", c_size_t(threads))
        self.record = library.make("record")
        self.output_size, self.state_count = self.number("output_size"), self.number("state_count")

    def call(self, name, *arguments):
        """Calls a function that exists for floats and for doubles."""
        self.library(name + SUFFIXES[self.dtype], *arguments)

    def number(self, name):
        value = c_size_t()
        self.library(f"layer_{name}", self.layer, byref(value))
        return value.value

    def shapes(self):
        """The parameters' names and shapes."""
        shapes = {}
        for index in range(self.number("parameter_count")):
            name, rows, columns = c_char_p(), c_size_t(), c_size_t()
            self.library("layer_parameter_name", self.layer, c_size_t(index), byref(name))
            self.library("layer_parameter_shape", self.layer, name, byref(rows), byref(columns))
            name = name.value.decode()
            shapes[name] = (rows.value,) if name.startswith("bias") else (rows.value, columns.value)
        return shapes

    def set(self, name, values):
        self.call("layer_set_parameter", self.layer, name.encode(), pointer(values), count(values))

    def get(self, name, shape):
        values = numpy.empty(shape, self.dtype)
        self.call("layer_get_parameter", self.layer, name.encode(), pointer(values), count(values))
        return values

    def load(self, path, prefix):
        self.library("layer_load", self.layer, path.encode(), prefix.encode())

    def sequences(self, x, lengths, resets, layout):
        steps, batch_size = x.shape[:2] if layout == "time_major" else x.shape[1::-1]
        return Call(
            size=ctypes.sizeof(Call), steps=steps, batch_size=batch_size,
            lengths=None if lengths is None else lengths.ctypes.data_as(POINTER(c_int64)), lengths_count=count(lengths),
            resets=None if resets is None else resets.ctypes.data_as(POINTER(c_uint8)), resets_count=count(resets),
            x_layout=LAYOUTS[layout], y_layout=LAYOUTS[layout])

    def forward(self, x, h, c, lengths=None, resets=None, layout="time_major", record=False):
        """Computes y, hn and cn, and fills a record for backward if there is one."""
        y = numpy.full((*x.shape[:2], self.output_size), numpy.nan, self.dtype)
        h, c = h.copy(), c.copy() if self.has_c else None
        sequences = self.sequences(x, lengths, resets, layout)
        self.call(
            "record_forward" if record else "forward", self.layer, byref(sequences), pointer(x), count(x), state(h, c),
            pointer(y), count(y), *([self.record] if record else []), self.scratch)
        return y, h, c

    def backward(self, x, dy, dh, dc):
        """Computes dx, dh0, dc0 and the parameters' gradients by name."""
        gradients = self.library.make("gradients", self.layer)
        dx = numpy.full(x.shape, numpy.nan, self.dtype)
        dh, dc = dh.copy(), dc.copy() if self.has_c else None
        self.call(
            "backward", self.layer, self.record, pointer(x), count(x), pointer(dy), count(dy), state(dh, dc),
            pointer(dx), count(dx), gradients, self.scratch)
        named = {}
        for name, shape in self.shapes().items():
            named[name] = numpy.empty(shape, self.dtype)
            self.call("gradients_get", gradients, name.encode(), pointer(named[name]), count(named[name]))
        self.library("gradients_destroy", gradients)
        return dx, dh, dc, named

    def stream(self, x, h, c):
        """Computes y with a stream that starts from a state: the first step alone, then the others at once."""
        y = numpy.full((*x.shape[:2], self.output_size), numpy.nan, self.dtype)
        stream = self.library.make("stream", self.layer, c_size_t(x.shape[1]))
        self.call("stream_set_state", stream, state(h, c if self.has_c else None))
        self.call("stream_step", stream, pointer(x[0]), count(x[0]), pointer(y[0]), count(y[0]))
        rest, out = x[1:], y[1:]
        self.call(
            "stream_process", stream, c_size_t(len(rest)), pointer(rest), count(rest), pointer(out), count(out))
        hn, cn = numpy.empty_like(h), numpy.empty_like(c) if self.has_c else None
        self.call("stream_get_state", stream, state(hn, cn))
        self.library("stream_destroy", stream)
        return y, hn, cn

    def destroy(self):
        for name in ("layer", "scratch", "record"):
            self.library(f"{name}_destroy", getattr(self, name))
