from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def average_pool(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], frame: tuple[int, int, int, int],
                 counts: tuple[int, int, int, int] | None, dilation: tuple[int, int] = (1, 1)) -> Tensor:
    """The mean of each window, where F.avg_pool2d has none like it.

    frame   zeros around the map: left, right, top, bottom; negative ones cut off
    counts  how much of a frame counts in the divisor, in the same order; None: every window counts as a whole
    """
    total = window_sum(F.pad(x, frame), kernel, stride, dilation)
    if counts is None:
        return total / (kernel[0] * kernel[1])
    ones = F.pad(torch.ones_like(x[:1, :1]), counts, value=1.0)
    ones = F.pad(ones, [whole - part for whole, part in zip(frame, counts)])
    return total / window_sum(ones, kernel, stride, dilation)


def lp_pool(x: Tensor, p: float, kernel: tuple[int, int], stride: tuple[int, int], frame: tuple[int, int, int, int],
            dilation: tuple[int, int] = (1, 1)) -> Tensor:
    """(sum of |x|^p)^(1/p) of each window; its gradient is 0 where it is 0."""
    total = window_sum(F.pad(x.abs() ** p, frame), kernel, stride, dilation)
    is_empty = total == 0
    return torch.where(is_empty, total.detach(), torch.where(is_empty, torch.ones_like(total), total) ** (1 / p))


def window_sum(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> Tensor:
    """The sum of each window, as a convolution of each channel with ones."""
    ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype, device=x.device)
    return F.conv2d(x, ones, stride=stride, dilation=dilation, groups=x.shape[1])


def lrn_within(x: Tensor, size: int, alpha: float, beta: float) -> Tensor:
    """Local response normalization within channels: x (1 + alpha / size^2 times the sum of squares around)^-beta."""
    return x * (1 + alpha * F.avg_pool2d(x.square(), size, stride=1, padding=size // 2)) ** -beta
