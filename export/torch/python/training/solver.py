"""Solvers: how an update is made of gradients. The formulas are Caffe's; gradients are clipped, averaged over the batches that
were added up, then decayed, in that order. A result that is not finite is not written: the weight and its histories stay as they
were, and `broken` counts it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .errors import InputError

#: The histories that each solver keeps for a parameter, as they are called in snapshots.
SLOTS = {
    "sgd": ["h"],
    "nesterov": ["h"],
    "adagrad": ["h"],
    "rmsprop": ["h"],
    "adadelta": ["hg", "hu"],
    "adam": ["m", "v"],
    "adamw": ["m", "v"],
}


@dataclass
class Learned:
    """A parameter that learns, with its multipliers (lr_mult, decay_mult of the net's text) and its histories."""

    name: str
    value: torch.nn.Parameter
    rate_multiplier: float
    decay_multiplier: float
    histories: dict[str, torch.Tensor]


class Solver:
    """Updates parameters in place. `solver`: as settings.json has it, {"call": "sgd", "args": {"lr": 0.05, "momentum": 0.9}}."""

    def __init__(self, solver: dict, accumulate: int, parameters: list[tuple[str, torch.nn.Parameter, float, float]]):
        self.call, self.args, self.accumulate = solver["call"], solver["args"], accumulate
        if self.call not in SLOTS:
            raise InputError(f"settings.json: there is no solver {self.call}: {', '.join(SLOTS)}")
        self.learned = [
            Learned(name, value, lr_mult, decay_mult, {slot: torch.zeros_like(value) for slot in SLOTS[self.call]})
            for name, value, lr_mult, decay_mult in parameters
        ]

    @torch.no_grad()
    def step(self, t: int, rate: float) -> torch.Tensor:
        """Update t, counted from 0, from the gradients in `.grad`. Gives how many elements were not updated, since their gradient, new
        weight or new history is not finite: an integer on the parameters' device."""
        moving = [p for p in self.learned if p.rate_multiplier != 0]
        clip = self._clip(moving)
        broken = torch.zeros((), dtype=torch.int64, device=moving[0].value.device if moving else None)
        decay = self.args.get("weight_decay", 0.01 if self.call == "adamw" else 0)
        for p in moving:
            w = p.value
            g = torch.zeros_like(w) if w.grad is None else w.grad
            finite = torch.isfinite(g)
            if clip is not None:
                g = g * clip
            if self.accumulate > 1:
                g = g / self.accumulate
            before, r = w, rate * p.rate_multiplier
            if decay != 0 and self.call == "adamw":
                before = w * (1 - r * (decay * p.decay_multiplier))
            elif decay != 0:
                drawn = torch.sign(w) if self.args.get("regularize") == "l1" else w
                g = g + (decay * p.decay_multiplier) * drawn
            updated, histories = self._update(before, g, r, p.histories, t)
            for result in (updated, *histories.values()):
                finite = finite & torch.isfinite(result)
            broken += (~finite).sum()
            w.copy_(torch.where(finite, updated, w))
            for slot, history in histories.items():
                p.histories[slot].copy_(torch.where(finite, history, p.histories[slot]))
        return broken

    def _clip(self, moving: list[Learned]) -> torch.Tensor | None:
        """min(1, most / norm), of the joint L2 norm of all gradients."""
        most = self.args.get("clip_gradients")
        if most is None or not moving:
            return None
        norm = torch.sqrt(sum((p.value.grad * p.value.grad).sum() for p in moving if p.value.grad is not None))
        factor = torch.where(norm <= most, torch.full_like(norm, 0.0 if most == 0 else 1.0), most / norm)
        return torch.where(torch.isfinite(norm), factor, norm)

    def _update(self, w, g, r: float, h: dict[str, torch.Tensor], t: int):
        """The new weight and the new histories."""
        a = self.args
        if self.call in ("sgd", "nesterov"):
            mu = a.get("momentum", 0 if self.call == "sgd" else 0.9)
            # h = mu h + r g; without momentum the past is not looked at.
            v = r * g if mu == 0 else mu * h["h"] + r * g
            # sgd: w -= h;  nesterov: w -= (1 + mu) h' - mu h
            return (w - v if self.call == "sgd" else w - ((1 + mu) * v - mu * h["h"])), {"h": v}
        if self.call == "adagrad":
            # h += g^2;  w -= r g / (sqrt(h) + delta)
            squares = h["h"] + g * g
            return w - r * g / (torch.sqrt(squares) + a.get("delta", 1e-8)), {"h": squares}
        if self.call == "rmsprop":
            # h = d h + (1 - d) g^2;  w -= r g / (sqrt(h) + delta)
            d = a.get("decay", 0.99)
            squares = d * h["h"] + (1 - d) * (g * g)
            return w - r * g / (torch.sqrt(squares) + a.get("delta", 1e-8)), {"h": squares}
        if self.call == "adadelta":
            # hg = mu hg + (1 - mu) g^2;  u = g sqrt((hu + delta) / (hg + delta));  hu = mu hu + (1 - mu) u^2;  w -= r u
            mu, delta = a.get("momentum", 0.95), a.get("delta", 1e-6)
            squares = mu * h["hg"] + (1 - mu) * (g * g)
            u = g * torch.sqrt((h["hu"] + delta) / (squares + delta))
            return w - r * u, {"hg": squares, "hu": mu * h["hu"] + (1 - mu) * (u * u)}
        # m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
        b1, b2, delta = a.get("beta1", 0.9), a.get("beta2", 0.999), a.get("delta", 1e-8)
        m = b1 * h["m"] + (1 - b1) * g
        v = b2 * h["v"] + (1 - b2) * (g * g)
        c1, c2 = 1 - b1 ** (t + 1), 1 - b2 ** (t + 1)
        if self.call == "adam":
            # w -= r sqrt(c2) / c1 m / (sqrt(v) + delta): delta beside the uncorrected root, as in Caffe.
            return w - (r * math.sqrt(c2) / c1) * m / (torch.sqrt(v) + delta), {"m": m, "v": v}
        # adamw: w -= r (m / c1) / (sqrt(v / c2) + delta)
        return w - r * ((m / c1) / (torch.sqrt(v / c2) + delta)), {"m": m, "v": v}
