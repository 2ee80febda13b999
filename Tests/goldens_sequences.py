#!/usr/bin/env python3
"""Makes the goldens of attention and of CTC: what PyTorch gives in double precision, for attention each sequence alone
and without padding.

    pip install torch safetensors numpy
    python3 Tests/goldens_sequences.py

Inputs are not stored: they follow from a seed, by the generator that the tests use too.
"""
import torch
from goldens import SplitMix64
from goldens_training import FOLDER
from safetensors.numpy import save_file

torch.set_default_dtype(torch.float64)
TQ, TK, N, QUERIES, KEYS = 5, 7, 3, [5, 2, 3], [7, 3, 1]


def mask(window, queries, keys):
    """True where a query must not look."""
    distance = torch.arange(keys)[None, :] - torch.arange(queries)[:, None]
    return {"all": distance > keys, "past": distance > 0, "around": distance.abs() > 2}[window]


def golden(name, attend, inputs, dy, parameters, window, is_self):
    """Runs each sequence alone. attend(queries, keys, values, mask) gives y and weights [heads, Q, K]."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    tensors = {}
    for p in parameters.values():
        p.grad = None
    for n in range(N):
        queries, keys = QUERIES[n], QUERIES[n] if is_self else KEYS[n]
        q, k, v = (leaf[:count, n] for leaf, count in zip(leaves * (3 if is_self else 1), (queries, keys, keys)))
        y, weights = attend(q, k, v, mask(window, queries, keys))
        y.backward(dy[:queries, n])
        tensors[f"{name}.{n}.y"] = y.detach().numpy().copy()
        tensors[f"{name}.{n}.weights"] = weights.detach().numpy().copy()
    for leaf, label in zip(leaves, ["x"] if is_self else ["queries", "keys", "values"]):
        tensors[f"{name}.d_{label}"] = leaf.grad.numpy()
    for label, p in parameters.items():
        tensors[f"{name}.d_{label}"] = p.grad.numpy().copy()
    return tensors


def dot(scale):
    def attend(q, k, v, mask):
        weights = (q @ k.T * scale).masked_fill(mask, -torch.inf).softmax(1)
        return weights @ v, weights[None]

    return attend


def general(random):
    parameters = {"weight": torch.nn.Parameter(random.draw(8, 6))}

    def attend(q, k, v, mask):
        weights = (q @ parameters["weight"].T @ k.T).masked_fill(mask, -torch.inf).softmax(1)
        return weights @ v, weights[None]

    return attend, parameters


def additive(random):
    shapes = {"query.weight": (5, 6), "key.weight": (5, 8), "score.weight": (1, 5)}
    parameters = {name: torch.nn.Parameter(random.draw(*shape)) for name, shape in shapes.items()}
    query, key, score = parameters.values()

    def attend(q, k, v, mask):
        scores = ((q @ query.T)[:, None] + (k @ key.T)[None]).tanh() @ score[0]
        weights = scores.masked_fill(mask, -torch.inf).softmax(1)
        return weights @ v, weights[None]

    return attend, parameters


def predictive(random, general):
    """local-p of Luong, Pham and Manning 2015, with a window of 2 keys to each side."""
    shapes = {"position.weight": (5, 6), "position.score.weight": (1, 5)} | ({"weight": (8, 6)} if general else {})
    parameters = {name: torch.nn.Parameter(random.draw(*shape)) for name, shape in shapes.items()}
    distance = 2

    def attend(q, k, v, mask):
        score = (q @ parameters["position.weight"].T).tanh() @ parameters["position.score.weight"][0]
        offset = torch.arange(len(k)) - (len(k) * score.sigmoid())[:, None]
        scores = (q @ parameters["weight"].T if general else q) @ k.T
        softmax = scores.masked_fill(offset.abs() > distance, -torch.inf).softmax(1)
        weights = softmax * torch.exp(-(offset**2) / (2 * (distance / 2) ** 2))
        return weights @ v, weights[None]

    return attend, parameters


def multi_head(random, size, heads):
    module = torch.nn.MultiheadAttention(size, heads)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name in ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]:
            parameters[name].copy_(random.draw(*parameters[name].shape) / 2)

    def attend(q, k, v, mask):
        y, weights = module(q, k, v, attn_mask=mask, average_attn_weights=False)
        return y, weights

    return attend, parameters


def ctc():
    random, tensors = SplitMix64(6), {}
    y = random.draw(9, 4, 6) * 4
    lengths = torch.tensor([9, 5, 7, 1])
    for name, blank, labels in [
        ("", 0, [[1, 2, 2, 5], [3, 3, 3], [], [4]]),
        ("blank.", 5, [[1, 2, 2, 4], [3, 3, 3], [], [0]]),
    ]:
        leaf = y.clone().requires_grad_()
        loss = torch.nn.functional.ctc_loss(
            leaf.log_softmax(2),
            torch.tensor([label for sequence in labels for label in sequence]),
            lengths,
            torch.tensor([len(sequence) for sequence in labels]),
            blank=blank,
        )
        loss.backward()
        tensors |= {f"{name}loss": loss.detach().reshape(1).numpy(), f"{name}gradient": leaf.grad.numpy()}
    save_file(tensors, FOLDER / "ctc.safetensors")


def main():
    ctc()
    random, tensors = SplitMix64(5), {}
    inputs = [random.draw(TQ, N, 6) * 2, random.draw(TK, N, 6) * 2, random.draw(TK, N, 4)]
    dy = random.draw(TQ, N, 4)
    tensors |= golden("dot", dot(1), inputs, dy, {}, "all", False)
    tensors |= golden("dot_scaled", dot(6**-0.5), inputs, dy, {}, "past", False)
    tensors |= golden("dot_around", dot(1), inputs, dy, {}, "around", False)
    inputs = [random.draw(TQ, N, 12), random.draw(TK, N, 12), random.draw(TK, N, 12)]
    dy = random.draw(TQ, N, 12)
    attend, parameters = multi_head(random, 12, 3)
    tensors |= golden("multi", attend, inputs, dy, parameters, "all", False)
    tensors |= golden("multi_self", attend, inputs[:1], dy, parameters, "past", True)
    inputs = [random.draw(TQ, N, 6), random.draw(TK, N, 8), random.draw(TK, N, 4)]
    dy = random.draw(TQ, N, 4)
    attend, parameters = general(random)
    tensors |= golden("general", attend, inputs, dy, parameters, "all", False)
    attend, parameters = additive(random)
    tensors |= golden("additive", attend, inputs, dy, parameters, "around", False)
    attend, parameters = predictive(random, True)
    tensors |= golden("predictive", attend, inputs, dy, parameters, "all", False)
    inputs = [random.draw(TQ, N, 6) * 2, random.draw(TK, N, 6) * 2, random.draw(TK, N, 4)]
    attend, parameters = predictive(random, False)
    tensors |= golden("predictive_dot", attend, inputs, dy, parameters, "all", False)
    save_file(tensors, FOLDER / "attention.safetensors")


if __name__ == "__main__":
    main()
