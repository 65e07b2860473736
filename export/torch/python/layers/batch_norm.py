from __future__ import annotations

import torch
from torch import Tensor, nn

from exchange import all_sum_, world


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
    statistics  None: as said above; "batch", "global": these, whatever the layer keeps, which stays as it is. See `use_statistics`.
    across      the batch is that of all processes together; False: each process normalizes its share by itself
    """

    def __init__(self, channels: int, eps: float = 1e-10, affine: bool = True, gamma: float = 1.0000001, beta: float = 1e-7,
                 stats: str = "moving", newest: float = 0.95, fraction: float = 0.999, scale_factor: bool = False,
                 unbiased: bool = False):
        super().__init__()
        self.eps, self.stats, self.newest, self.fraction = eps, stats, newest, fraction
        self.unbiased = unbiased or stats == "caffe"
        self.statistics: str | None = None
        self.across = True
        self.gamma = nn.Parameter(torch.full([channels], float(gamma))) if affine else None
        self.beta = nn.Parameter(torch.full([channels], float(beta))) if affine else None
        if stats == "batch":
            return
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.full([channels], 0.0 if stats == "caffe" else 1.0))
        if stats == "caffe" or scale_factor:
            self.register_buffer("scale_factor", torch.full([1], 0.0 if stats == "caffe" else 1.0))
        if stats == "cumulative":
            self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.normalized(x, self.gamma, self.beta)

    def normalize(self, x: Tensor) -> Tensor:
        """The layer without gamma and beta; with `scale` behind it the two layers that Caffe has: split style."""
        return self.normalized(x, None, None)

    def scale(self, x: Tensor) -> Tensor:
        return x * channel(self.gamma, x) + channel(self.beta, x)

    def normalized(self, x: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
        use = self.statistics or ("batch" if self.training and self.stats != "global" else "global")
        if use == "global" and self.stats != "batch":
            mean, variance = self.stored()
            y = (x - channel(mean, x)) / torch.sqrt(channel(variance, x) + self.eps)
            return y if gamma is None else y * channel(gamma, x) + channel(beta, x)
        pivot = 0.0 if self.stats == "batch" else self.stored()[0].double()
        y, mean, variance, count = BatchNormFunction.apply(x, gamma, beta, self.eps, self.across and world() > 1, pivot)
        if self.training and self.statistics is None and self.stats not in ("batch", "global"):
            self.keep(mean, variance, count)
        return y

    def stored(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of test time. Sums without a batch are 0, as Caffe has it."""
        factor = getattr(self, "scale_factor", None)
        if factor is None:
            return self.running_mean, self.running_var
        inverse = torch.where(factor == 0, torch.zeros_like(factor), 1 / torch.where(factor == 0, torch.ones_like(factor), factor))
        return self.running_mean * inverse, self.running_var * inverse

    @torch.no_grad()
    def keep(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Mixes in a batch's statistics. What is no number is not mixed in, and what is used stays what it is."""
        if self.unbiased:
            variance = variance * (count / (count - 1).clamp(min=1))
        used = self.stored()
        for running, newest, kept in ((self.running_mean, mean, used[0]), (self.running_var, variance, used[1])):
            if self.stats == "caffe":
                mixed = running * self.fraction + newest
                kept = running * self.fraction + kept
            elif self.stats == "cumulative":
                mixed = (running * self.count + newest) / (self.count + 1)
            else:
                mixed = self.newest * newest + (1 - self.newest) * running
            running.copy_(torch.where(torch.isfinite(mixed), mixed, kept))
        if self.stats == "caffe":
            self.scale_factor.mul_(self.fraction).add_(1)
        elif self.stats == "cumulative":
            self.count.add_(1)

    def extra_repr(self) -> str:
        return f"{self.stats}, eps={self.eps}"


class BatchNormFunction(torch.autograd.Function):
    """gamma x-hat + beta with the statistics of the batch, and these: mean, variance and number of values of a channel.

    across  the batch is that of all processes: one message forward, one backward
    pivot   a number a channel near its mean, the same in all processes
    """

    @staticmethod
    def forward(ctx, x, gamma, beta, eps, across, pivot):
        centred, rest, mean, variance, count = batch_moments(x, across, pivot)
        inverse = 1 / torch.sqrt(variance + eps)
        slope = inverse if gamma is None else gamma * inverse
        shift = -rest * slope if beta is None else beta - rest * slope
        ctx.save_for_backward(centred, rest, inverse, slope, count)
        ctx.across, ctx.affine = across, gamma is not None
        ctx.mark_non_differentiable(mean, variance, count)
        return torch.addcmul(channel(shift, x), centred, channel(slope, x)), mean, variance, count

    @staticmethod
    def backward(ctx, dy, *_):
        # dgamma = sum dy x-hat and dbeta = sum dy, of this process' samples; with both summed over all processes, m values a channel:
        # dx = gamma / deviation (dy - dbeta / m - x-hat dgamma / m)   (Ioffe & Szegedy 2015, section 3, collected)
        centred, rest, inverse, slope, count = ctx.saved_tensors
        axes = [axis for axis in range(dy.dim()) if axis != 1]
        dbeta = dy.sum(axes)
        dgamma = ((dy * centred).sum(axes) - rest * dbeta) * inverse
        sums = torch.stack([dbeta, dgamma])
        if ctx.across:
            all_sum_(sums)
        by_x = inverse * sums[1] / count
        # In this order, since where all of dy is nearly the same the first difference is small and the slope may be 1e5.
        dx = dy - channel(sums[0] / count - rest * by_x, dy)
        dx.addcmul_(centred, channel(-by_x, dy)).mul_(channel(slope, dy))
        return (dx, *((dgamma, dbeta) if ctx.affine else (None, None)), None, None, None)


def batch_moments(x: Tensor, across: bool, pivot: Tensor | float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """x - m0, and m1, mean, variance and number of values of each channel. The mean has two parts, m0 and m1.

    One float32 is too coarse a mean for a variance of 1e-10. The variance is a mean of squares around m0, which is the mean but for its
    rounding, never a difference of large numbers.
    """
    axes = [axis for axis in range(x.dim()) if axis != 1]
    values = x.numel() // x.shape[1]
    # A process may have no sample at all.
    coarse = x.sum(axes) / max(values, 1)
    centred = x - channel(coarse, x)
    rest = centred.sum(axes) / max(values, 1)
    squares = ((centred * centred).sum(axes) - values * rest * rest).clamp(min=0)
    if not across:
        if values < 2:
            raise ValueError("statistics of one value a channel mean nothing: take a larger batch, or use_statistics(net, 'global')")
        return centred, rest, coarse + rest, squares / values, x.new_full([1], values)
    # The number of values, sum(x - pivot) and sum((x - pivot)^2) in one message. In float64 the variance loses some
    # 1e-16 (mean - pivot)^2 of it.
    off = coarse.double() + rest - pivot
    message = all_sum_(torch.cat([off.new_full([1], values), values * off, squares + values * off * off]))
    count, (total, squares) = message[:1], message[1:].view(2, -1)
    if not x.is_cuda and count < 2:
        raise ValueError("statistics of one value a channel mean nothing: take a larger batch, or use_statistics(net, 'global')")
    variance = (squares / count - (total / count) ** 2).clamp(min=0)
    mean = pivot + total / count
    return centred, (mean - coarse).to(x.dtype), mean.to(x.dtype), variance.to(x.dtype), count.to(x.dtype)


def channel(values: Tensor, x: Tensor) -> Tensor:
    """A number a channel, to be joined with x [n, c, ...]."""
    return values.view([1, -1] + [1] * (x.dim() - 2))


def use_statistics(net: nn.Module, which: str | None) -> None:
    """`global`: stored statistics in training too, which stay as they are; `batch`: each batch's own; None: as the net has it."""
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.statistics = which
