"""The training of `recurrent experiment text` in PyTorch: text.py TEXT REPORT

REPORT is the JSON that the experiment wrote. The same model, with the same initial distributions, batches, dropout
and optimizer, is trained on as many threads and for as many seconds as ours took, or as many epochs if they end sooner.
Its learning rate falls along the same cosine, which ends with the time if the epochs would take longer: PyTorch is not
compared in the middle of its schedule. The held-out loss is that of the experiment too: four streams from a state of
zero, computed after each epoch and when the time is over. Its time counts, as it does in ours.
"""

import json
import math
import sys
import time

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, cell, symbols, embedding, hidden, levels, dropout):
        super().__init__()
        layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.embedding = nn.Embedding(symbols, embedding)
        self.layer = layer(embedding, hidden, levels, dropout=dropout if levels > 1 else 0)
        if cell == "lstm":  # the biases of the forget gate, of which the sum is 1
            for level in range(levels):
                for name, value in ("bias_ih", 1.0), ("bias_hh", 0.0):
                    nn.init.constant_(getattr(self.layer, f"{name}_l{level}")[hidden : 2 * hidden], value)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, symbols)

    def forward(self, x, state):
        y, state = self.layer(self.embedding(x), state)
        return self.head(self.dropout(y)), state


def batches(numbers, streams, steps):
    """Pieces [steps, streams] of the streams, with the symbols that follow."""
    length = (len(numbers) - 1) // streams
    rows = numbers[: streams * length].view(streams, length).t()
    following = numbers[1 : streams * length + 1].view(streams, length).t()
    for first in range(0, length, steps):
        yield rows[first : first + steps], following[first : first + steps]


def loss_of(model, x, targets, state):
    logits, state = model(x, state)
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()), state


def held_out_loss(model, numbers):
    model.eval()
    state, total, count = None, 0.0, 0
    with torch.inference_mode():
        for x, targets in batches(numbers, max(1, min(4, len(numbers) // 100)), 100):
            loss, state = loss_of(model, x, targets, state)
            total, count = total + loss.item() * targets.numel(), count + targets.numel()
    model.train()
    return total / count


def detached(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def main():
    text = open(sys.argv[1], encoding="utf-8", newline="").read()
    report = json.load(open(sys.argv[2]))
    settings, table = report["settings"], next(t for t in report["tables"] if t["name"] == "epochs")
    ours = [dict(zip(table["columns"], row)) for row in table["rows"]]
    torch.manual_seed(settings["seed"])
    torch.set_num_threads(settings["threads"])

    trained = len(text) - int(len(text) * settings["held-out"])
    if trained >= len(text) - 1:
        sys.exit("no text is held out, expected some, whose loss is compared")
    # Symbol 0 is any that the training part lacks.
    symbols = {symbol: index for index, symbol in enumerate(sorted(set(text[:trained])), 1)}
    numbers = torch.tensor([symbols.get(symbol, 0) for symbol in text])
    training, held_out = numbers[:trained], numbers[trained:]
    model = Model(
        settings["cell"], len(symbols) + 1, settings["embedding"], settings["hidden"], settings["levels"],
        settings["dropout"],
    )  # fmt: skip
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == settings["parameters"], f"the model has {count} parameters, ours {settings['parameters']}"
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    steps, highest = settings["steps"], settings["learning-rate"]
    streams = max(1, min(settings["streams"], trained // 4 // steps))
    epoch_updates = math.ceil((trained - 1) // streams / steps)
    updates, lowest = epoch_updates * settings["epochs"], highest / 50
    time_limit, spent, update = ours[-1]["seconds"], 0.0, 0
    print(f"\nPyTorch {torch.__version__}, {settings['threads']} threads, for {time_limit:.0f} s:")
    print(f"{'epoch':>7}{'held out':>10}{'seconds':>9}")
    while update < updates and spent < time_limit:
        state, begin = None, time.perf_counter()
        for x, targets in batches(training, streams, steps):
            elapsed = spent + time.perf_counter() - begin
            done = min(1, max(update / updates, elapsed / time_limit))
            cosine = lowest + (highest - lowest) * (1 + math.cos(math.pi * done)) / 2
            for group in optimizer.param_groups:
                group["lr"] = cosine * min(1, (update + 1) / 50)
            loss, state = loss_of(model, x, targets, state)
            state = detached(state)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings["clip"])
            optimizer.step()
            update += 1
            if elapsed >= time_limit:
                break
        theirs = held_out_loss(model, held_out)
        spent += time.perf_counter() - begin
        print(f"{update / epoch_updates:7.2f}{theirs:10.4f}{spent:9.1f}", flush=True)
    last = ours[-1]
    print(
        f"\nAfter {spent:.0f} s: ours {last['held out']:.4f} after {last['epoch']} epochs, "
        f"PyTorch {theirs:.4f} after {update / epoch_updates:.2f}; {theirs - last['held out']:+.4f}"
    )


if __name__ == "__main__":
    main()
