from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupNorm(nn.Module):
    """Normalizes groups of channels of each sample by themselves; gamma and beta are of channels."""

    def __init__(self, groups: int, channels: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        self.groups, self.eps = groups, eps
        self.gamma = nn.Parameter(torch.ones(channels)) if affine else None
        self.beta = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        y = standardized(x.reshape(x.shape[0], self.groups, -1), [2], self.eps).view(x.shape)
        if self.gamma is None:
            return y
        shape = [-1] + [1] * (x.dim() - 2)
        return y * self.gamma.view(shape) + self.beta.view(shape)


class LayerNorm(nn.Module):
    """Normalizes axes `axis` to `end` of each sample together; gamma and beta have their shape."""

    def __init__(self, shape: tuple[int, ...], axis: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        self.axis, self.eps = axis, eps
        self.gamma = nn.Parameter(torch.ones(shape)) if affine else None
        self.beta = nn.Parameter(torch.zeros(shape)) if affine else None
        self.rank = len(shape)

    def forward(self, x: Tensor) -> Tensor:
        y = standardized(x, list(range(self.axis, self.axis + self.rank)), self.eps)
        if self.gamma is None:
            return y
        shape = list(self.gamma.shape) + [1] * (x.dim() - self.axis - self.rank)
        return y * self.gamma.view(shape) + self.beta.view(shape)


def standardized(x: Tensor, axes: list[int], eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) along axes. The mean has two parts: one float32 is too coarse beside a small deviation."""
    centred = x - x.detach().mean(axes, keepdim=True)
    centred = centred - centred.mean(axes, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(axes, keepdim=True) + eps)
