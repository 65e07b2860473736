from __future__ import annotations

import math
import struct

import torch
from torch import Tensor, nn


class Resize(nn.Module):
    """A map of another size, as ONNX' Resize has it: rows and columns are weighted sums of those around.

    rows, columns  of how many, to how many, and the ratio where it is not that of both
    """

    def __init__(self, rows: tuple, columns: tuple, mode: str = "nearest", coordinates: str = "half_pixel",
                 rounding: str = "round_prefer_floor", cubic_coefficient: float = -0.75, exclude_outside: bool = False):
        super().__init__()
        self.is_nearest = mode == "nearest"
        for name, direction in (("rows", rows), ("columns", columns)):
            taps = resize_taps(direction, mode, coordinates, rounding, cubic_coefficient, exclude_outside)
            if self.is_nearest:
                table = torch.tensor([at for [(at, _)] in taps])
            else:
                table = torch.zeros(direction[1], direction[0], dtype=torch.float64)
                for to, row in enumerate(taps):
                    for at, weight in row:
                        table[to, at] += weight
            setattr(self, name, table)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_nearest:
            return x.index_select(2, self.rows.to(x.device)).index_select(3, self.columns.to(x.device))
        return self.rows.to(x) @ x @ self.columns.to(x).t()


def resize_taps(direction: tuple, mode: str, coordinates: str, rounding: str, a: float, exclude_outside: bool) -> list:
    """For each place of the new map the places of the old one that it is made of, with their weights."""
    before, after = direction[:2]
    scale = direction[2] if len(direction) > 2 else None
    taps = []
    for to in range(after):
        if mode == "nearest":
            at = nearest_place(resize_place(to, before, after, scale, coordinates, single), rounding)
            taps.append([(min(max(at, 0), before - 1), 1.0)])
            continue
        place = resize_place(to, before, after, scale, coordinates, float)
        first = math.floor(place)
        rest = place - first
        row = [(first, 1 - rest), (first + 1, rest)] if mode == "linear" else [
            (first + k, cubic_weight(abs(k - rest), a)) for k in (-1, 0, 1, 2)]
        if mode == "cubic" and exclude_outside:
            row = [(at, weight) for at, weight in row if 0 <= at < before]
            whole = sum(weight for _, weight in row)
            row = [(at, weight / whole) for at, weight in row]
        taps.append([(min(max(at, 0), before - 1), weight) for at, weight in row])
    return taps


def resize_place(to: int, before: int, after: int, scale: float | None, coordinates: str, rounded) -> float:
    """Where a place of the new map lies in the old one; `rounded` after every step: float32 decides which of two neighbours is the nearest."""
    ratio = rounded(scale if scale is not None else after / before)
    if coordinates == "asymmetric":
        return rounded(to / ratio)
    if coordinates == "align_corners":
        return 0.0 if after == 1 else rounded(rounded(to * (before - 1)) / (after - 1))
    if coordinates == "pytorch_half_pixel" and after == 1:
        return 0.0
    if coordinates == "half_pixel_symmetric":
        adjustment = rounded(after / rounded(ratio * before))
        return rounded(rounded(rounded(before / 2) * rounded(1 - adjustment)) + (to + 0.5) / ratio - 0.5)
    return rounded(rounded((to + 0.5) / ratio) - 0.5)


def nearest_place(place: float, rounding: str) -> int:
    """Places near the middle of two are taken for the middle: float32 may have missed it."""
    below = math.floor(place)
    if rounding in ("floor", "ceil"):
        return below if rounding == "floor" else math.ceil(place)
    if abs(place - below - 0.5) <= 1e-6:
        return below + 1 if rounding == "round_prefer_ceil" else below
    return math.floor(place + 0.5)


def cubic_weight(d: float, a: float) -> float:
    """The weight of a neighbour at this distance (Keys 1981)."""
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0


def single(x: float) -> float:
    """A number as float32 has it."""
    return struct.unpack("f", struct.pack("f", x))[0]
