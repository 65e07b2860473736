from __future__ import annotations

import torch
from torch import Tensor, nn

from exchange import all_sum


class BatchNorm(nn.Module):
    """Normalizes each channel (axis 1): by the batch's own statistics in training, by those that were kept at test time.

        y = gamma (x - mean) / sqrt(variance + eps) + beta

    stats       how statistics are kept for test time, m of the newest batch
      moving      running = newest m + (1 - newest) running
      cumulative  running = (running count + m) / (count + 1)
      caffe       factor = factor fraction + 1, sum = sum fraction + m; used as sum / factor; the variance's m is unbiased
      batch       none are kept: every batch is normalized with its own
      global      those that are stored are used in training too; with `scale_factor` they are sums, as of caffe
    unbiased    keep the variance times n / (n - 1), n values a channel
    statistics  None: as said above; "batch", "global": these, whatever the layer keeps. See `use_statistics`.
    """

    def __init__(self, channels: int, eps: float = 1e-10, affine: bool = True, gamma: float = 1.0000001, beta: float = 1e-7,
                 stats: str = "moving", newest: float = 0.95, fraction: float = 0.999, scale_factor: bool = False,
                 unbiased: bool = False):
        super().__init__()
        self.eps, self.stats, self.newest, self.fraction = eps, stats, newest, fraction
        self.unbiased = unbiased or stats == "caffe"
        self.statistics = None
        self.gamma = nn.Parameter(torch.full([channels], gamma)) if affine else None
        self.beta = nn.Parameter(torch.full([channels], beta)) if affine else None
        if stats == "batch":
            return
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.full([channels], 0.0 if stats == "caffe" else 1.0))
        if stats == "caffe" or scale_factor:
            self.register_buffer("scale_factor", torch.full([1], 0.0 if stats == "caffe" else 1.0))
        if stats == "cumulative":
            self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.normalize(x))

    def normalize(self, x: Tensor) -> Tensor:
        """(x - mean) / sqrt(variance + eps). In training the kept statistics move on."""
        use = self.statistics or ("batch" if self.stats == "batch" or (self.training and self.stats != "global") else "global")
        if use == "global" and self.stats != "batch":
            mean, variance = self.stored()
            return (x - channel(mean, x)) / torch.sqrt(channel(variance, x) + self.eps)
        centred, mean, variance, count = batch_moments(x)
        if self.training and self.stats not in ("batch", "global"):
            self.keep(mean, variance, count)
        return centred / torch.sqrt(channel(variance, x) + self.eps)

    def scale(self, x: Tensor) -> Tensor:
        """gamma x + beta, where the layer has them."""
        return x if self.gamma is None else x * channel(self.gamma, x) + channel(self.beta, x)

    def stored(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of test time. Sums without a batch are 0, as Caffe has it."""
        factor = getattr(self, "scale_factor", None)
        if factor is None:
            return self.running_mean, self.running_var
        inverse = torch.where(factor == 0, torch.zeros_like(factor), 1 / torch.where(factor == 0, torch.ones_like(factor), factor))
        return self.running_mean * inverse, self.running_var * inverse

    @torch.no_grad()
    def keep(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Mixes in a batch's statistics. What is no number is not mixed in: nothing would ever bring it out again."""
        if self.unbiased:
            variance = variance * (count / (count - 1).clamp(min=1))
        for running, newest in ((self.running_mean, mean), (self.running_var, variance)):
            if self.stats == "caffe":
                mixed = running * self.fraction + newest
            elif self.stats == "cumulative":
                mixed = (running * self.count + newest) / (self.count + 1)
            else:
                mixed = self.newest * newest + (1 - self.newest) * running
            running.copy_(torch.where(torch.isfinite(mixed), mixed, running))
        if self.stats == "caffe":
            self.scale_factor.mul_(self.fraction).add_(1)
        elif self.stats == "cumulative":
            self.count.add_(1)

    def extra_repr(self) -> str:
        return f"{self.stats}, eps={self.eps}"


def channel(values: Tensor, x: Tensor) -> Tensor:
    """A number a channel, to be joined with x [n, c, ...]."""
    return values.view([1, -1] + [1] * (x.dim() - 2))


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x - mean, and mean, variance and number of values of each channel, of the batches of all processes together.

    The mean has two parts: one float32 is too coarse for a variance of 1e-10. The variance is a mean of squares, never a difference of means.
    """
    axes = [axis for axis in range(x.dim()) if axis != 1]
    count = all_sum(torch.tensor(float(x.numel() // x.shape[1]), dtype=x.dtype, device=x.device))
    if count <= 1:
        raise ValueError("statistics of one value a channel mean nothing: take a larger batch, or use_statistics(net, 'global')")
    coarse = all_sum(x.detach().sum(axes)) / count
    centred = x - channel(coarse, x)
    rest = all_sum(centred.sum(axes)) / count
    centred = centred - channel(rest, x)
    variance = all_sum((centred * centred).sum(axes)) / count
    return centred, coarse + rest, variance, count


def use_statistics(net: nn.Module, which: str | None) -> None:
    """`global`: stored statistics in training too, which stay as they are; `batch`: each batch's own; None: as the net has it."""
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.statistics = which
