#!/usr/bin/env python3
"""Makes the goldens: outputs and gradients of PyTorch's RNN, LSTM and GRU, and of an IndRNN, in double precision.

    pip install torch safetensors numpy
    python3 Tests/goldens.py

Inputs, parameters and output gradients are not stored: the tests draw them from the same seed with the same generator
(SplitMix64). The loss is sum(dy·y) + sum(dhn·hn) + sum(dcn·cn).

`--live FOLDER` writes goldens of random shapes into that folder; Tests/live compares with them.
"""
import argparse
import json
import pathlib
import random as standard_random

import numpy
import torch
from safetensors.numpy import save_file

# T, N, C, H, bias
SHAPES = [
    (1, 1, 1, 1, True),
    (5, 7, 3, 5, True),
    (4, 12, 6, 16, True),
    (3, 13, 9, 17, True),
    (6, 1, 4, 33, True),
    (2, 7, 8, 33, False),
    (3, 13, 20, 100, True),
    (100, 1, 3, 17, True),
]


class IndRNN(torch.nn.Module):
    """h = activation(W x + u * h' + b), one level, by autograd: PyTorch has no such layer."""

    def __init__(self, inputs, hidden, bias, activation):
        super().__init__()
        self.weight_ih_l0 = torch.nn.Parameter(torch.empty(hidden, inputs))
        self.weight_hh_l0 = torch.nn.Parameter(torch.empty(hidden))
        self.bias_ih_l0 = torch.nn.Parameter(torch.empty(hidden)) if bias else None
        self.activation = activation

    def forward(self, x, h0):
        h, y = h0[0], []
        for row in torch.nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0):
            h = self.activation(row + self.weight_hh_l0 * h)
            y.append(h)
        return torch.stack(y), h.unsqueeze(0)


CELLS = {
    "rnn": lambda c, h, b: torch.nn.RNN(c, h, bias=b),
    "rnn_relu": lambda c, h, b: torch.nn.RNN(c, h, bias=b, nonlinearity="relu"),
    "lstm": lambda c, h, b: torch.nn.LSTM(c, h, bias=b),
    "gru": lambda c, h, b: torch.nn.GRU(c, h, bias=b),
    "indrnn": lambda c, h, b: IndRNN(c, h, b, torch.relu),
    "indrnn_tanh": lambda c, h, b: IndRNN(c, h, b, torch.tanh),
}
FOLDER = pathlib.Path(__file__).parent / "RecurrentTests" / "Goldens"


class SplitMix64:
    """The tests' generator. Its numbers are multiples of 2^-23 in [-1, 1), which are exact in single precision."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        value = self.state
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
        return value ^ (value >> 31)

    def draw(self, *shape, scale=1.0):
        count = int(numpy.prod(shape))
        values = [(self.next() >> 40) / 8388608.0 - 1.0 for _ in range(count)]
        return torch.tensor(values, dtype=torch.float64).reshape(shape) * scale


def golden(cell, index, shape):
    t, n, c, h, bias = shape
    random = SplitMix64(index)
    layer = CELLS[cell](c, h, bias).double()
    with torch.no_grad():
        # A power of two near 1/sqrt(H), so that the scaled numbers stay exact in single precision.
        scale = 2.0 ** -round(numpy.log2(h) / 2)
        for parameter in layer.parameters():
            parameter.copy_(random.draw(*parameter.shape, scale=scale))
    x = random.draw(t, n, c).requires_grad_()
    h0 = random.draw(1, n, h).requires_grad_()
    c0 = random.draw(1, n, h).requires_grad_() if cell == "lstm" else None
    y, final = layer(x, (h0, c0) if c0 is not None else h0)
    hn, cn = final if c0 is not None else (final, None)
    loss = (random.draw(t, n, h) * y).sum() + (random.draw(1, n, h) * hn).sum()
    if cn is not None:
        loss = loss + (random.draw(1, n, h) * cn).sum()
    loss.backward()
    tensors = {"y": y, "hn": hn, "dx": x.grad, "dh0": h0.grad}
    if cn is not None:
        tensors |= {"cn": cn, "dc0": c0.grad}
    for name, parameter in layer.named_parameters():
        tensors["d" + name] = parameter.grad
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def random_shapes(count):
    """Random shapes, with sizes on both sides of lanes, panels, tiles and blocks."""
    draw = standard_random.Random()
    sizes = [1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100, 128, 200, 256, 520]
    for _ in range(count):
        yield (
            draw.choice([1, 2, 3, 7, 20, 50]), draw.choice([1, 2, 5, 7, 11, 12, 13, 24, 25, 40, 64]),
            draw.choice(sizes), draw.choice(sizes), draw.random() < 0.8,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--live", type=pathlib.Path, metavar="FOLDER", help="write random shapes there instead")
    parser.add_argument("--count", type=int, default=12, help="with --live, shapes for each cell")
    arguments = parser.parse_args()
    folder = arguments.live or FOLDER
    folder.mkdir(exist_ok=True, parents=True)
    for cell in CELLS:
        shapes = list(random_shapes(arguments.count)) if arguments.live else SHAPES
        tensors, metadata = {}, {"torch": torch.__version__, "cases": str(len(shapes))}
        for index, shape in enumerate(shapes):
            metadata[f"case {index}"] = json.dumps([int(size) for size in shape])
            for name, value in golden(cell, index, shape).items():
                tensors[f"{index}.{name}"] = numpy.ascontiguousarray(value)
        path = folder / f"{cell}.safetensors"
        save_file(tensors, path, metadata)
        print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
