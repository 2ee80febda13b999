#!/usr/bin/env python3
"""Makes the goldens of attention, of CTC and of encoders with decoders: what PyTorch gives in double precision, for all
but CTC each sequence alone and without padding.

    pip install torch safetensors numpy
    python3 Tests/goldens_sequences.py

Inputs are not stored: they follow from a seed, by the generator that the tests use too.
"""
from collections import OrderedDict

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


def predictive_weights(scores, position, distance):
    """local-p of Luong, Pham and Manning 2015: the weights of scores [Q, K], with positions [Q] before the sigmoid."""
    keys = scores.shape[1]
    offset = torch.arange(keys) - (keys * position.sigmoid())[:, None]
    softmax = scores.masked_fill(offset.abs() > distance, -torch.inf).softmax(1)
    return softmax * torch.exp(-(offset**2) / (2 * (distance / 2) ** 2))


def predictive(random, general):
    shapes = {"position.weight": (5, 6), "position.score.weight": (1, 5)} | ({"weight": (8, 6)} if general else {})
    parameters = {name: torch.nn.Parameter(random.draw(*shape)) for name, shape in shapes.items()}

    def attend(q, k, v, mask):
        position = (q @ parameters["position.weight"].T).tanh() @ parameters["position.score.weight"][0]
        weights = predictive_weights((q @ parameters["weight"].T if general else q) @ k.T, position, 2)
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


class Translator(torch.nn.Module):
    """An encoder and a decoder of LSTMs, GRUs or both, with the parts and the names of `EncoderDecoder`."""

    def __init__(self, encoder, decoder, hidden, levels, directions, attention, feeds):
        super().__init__()
        cells = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
        memory, feed = hidden * directions, DECODER if feeds else 0
        decoder_levels = levels[1]
        self.attention, self.feeds = attention, feeds
        self.states = ["h", "c"] if decoder == "lstm" else ["h"]
        self.encoder = torch.nn.ModuleDict(
            {
                "embedding": torch.nn.Embedding(SOURCES, EMBEDDING),
                "layer": cells[encoder](EMBEDDING, hidden, levels[0], bidirectional=directions == 2),
            }
        )
        # A state of the same shape is copied, but an LSTM's c comes from the encoder's h if the encoder has no c.
        copies = directions == 1 and levels[0] == levels[1] and hidden == DECODER
        copied = [] if not copies else self.states if encoder == decoder else ["h"]
        states = levels[0] * directions * hidden
        self.bridge = torch.nn.ModuleDict(
            {s: torch.nn.Linear(states, decoder_levels * DECODER) for s in self.states if s not in copied}
        )
        self.decoder = torch.nn.ModuleDict(
            {
                "embedding": torch.nn.Embedding(TARGETS, EMBEDDING),
                "layer": cells[decoder](EMBEDDING + feed, DECODER, decoder_levels),
            }
        )
        score = {"general": lambda: torch.nn.ParameterDict({"weight": torch.empty(memory, DECODER)})}
        score["additive"] = lambda: torch.nn.ModuleDict(
            {
                "query": torch.nn.Linear(DECODER, 5, bias=False),
                "key": torch.nn.Linear(memory, 5, bias=False),
                "score": torch.nn.Linear(5, 1, bias=False),
            }
        )
        # A ParameterDict allows no dots in names, so position_weight is written for position.weight. It would sort a
        # plain dict.
        score["predictive"] = lambda: torch.nn.ParameterDict(
            OrderedDict(
                position_weight=torch.empty(5, DECODER),
                position_score_weight=torch.empty(1, 5),
                weight=torch.empty(memory, DECODER),
            )
        )
        if attention:
            parts = {"score": score[attention]()} if attention in score else {}
            parts["combine"] = torch.nn.Linear(memory + DECODER, DECODER)
            self.decoder["attention"] = torch.nn.ModuleDict(parts)
        self.decoder["head"] = torch.nn.Linear(DECODER, TARGETS)

    def scores(self, h, memory):
        score = self.decoder["attention"]["score"] if self.attention != "dot" else None
        if self.attention == "dot":
            return h @ memory.T
        if self.attention in ("general", "predictive"):
            return h @ score["weight"].T @ memory.T
        return score["score"]((score["query"](h)[:, None] + score["key"](memory)[None]).tanh())[..., 0]

    def look(self, h, memory):
        """The output and the weights for h [T, H] and a memory [S, C]."""
        if not self.attention:
            return h, None
        scores = self.scores(h, memory)
        if self.attention == "predictive":
            score = self.decoder["attention"]["score"]
            position = (h @ score["position_weight"].T).tanh() @ score["position_score_weight"][0]
            weights = predictive_weights(scores, position, 1)
        else:
            weights = scores.softmax(1)
        return self.decoder["attention"]["combine"](torch.cat([weights @ memory, h], 1)).tanh(), weights

    def forward(self, source, symbols):
        """The logits [T, V] of one sequence, and the weights [T, S]."""
        memory, final = self.encoder["layer"](self.encoder["embedding"](source))
        final = final if isinstance(final, tuple) else (final,)
        state = []
        for index, name in enumerate(self.states):
            values = final[min(index, len(final) - 1)]
            if name in self.bridge:
                values = self.bridge[name](values.reshape(-1)).reshape(-1, DECODER)
            state.append(values)
        layer, x = self.decoder["layer"], self.decoder["embedding"](symbols)
        state = tuple(state) if len(state) == 2 else state[0]
        if not self.feeds:
            y, weights = self.look(layer(x, state)[0], memory)
            return self.decoder["head"](y), weights
        fed, outputs, weights = torch.zeros(1, DECODER), [], []
        for step in x:
            h, state = layer(torch.cat([step[None], fed], 1), state)
            fed, weight = self.look(h, memory)
            outputs.append(fed)
            weights.append(weight)
        return self.decoder["head"](torch.cat(outputs)), torch.cat(weights)


EMBEDDING, DECODER, SOURCES, TARGETS = 4, 6, 7, 5
TRANSLATORS = {  # encoder, decoder, units of the encoder, levels of both, directions, attention, input feeding
    "plain": ("lstm", "lstm", 3, (2, 1), 2, None, False),
    "dot": ("gru", "lstm", 3, (2, 2), 2, "dot", False),
    "general": ("lstm", "lstm", 3, (2, 1), 2, "general", False),
    "additive": ("lstm", "gru", 3, (1, 2), 1, "additive", False),
    "feeding": ("lstm", "lstm", 3, (2, 2), 2, "general", True),
    "half_copied": ("gru", "lstm", 6, (1, 1), 1, "dot", True),
    "copied": ("lstm", "lstm", 6, (2, 2), 1, None, False),
    "predictive": ("gru", "gru", 3, (2, 1), 2, "predictive", True),
}


def encoder_decoder():
    sources, targets = [[1, 2, 6, 3, 0], [4], [5, 5, 1]], [[2, 3, 4], [1, 1, 2, 0], [3]]
    tensors = {}
    for name, options in TRANSLATORS.items():
        model, random = Translator(*options), SplitMix64(11)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(random.draw(*parameter.shape))
        count, loss = sum(len(target) + 1 for target in targets), 0
        for n, (source, target) in enumerate(zip(sources, targets)):
            logits, weights = model(torch.tensor(source), torch.tensor([0] + target))
            loss = loss + torch.nn.functional.cross_entropy(logits, torch.tensor(target + [0]), reduction="sum")
            tensors[f"{name}.{n}.logits"] = logits.detach().numpy().copy()
            if weights is not None:
                tensors[f"{name}.{n}.weights"] = weights.detach().numpy().copy()
        loss = loss / count
        loss.backward()
        tensors[f"{name}.loss"] = loss.detach().reshape(1).numpy()
        for label, parameter in model.named_parameters():
            label = label.replace("position_score_", "position.score.").replace("position_", "position.")
            tensors[f"{name}.d_{label}"] = parameter.grad.numpy().copy()
    save_file(tensors, FOLDER / "encoder_decoder.safetensors")


def main():
    ctc()
    encoder_decoder()
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
