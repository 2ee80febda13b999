#!/usr/bin/env python3
"""Makes the goldens of training: what PyTorch's optimizers, losses and schedules give in double precision.

    pip install torch safetensors numpy
    python3 Tests/goldens_training.py

Inputs are not stored: they follow from a seed, by the generator that the tests use too. The tests' tables have the same
names and the same hyperparameters.
"""
import pathlib

import numpy
import torch
from goldens import SplitMix64
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent / "RecurrentTrainingTests" / "Goldens"
nn, optim = torch.nn, torch.optim

# The hyperparameters are powers of two or small multiples of them, exact in single precision, so that a float's
# rounding of a decay does not count. Adam also has its usual ones.
OPTIMIZERS = {
    "sgd": (optim.SGD, dict(lr=1 / 16)),
    "sgd_l2": (optim.SGD, dict(lr=1 / 16, weight_decay=1 / 8)),
    "sgd_momentum": (optim.SGD, dict(lr=1 / 32, momentum=0.875)),
    "sgd_momentum_l2": (optim.SGD, dict(lr=1 / 32, momentum=0.875, weight_decay=1 / 8)),
    "sgd_nesterov": (optim.SGD, dict(lr=1 / 32, momentum=0.875, nesterov=True)),
    "sgd_clip_norm": (optim.SGD, dict(lr=1 / 16, clip_norm=1.5)),
    "sgd_clip_value": (optim.SGD, dict(lr=1 / 16, clip_value=0.25)),
    "sgd_l1": (optim.SGD, dict(lr=1 / 16, l1=1 / 8)),
    "rms": (optim.RMSprop, dict(lr=1 / 64, alpha=0.9375, eps=2**-20)),
    "rms_l2": (optim.RMSprop, dict(lr=1 / 64, alpha=0.9375, eps=2**-20, weight_decay=1 / 8)),
    "rms_momentum": (optim.RMSprop, dict(lr=1 / 64, alpha=0.9375, eps=2**-20, momentum=0.5)),
    "rms_centered": (optim.RMSprop, dict(lr=1 / 64, alpha=0.9375, eps=2**-10, centered=True)),
    "rms_centered_momentum": (optim.RMSprop, dict(lr=1 / 64, alpha=0.9375, eps=2**-10, centered=True, momentum=0.5)),
    "adam": (optim.Adam, dict(lr=1 / 32, betas=(0.875, 0.984375))),
    "adam_usual": (optim.Adam, dict(lr=1e-2)),
    "adam_l2": (optim.Adam, dict(lr=1 / 32, betas=(0.875, 0.984375), weight_decay=1 / 8)),
    "adam_epsilon": (optim.Adam, dict(lr=1 / 32, betas=(0.875, 0.984375), eps=0.25)),
    "adam_clip_norm": (optim.Adam, dict(lr=1 / 32, betas=(0.875, 0.984375), clip_norm=1.5)),
    "adam_clip_both": (optim.Adam, dict(lr=1 / 32, betas=(0.875, 0.984375), clip_norm=1.5, clip_value=0.25)),
    "adamw": (optim.AdamW, dict(lr=1 / 32, betas=(0.875, 0.984375), weight_decay=1 / 4)),
    "adamw_usual": (optim.AdamW, dict(lr=1e-2)),
}
STEPS = (1, 10, 100)


def optimizer_goldens():
    tensors = {}
    for name, (kind, options) in OPTIMIZERS.items():
        options = dict(options)
        clip_norm, clip_value, l1 = (options.pop(key, None) for key in ("clip_norm", "clip_value", "l1"))
        random = SplitMix64(1)
        start, slope = random.draw(35), random.draw(35) / 2 + 1
        parameters = [nn.Parameter(start[:15].clone().reshape(3, 5)), nn.Parameter(start[15:].clone())]
        optimizer = kind(parameters, **options)
        for step in range(1, max(STEPS) + 1):
            values = torch.cat([p.detach().flatten() for p in parameters])
            gradient = slope * values + random.draw(35)
            parameters[0].grad, parameters[1].grad = gradient[:15].reshape(3, 5).clone(), gradient[15:].clone()
            if clip_norm:
                nn.utils.clip_grad_norm_(parameters, clip_norm)
            if clip_value:
                nn.utils.clip_grad_value_(parameters, clip_value)
            if l1:
                for p in parameters:
                    p.grad += l1 * p.detach().sign()
            optimizer.step()
            if step in STEPS:
                tensors[f"{name}.{step}"] = torch.cat([p.detach().flatten() for p in parameters]).numpy().copy()
    return tensors


def sparse_golden():
    """An embedding [6,4] of which an update sees about a third."""
    random, tensors = SplitMix64(2), {}
    weight = nn.Parameter(random.draw(6, 4))
    slope = random.draw(6, 4) / 2 + 1
    optimizer = optim.SparseAdam([weight], lr=1 / 32, betas=(0.875, 0.984375))
    for step in range(1, max(STEPS) + 1):
        noise = random.draw(6, 4)
        seen = [row for row in range(6) if (random.next() >> 32) % 3 == 0 or row == step % 6]
        rows = torch.tensor(seen)
        gradient = (slope * weight.detach() + noise)[rows]
        weight.grad = torch.sparse_coo_tensor(rows.unsqueeze(0), gradient, (6, 4))
        optimizer.step()
        if step in STEPS:
            tensors[f"sparse_adam.{step}"] = weight.detach().flatten().numpy().copy()
    return tensors


def loss_goldens():
    tensors = {}
    functional = nn.functional
    t, n, c, lengths = 4, 3, 21, [4, 0, 2]
    valid = torch.tensor([[step < length for length in lengths] for step in range(t)])
    random = SplitMix64(3)
    y, targets = random.draw(t, n, c) * 4, random.draw(t, n, c) * 4
    classes = torch.tensor([(random.next() >> 32) % c for _ in range(t * n)]).reshape(t, n)
    answers, weights, positive = random.draw(t, n, c) / 2 + 0.5, random.draw(c) + 1, random.draw(c) * 2 + 2
    some = weights * torch.tensor([float(index % 3 != 0) for index in range(c)])
    losses = {
        "mse": lambda y, rows: functional.mse_loss(y, targets[rows]),
        "l1": lambda y, rows: functional.l1_loss(y, targets[rows]),
        "huber": lambda y, rows: functional.huber_loss(y, targets[rows], delta=0.75),
        "bce": lambda y, rows: functional.binary_cross_entropy_with_logits(y, answers[rows]),
        "bce_positive": lambda y, rows: functional.binary_cross_entropy_with_logits(
            y, answers[rows], pos_weight=positive
        ),
        "bce_weights": lambda y, rows: functional.binary_cross_entropy_with_logits(
            y, answers[rows], weight=weights, pos_weight=positive
        ),
        "ce": lambda y, rows: functional.cross_entropy(y, classes[rows]),
        "ce_weights": lambda y, rows: functional.cross_entropy(y, classes[rows], weight=weights),
        "ce_smoothing": lambda y, rows: functional.cross_entropy(y, classes[rows], label_smoothing=0.125),
        "ce_both": lambda y, rows: functional.cross_entropy(
            y, classes[rows], weight=weights, label_smoothing=0.125
        ),
        "ce_zero_weights": lambda y, rows: functional.cross_entropy(
            y, classes[rows], weight=some, label_smoothing=0.125
        ),
    }
    for name, loss in losses.items():
        for suffix, rows in [("", torch.ones(t, n, dtype=torch.bool)), ("_lengths", valid)]:
            leaf = y.clone().requires_grad_()
            value = loss(leaf[rows], rows)
            value.backward()
            tensors[f"{name}{suffix}.loss"] = value.detach().reshape(1).numpy()
            tensors[f"{name}{suffix}.gradient"] = leaf.grad.numpy()
    return tensors


def rates(schedule_of, steps, metrics=None):
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule, result = schedule_of(optimizer), []
    for step in range(steps):
        if metrics is None:
            result.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        else:
            schedule.step(float(metrics[step]))
            result.append(optimizer.param_groups[0]["lr"])
    return numpy.array(result)


def schedule_goldens():
    schedules = optim.lr_scheduler
    # Metrics that fall and then only wander: a fall of the rate needs a few of them.
    random = SplitMix64(4)
    metrics = random.draw(100) / 8 + torch.tensor([1.0 / (1 + step) for step in range(100)], dtype=torch.float64)

    def warm(optimizer):
        parts = [
            schedules.LinearLR(optimizer, start_factor=0.125, total_iters=16),
            schedules.CosineAnnealingLR(optimizer, T_max=64, eta_min=0.0625),
        ]
        return schedules.SequentialLR(optimizer, parts, milestones=[16])

    plateau = dict(factor=0.5, patience=3, threshold=2**-10, cooldown=2, min_lr=0.0625)
    return {
        "step": rates(lambda o: schedules.StepLR(o, step_size=7, gamma=0.75), 100),
        "cosine": rates(lambda o: schedules.CosineAnnealingLR(o, T_max=99, eta_min=0.0625), 100),
        "warm_up": rates(warm, 81),
        "plateau_lowest": rates(lambda o: schedules.ReduceLROnPlateau(o, "min", **plateau), 100, metrics),
        "plateau_highest": rates(lambda o: schedules.ReduceLROnPlateau(o, "max", **plateau), 100, metrics),
    }


def main():
    FOLDER.mkdir(exist_ok=True, parents=True)
    for name, tensors in {
        "optimizers": optimizer_goldens() | sparse_golden(),
        "losses": loss_goldens(),
        "schedules": schedule_goldens(),
    }.items():
        path = FOLDER / f"{name}.safetensors"
        save_file({key: numpy.ascontiguousarray(value) for key, value in tensors.items()}, path, {"torch": torch.__version__})
        print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
