from __future__ import annotations

import torch
from torch import Tensor


def pad_by_map(x: Tensor, channels: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int], mode: str) -> Tensor:
    """A frame of what the map holds: mirrored at its outermost pixels ("reflect"), or its outermost pixels again ("edge")."""
    for axis, (before, after) in ((1, channels), (2, rows), (3, columns)):
        if before + after == 0:
            continue
        last = x.shape[axis] - 1
        places = torch.arange(-before, last + 1 + after, device=x.device)
        places = places.clamp(0, last) if mode == "edge" else last - (last - places.abs()).abs()
        x = x.index_select(axis, places)
    return x
