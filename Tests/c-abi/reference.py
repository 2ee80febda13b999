"""PyTorch's results for a case in double precision: outputs and all gradients.

They come from PyTorch's own layer if it has the cell. Otherwise (h = o∘c, a reset gate before the product, a z that
takes the new state, resets, summed directions) they come from the equations, step by step under PyTorch's autograd.
Wherever both exist, they are compared.
"""
import torch


def cell_step(case, x, h, c, w):
    """One step of a cell: the equations of recurrent.h."""
    ih, hh, b_ih, b_hh = w
    if case["cell"] == "rnn":
        a = x @ ih.T + b_ih + h @ hh.T + b_hh
        return (torch.relu(a) if case.get("activation") else torch.tanh(a)), c
    if case["cell"] == "lstm":
        i, f, g, o = (x @ ih.T + b_ih + h @ hh.T + b_hh).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * (c if case.get("cell_output") else torch.tanh(c)), c
    xr, xz, xn = (x @ ih.T + b_ih).chunk(3, -1)
    ur, uz, un = hh.chunk(3, 0)
    br, bz, bn = b_hh.chunk(3, -1)
    r, z = torch.sigmoid(xr + h @ ur.T + br), torch.sigmoid(xz + h @ uz.T + bz)
    n = torch.tanh(xn + (((r * h) @ un.T + bn) if case.get("reset") else r * (h @ un.T + bn)))
    if case.get("update"):
        z = 1 - z
    return (1 - z) * n + z * h, c


def by_steps(case, x, h0, c0, parameters, lengths, resets):
    """All levels and directions, step by step."""
    steps, batch = x.shape[:2]
    two = case["direction"].startswith("bidirectional")
    suffixes = ["", "_reverse"] if two else ["_reverse" if case["direction"] == "reverse" else ""]
    hn, cn = [], []
    for level in range(case["layer_count"]):
        outputs = []
        for suffix in suffixes:
            names = [f"{kind}_l{level}{suffix}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            w = [parameters.get(name, torch.zeros((), dtype=x.dtype)) for name in names]
            if "bias_ih_l0" not in parameters and "bias_ih_l0_reverse" not in parameters:
                w[2] = w[3] = torch.zeros(w[0].shape[0], dtype=x.dtype)
            h, c = h0[len(hn)], c0[len(hn)]
            y = [None] * steps
            for t in reversed(range(steps)) if suffix else range(steps):
                # Nothing passes between a step that starts anew and the one before it.
                starts = resets[t + 1] if suffix and t + 1 < steps else resets[t]
                if suffix:
                    starts = starts & (t + 1 < lengths) if t + 1 < steps else torch.zeros_like(starts)
                runs = (t < lengths)[:, None]
                keeps = (~(starts & (t < lengths)))[:, None].to(x.dtype)
                new_h, new_c = cell_step(case, x[t], h * keeps, c * keeps, w)
                h, c = torch.where(runs, new_h, h), torch.where(runs, new_c, c)
                y[t] = torch.where(runs, h, torch.zeros_like(h))
            outputs.append(torch.stack(y))
            hn.append(h)
            cn.append(c)
        x = sum(outputs) if case["direction"] == "bidirectional_sum" else torch.cat(outputs, -1)
    return x, torch.stack(hn), torch.stack(cn)


def by_layer(case, x, h0, c0, parameters, lengths):
    """PyTorch's own layer. It refuses sequences of length 0; here they keep their state."""
    kinds = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    extra = {"nonlinearity": "relu"} if case.get("activation") else {}
    layer = kinds[case["cell"]](
        case["input_size"], case["hidden_size"], case["layer_count"], bias=not case.get("no_bias"),
        bidirectional=case["direction"] == "bidirectional", **extra).double()
    some = torch.nonzero(lengths > 0)[:, 0]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x[:, some], lengths[some], enforce_sorted=False)
    state = (h0[:, some].contiguous(), c0[:, some].contiguous())
    packed, final = torch.func.functional_call(
        layer, parameters, (packed, state if case["cell"] == "lstm" else state[0]))
    some_y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, total_length=len(x))
    y = torch.zeros(*x.shape[:2], some_y.shape[-1], dtype=x.dtype).index_copy(1, some, some_y)
    some_h, some_c = final if case["cell"] == "lstm" else (final, None)
    return y, h0.index_copy(1, some, some_h), c0 if some_c is None else c0.index_copy(1, some, some_c)


def results(case, inputs):
    """y, hn, cn, dx, dh0, dc0 and each parameter's gradient, named d and its name, as arrays in double precision."""
    def tensors(names):
        return [torch.tensor(inputs[name], dtype=torch.float64, requires_grad=True) for name in names]

    x, h0, c0 = tensors(["x", "h0", "c0"])
    names = list(inputs["parameters"])
    parameters = {n: torch.tensor(inputs["parameters"][n], dtype=torch.float64, requires_grad=True) for n in names}
    steps, batch = x.shape[:2]
    lengths = torch.full((batch,), steps) if inputs["lengths"] is None else torch.tensor(inputs["lengths"])
    resets = torch.zeros(steps, batch, dtype=torch.bool)
    if inputs["resets"] is not None:
        resets = torch.tensor(inputs["resets"] != 0)
    own = by_steps(case, x, h0, c0, parameters, lengths, resets)
    has_layer = not any(case.get(key) for key in ("cell_output", "reset", "update")) and inputs["resets"] is None
    if has_layer and case["direction"] in ("forward", "bidirectional"):
        own, mine = by_layer(case, x, h0, c0, parameters, lengths), own
        for a, b in zip(own, mine):
            assert torch.allclose(a, b, rtol=0, atol=1e-12), f"{case}: PyTorch's layer and the steps differ"
    loss = sum((torch.tensor(inputs["d" + name]) * value).sum() for name, value in zip(("y", "hn", "cn"), own))
    gradients = torch.autograd.grad(loss, [x, h0, c0, *parameters.values()], allow_unused=True)
    found = dict(zip(("y", "hn", "cn"), own))
    found |= dict(zip(["dx", "dh0", "dc0", *("d" + name for name in names)], gradients))
    if case["cell"] != "lstm":
        del found["cn"], found["dc0"]
    return {name: value.detach().numpy() for name, value in found.items()}
