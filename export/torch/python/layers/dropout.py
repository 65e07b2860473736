from __future__ import annotations

import torch
from torch import Tensor, nn

from moment import Moment


class Dropout(nn.Module):
    """Drops each value with probability p and scales the others by 1 / (1 - p); at test time it does nothing.

    A value is kept or dropped by a hash of (seed, step, layer, position): the same on every device, in every process, and in fusenet.
    `batched`: whether axis 0 is the batch. A mask of zeros and ones may be given instead.
    """

    def __init__(self, p: float = 0.5, batched: bool = True):
        super().__init__()
        self.p, self.batched = p, batched
        self.key, self.moment = 0, Moment()

    def settle(self, name: str, moment: Moment) -> None:
        """Tells it the full name of its layer, and the moment that it reads."""
        self.key, self.moment = fnv1a(name), moment

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self.training:
            return x
        if mask is not None:
            return x * mask.detach() / (1 - self.p)
        if self.p == 0:
            return x
        return torch.where(self.chances(x) < self.p, torch.zeros_like(x), x / (1 - self.p))

    def chances(self, x: Tensor) -> Tensor:
        """A number of [0, 1) for each value of x, 24 bits: four rounds of murmur3's finalizer."""
        before = self.moment.first * x[0].numel() if self.batched and len(x) > 0 else 0
        at = torch.arange(before, before + x.numel(), device=x.device)
        start = murmur((self.moment.seed ^ 0x9E3779B9) & 0xFFFFFFFF)
        start = murmur((start + self.moment.step * 0x85EBCA6B) & 0xFFFFFFFF)
        start = murmur(start ^ self.key)
        hashed = murmur((start + (at & 0xFFFFFFFF) * 0x9E3779B1) & 0xFFFFFFFF)
        return ((hashed >> 8).to(torch.float64) / 16777216).view(x.shape)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def murmur(x):
    """The finalizer of murmur3 without its last multiplication: of a number, or of each number of a tensor of int64."""
    x = x ^ (x >> 16)
    x = (x * 0x85EBCA6B) & 0xFFFFFFFF
    x = x ^ (x >> 13)
    x = (x * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def fnv1a(text: str) -> int:
    """A hash of a name, 32 bits."""
    found = 0x811C9DC5
    for byte in text.encode():
        found = ((found ^ byte) * 0x01000193) & 0xFFFFFFFF
    return found
