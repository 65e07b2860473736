from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exchange import all_sum


class Loss(nn.Module):
    """A number of a batch: a sum over what it counts.

    Behind each forward `total` and `count` are those of this process: over batches and processes the value is
    sum of totals / max(1, sum of counts), or the sum of totals where `count` is None. What forward gives is the value over the batches
    of all processes together; its gradient is the share of this process' samples.
    divisor  where it is set, what forward divides by, in place of the count: of several batches that make one update
    """

    def __init__(self):
        super().__init__()
        self.total: Tensor | None = None
        self.count: Tensor | None = None
        self.divisor: Tensor | float | None = None

    def over(self, total: Tensor, count: Tensor | float | None) -> Tensor:
        self.total = total.detach()
        self.count = None if count is None else torch.as_tensor(count, dtype=total.dtype, device=total.device)
        if self.count is None:
            whole = all_sum(total)
            return whole if self.divisor is None else whole / self.divisor
        whole, counts = all_sum(torch.stack([total, self.count]))
        return whole / (counts.clamp(min=1) if self.divisor is None else self.divisor)


def counted(normalization: str, batched: bool, labels: Tensor, ignore: float | None) -> Tensor | float | None:
    """What the sum of a loss is divided by: labels that are not ignored, all labels, samples, or (None) nothing."""
    if normalization == "valid" and ignore is not None:
        return (labels != ignore).sum()
    if normalization == "none":
        return None if batched else 1.0
    return float(labels.numel() if normalization in ("valid", "full") else len(labels) if labels.dim() > 0 else 1)


class SoftmaxLoss(Loss):
    """Minus the logarithm of the labelled class' probability; x [n, classes, ...], labels [n, ...]."""

    def __init__(self, ignore: int = -1, normalization: str = "valid", batched: bool = True):
        super().__init__()
        self.ignore, self.normalization, self.batched = ignore, normalization, batched

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        labels = labels.long()
        total = F.cross_entropy(x, labels, ignore_index=self.ignore, reduction="sum")
        return self.over(total, counted(self.normalization, self.batched, labels, self.ignore))


class SigmoidLoss(Loss):
    """The cross entropy of a sigmoid of each score with its target between 0 and 1; both of one shape."""

    def __init__(self, ignore: float | None = None, normalization: str = "batch_size", batched: bool = True):
        super().__init__()
        self.ignore, self.normalization, self.batched = ignore, normalization, batched

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        # max(x, 0) - x t + log(1 + exp(-|x|)): its gradient at 0 is that of the sigmoid.
        terms = F.softplus(x, threshold=50) - x * target
        if self.ignore is not None:
            terms = torch.where(target == self.ignore, torch.zeros_like(terms), terms)
        return self.over(terms.sum(), counted(self.normalization, self.batched, target, self.ignore))


class SquaredLoss(Loss):
    """Half the mean over the batch of the squared distance."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return self.over((x - target).square().sum() / 2, len(x) if x.dim() > 0 else 1)


class HingeLoss(Loss):
    """By how much scores x [n, classes] miss their margin, one class against all others; norm 2 squares the margins."""

    def __init__(self, norm: int = 1):
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        side = torch.where(torch.arange(x.shape[1], device=x.device) == labels[:, None], -1.0, 1.0).to(x.dtype)
        margin = F.relu(1 + side * x)
        return self.over((margin.square() if self.norm == 2 else margin).sum(), len(x))


class Sum(Loss):
    """The sum of all elements, batch and all."""

    def __init__(self, batched: bool = True):
        super().__init__()
        self.batched = batched

    def forward(self, x: Tensor) -> Tensor:
        return self.over(x.sum(), None if self.batched else 1.0)


class Accuracy(Loss):
    """The share of labels whose class is among the `top` best scores. As in Caffe a tie counts against you."""

    def __init__(self, top: int = 1, ignore: int = -1):
        super().__init__()
        self.top, self.ignore = top, ignore

    @torch.no_grad()
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        labels = labels.long()
        counts = labels != self.ignore
        own = x.gather(1, torch.where(counts, labels, torch.zeros_like(labels)).unsqueeze(1))
        # Of C - 1 others more than C - 1 - top must score less.
        right = (x < own).sum(1) > x.shape[1] - 1 - self.top
        return self.over((right & counts).sum().to(x.dtype), counts.sum())
