"""Learning rates over time, and lengths in updates or epochs. t = 0, 1, ... counts updates.

fixed b; step b g^floor(t / every); multistep b g^(marks reached); exp b g^t; inv b (1 + g t)^-power; poly b (1 - t / T)^power;
sigmoid b / (1 + exp(-g (t - step))); cosine b (1 + cos(pi t / T)) / 2. warmup(n) in front: times (t + 1) / n until n updates are
done. b is the solver's lr, T the whole training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class Horizon:
    """How many updates an epoch and the whole training have."""

    steps_per_epoch: float = math.inf
    total_steps: float = math.inf


def in_steps(value, horizon: Horizon) -> float:
    """`500`, or {"count": 2, "unit": "epochs"}, in updates. Half an epoch of 781 is 390.5: what is due then is due with the first
    update behind it."""
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, dict) or "count" not in value:
        return math.inf
    if value.get("unit") != "epochs":
        return value["count"]
    steps = value["count"] * horizon.steps_per_epoch
    if math.isinf(steps):
        return steps
    whole = math.floor(steps + 0.5)
    # 0.07 * 100 is 7.000000000000001.
    return whole if abs(steps - whole) < 1e-9 * whole else steps


def is_due(step: int, every: float) -> bool:
    """Whether what is done every so many updates is done after update `step`, counted from 1."""
    return math.floor(step / every) > math.floor((step - 1) / every)


def _duration(args: dict, name: str):
    return args.get(name, next((v for v in args.values() if isinstance(v, dict)), None))


def _factor(call: str, args: dict, t: int, horizon: Horizon) -> float:
    gamma = args.get("gamma", 0.1)
    if call == "fixed":
        return 1.0
    if call == "step":
        return gamma ** math.floor(t / in_steps(_duration(args, "every"), horizon))
    if call == "multistep":
        marks = args.get("at", next((v for v in args.values() if isinstance(v, list)), []))
        return gamma ** sum(t >= in_steps(mark, horizon) for mark in marks)
    if call == "exp":
        return gamma**t
    if call == "inv":
        return (1 + gamma * t) ** -args.get("power", 1)
    if call in ("poly", "cosine"):
        length = in_steps(args["max_iter"], horizon) if "max_iter" in args else horizon.total_steps
        done = min(1.0, t / length)
        return (1 - done) ** args.get("power", 1) if call == "poly" else (1 + math.cos(math.pi * done)) / 2
    if call == "sigmoid":
        return _sigmoid(0.0 if gamma == 0 else gamma * (t - in_steps(_duration(args, "step"), horizon)))
    if call == "warmup":
        return min(1.0, (t + 1) / max(1, in_steps(next(iter(args.values()), None), horizon)))
    raise InputError(f"settings.json: there is no schedule {call}: fixed, step, multistep, exp, inv, poly, sigmoid, cosine, warmup")


def _sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), also where exp(-x) is beyond a float."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def rate_at(solver: dict, schedule: list[dict], t: int, horizon: Horizon) -> float:
    """The rate of update t."""
    rate = solver["args"].get("lr", 0.01)
    factor = 1.0
    for entry in schedule:
        factor *= _factor(entry["call"], entry["args"], t, horizon)
    return rate * factor
