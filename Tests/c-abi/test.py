#!/usr/bin/env python3
"""Compares the C library, over ctypes and NumPy, with goldens that PyTorch made in double precision: forward and all
gradients of every cell and form, stacks, directions, unsorted lengths, resets, both layouts, a file, streams; layers of
floats and of doubles.

    python3 Tests/c-abi/test.py librecurrent.so            with the goldens
    python3 Tests/c-abi/test.py librecurrent.so --live     with the installed PyTorch, new numbers each time
    python3 Tests/c-abi/test.py --write                    makes the goldens
"""
import argparse
import itertools
import json
import pathlib
import tempfile

import numpy

import binding

GOLDENS = pathlib.Path(__file__).parent / "goldens.npz"
OUTPUTS = ("y", "hn", "cn")
# The largest error of outputs and of gradients, relative to the tensor's largest value.
TOLERANCES = {numpy.float32: (1e-5, 1e-4), numpy.float64: (1e-12, 1e-12)}


def cases():
    """The cases by name, with sizes on both sides of lanes and tiles."""
    forms = {
        "rnn": {"cell": "rnn"}, "rnn_relu": {"cell": "rnn", "activation": 1}, "lstm": {"cell": "lstm"},
        "lstm_linear": {"cell": "lstm", "cell_output": 1}, "gru": {"cell": "gru"},
        "gru_reset_before": {"cell": "gru", "reset": 1}, "gru_takes_new": {"cell": "gru", "update": 1},
    }
    small = {"steps": 6, "batch": 5, "input_size": 3, "hidden_size": 5, "layer_count": 1, "direction": "forward"}
    for name, form in forms.items():
        case = small | form
        yield f"{name}", case
        yield f"{name}_stack_both", case | {"layer_count": 2, "direction": "bidirectional"}
        yield f"{name}_lengths", case | {"layer_count": 2, "direction": "bidirectional", "ragged": True}
        yield f"{name}_resets", case | {"direction": "bidirectional", "ragged": True, "restarts": True}
    for name in ("rnn", "lstm", "gru"):
        case = small | forms[name]
        yield f"{name}_reverse", case | {"direction": "reverse", "ragged": True}
        yield f"{name}_sum", case | {"layer_count": 2, "direction": "bidirectional_sum", "ragged": True}
        yield f"{name}_no_bias", case | {"no_bias": 1}
        yield f"{name}_long", case | {"steps": 100, "batch": 1, "hidden_size": 17}
        yield f"{name}_wide", case | {"steps": 2, "batch": 13, "input_size": 9, "hidden_size": 33, "layer_count": 2}


class Numbers:
    """SplitMix64 with a counter: multiples of 2^-23 in [-1, 1), which are exact in single precision."""

    def __init__(self, seed):
        self.next = numpy.uint64(seed) * numpy.uint64(1 << 32)

    def draw(self, *shape):
        count = int(numpy.prod(shape))
        value = (self.next + numpy.arange(1, count + 1, dtype=numpy.uint64)) * numpy.uint64(0x9E3779B97F4A7C15)
        self.next += numpy.uint64(count)
        value = (value ^ (value >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        value ^= value >> numpy.uint64(31)
        return ((value >> numpy.uint64(40)).astype(numpy.float64) / 8388608 - 1).reshape(shape)


def shapes_of(case):
    """The parameters' shapes by their names, as PyTorch has them."""
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[case["cell"]]
    both = case["direction"].startswith("bidirectional")
    units = case["hidden_size"]
    shapes = {}
    for level in range(case["layer_count"]):
        below = case["input_size"] if level == 0 else units * (2 if case["direction"] == "bidirectional" else 1)
        for suffix in ["", "_reverse"] if both else ["_reverse" if case["direction"] == "reverse" else ""]:
            shapes[f"weight_ih_l{level}{suffix}"] = (gates * units, below)
            shapes[f"weight_hh_l{level}{suffix}"] = (gates * units, units)
            if not case.get("no_bias"):
                shapes[f"bias_ih_l{level}{suffix}"] = shapes[f"bias_hh_l{level}{suffix}"] = (gates * units,)
    return shapes


def inputs_of(case, seed):
    """All numbers that a case starts from: doubles that are exact in single precision too."""
    numbers = Numbers(seed)
    steps, batch, units = case["steps"], case["batch"], case["hidden_size"]
    both = 2 if case["direction"].startswith("bidirectional") else 1
    width = units * (2 if case["direction"] == "bidirectional" else 1)
    state = (case["layer_count"] * both, batch, units)
    # A power of two near 1/sqrt(H), so that the scaled numbers stay exact in single precision.
    scale = 2.0 ** -round(numpy.log2(units) / 2)
    inputs = {"parameters": {name: numbers.draw(*shape) * scale for name, shape in shapes_of(case).items()}}
    inputs |= {"x": numbers.draw(steps, batch, case["input_size"]), "h0": numbers.draw(*state)}
    inputs |= {"c0": numbers.draw(*state), "dy": numbers.draw(steps, batch, width), "dhn": numbers.draw(*state)}
    inputs |= {"dcn": numbers.draw(*state) * (case["cell"] == "lstm"), "lengths": None, "resets": None}
    if case.get("ragged"):
        # Unsorted lengths, of which one is 0 and one is T.
        lengths = numpy.floor((numbers.draw(batch) + 1) / 2 * (steps + 1)).astype(numpy.int64)
        lengths[1 % batch], lengths[batch - 1] = 0, steps
        inputs["lengths"] = lengths
    if case.get("restarts"):
        inputs["resets"] = (numbers.draw(steps, batch) > 0.4).astype(numpy.uint8)
    return inputs


def save_parameters(path, prefix, parameters, dtype):
    """Writes a safetensors file with numbers of one type."""
    header, content = {}, b""
    for name, values in parameters.items():
        bytes_ = values.astype(dtype).tobytes()
        header[prefix + name] = {
            "dtype": f"F{8 * numpy.dtype(dtype).itemsize}", "shape": values.shape,
            "data_offsets": [len(content), len(content) + len(bytes_)]}
        content += bytes_
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + content)


def run(library, case, inputs, layout, threads, dtype):
    """The library's results by the reference's names. Padding holds NaN, because nothing may read it."""
    arrays = {name: None if value is None else numpy.array(value, dtype, order="C")
              for name, value in inputs.items() if name not in ("parameters", "lengths", "resets")}
    lengths, resets = inputs["lengths"], inputs["resets"]
    if lengths is not None:
        padding = numpy.arange(case["steps"])[:, None] >= lengths
        arrays["x"][padding] = numpy.nan
        arrays["dy"][padding] = numpy.nan
    if layout == "batch_major":
        for name in ("x", "dy"):
            arrays[name] = numpy.ascontiguousarray(arrays[name].swapaxes(0, 1))
    other = {key: case[key] for key in ("activation", "cell_output", "reset", "update", "no_bias") if key in case}
    layer = binding.Layer(
        library, threads, dtype, cell=binding.CELLS[case["cell"]], direction=binding.DIRECTIONS[case["direction"]],
        input_size=case["input_size"], hidden_size=case["hidden_size"], layer_count=case["layer_count"], **other)
    assert layer.shapes() == {name: value.shape for name, value in inputs["parameters"].items()}
    if layout == "batch_major":
        with tempfile.TemporaryDirectory() as folder:
            save_parameters(f"{folder}/layer.safetensors", "encoder.", inputs["parameters"], dtype)
            layer.load(f"{folder}/layer.safetensors", "encoder.")
    else:
        for name, values in inputs["parameters"].items():
            layer.set(name, numpy.ascontiguousarray(values, dtype))
    forward = layer.forward(arrays["x"], arrays["h0"], arrays["c0"], lengths, resets, layout)
    y, hn, cn = layer.forward(arrays["x"], arrays["h0"], arrays["c0"], lengths, resets, layout, record=True)
    for a, b in zip(forward, (y, hn, cn)):
        assert a is None or numpy.array_equal(a, b), "forward and record give different bits"
    if case["direction"] == "forward" and lengths is None and layout == "time_major":
        for a, b in zip(layer.stream(arrays["x"], arrays["h0"], arrays["c0"]), (y, hn, cn)):
            assert a is None or numpy.array_equal(a, b), "forward and a stream give different bits"
    dx, dh, dc, gradients = layer.backward(arrays["x"], arrays["dy"], arrays["dhn"], arrays["dcn"])
    layer.destroy()
    if layout == "batch_major":
        y, dx = y.swapaxes(0, 1), dx.swapaxes(0, 1)
    found = {"y": y, "hn": hn, "cn": cn, "dx": dx, "dh0": dh, "dc0": dc}
    found |= {"d" + name: value for name, value in gradients.items()}
    return {name: value for name, value in found.items() if value is not None}


def differences(found, expected, dtype):
    """Describes each result whose error is larger than its tolerance."""
    assert found.keys() == expected.keys(), (found.keys(), expected.keys())
    for name, reference in expected.items():
        tolerance = TOLERANCES[dtype][0 if name in OUTPUTS else 1]
        error, largest = numpy.abs(found[name] - reference).max(), numpy.abs(reference).max()
        if not error <= tolerance * largest:
            yield f"{name} differs by {error:.3g}, allowed are {tolerance:g} of {largest:.3g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", nargs="?", help="librecurrent.so")
    parser.add_argument("--live", action="store_true", help="compare with PyTorch as it is here")
    parser.add_argument("--write", action="store_true", help="make the goldens")
    arguments = parser.parse_args()
    if arguments.live or arguments.write:
        import reference
    if arguments.write:
        goldens = {}
        for seed, (name, case) in enumerate(cases()):
            for tensor, value in reference.results(case, inputs_of(case, seed)).items():
                goldens[f"{name}.{tensor}"] = value
        numpy.savez_compressed(GOLDENS, **goldens)
        print(f"{GOLDENS.name}: {len(goldens)} tensors, {GOLDENS.stat().st_size} bytes")
        return 0
    library = binding.Library(arguments.library)
    print(f"Python: recurrent {library.text('version')}; {library.text('processor_description')}")
    goldens = {} if arguments.live else numpy.load(GOLDENS)
    base = numpy.random.default_rng().integers(1 << 20) if arguments.live else 0
    failures = tensors = 0
    for index, (name, case) in enumerate(cases()):
        inputs = inputs_of(case, base + index)
        if arguments.live:
            expected = reference.results(case, inputs)
        else:
            expected = {key[len(name) + 1:]: goldens[key] for key in goldens if key.startswith(name + ".")}
        for layout in binding.LAYOUTS:
            for threads, dtype in itertools.product((1, 2), TOLERANCES):
                found = run(library, case, inputs, layout, threads, dtype)
                for difference in differences(found, expected, dtype):
                    failures += 1
                    print(f"{name}, {dtype.__name__}, {layout}, {threads} threads, seed {base + index}: {difference}")
                tensors += len(expected)
    print(f"Python: {failures} of {tensors} tensors differ" if failures else f"Python: {tensors} tensors agree")
    return failures != 0


if __name__ == "__main__":
    raise SystemExit(main())
