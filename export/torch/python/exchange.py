"""What the processes of one training exchange.

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
    """The samples of this process, from and to, of `count` samples from `first` on.

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
    computes is the share of its own samples in the gradient of that number. `together` adds the shares up.
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

    With a card for each process of this machine they compute on the cards (nccl), else on the CPU (gloo). `cpu`: in any case.
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
    lock is held by who waits for them. `code` 0: once all are done.
    """
    if world() == 1:
        sys.exit(code)
    if code == 0:
        wait_for_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def together(net: nn.Module) -> nn.Module:
    """The net with gradients that go through all processes, bucket by bucket, while the backward pass goes on: see `backward`.

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
    """Each process normalizes its share of a batch by itself: another training, without messages on the way. See `join_statistics`."""
    for module in net.modules():
        if hasattr(module, "across"):
            module.across = False


@torch.no_grad()
def join_statistics(net: nn.Module) -> None:
    """After `local_batch_norm`: statistics that were kept become their mean over the processes, in one message, before somebody reads
    them. Whatever a layer keeps is linear in what it saw, so it does not matter when that is, or how often.
    """
    kept = [b for module in net.modules() if not getattr(module, "across", True) for b in module.buffers()]
    if world() == 1 or not kept:
        return
    mean = all_sum_(torch.cat([b.double() for b in kept])) / world()
    for buffer, joined in zip(kept, mean.split([b.numel() for b in kept])):
        buffer.copy_(joined)


def apart(net: nn.Module) -> ContextManager:
    """A context in which gradients of a net of `together` are added up in each process alone: for all but an update's last batch."""
    return net.no_sync() if world() > 1 else nullcontext()


def backward(loss: Tensor) -> None:
    """Adds to the gradients of a net of `together` those of a loss, summed over all processes.

    DistributedDataParallel takes their mean, for which the loss is multiplied by their number.
    """
    (loss * world()).backward()
