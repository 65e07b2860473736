from __future__ import annotations

import torch
from torch import Tensor


def hard_sigmoid(x: Tensor, alpha: float = 1 / 6, beta: float = 0.5) -> Tensor:
    """alpha x + beta, kept within 0 and 1; outside and at its ends the gradient is 0."""
    y = alpha * x + beta
    return torch.where((y > 0) & (y < 1) | y.isnan(), y, y.detach().clamp(0, 1))


def thresholded_relu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is above alpha, 0 elsewhere."""
    return torch.where((x > alpha) | x.isnan(), x, torch.zeros_like(x))
