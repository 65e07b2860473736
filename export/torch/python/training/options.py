"""The command line of train.py: the options of `fusenet train`."""

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
    return math.inf if text == "all" else 0 if text in ("none", "0") else positive(text)


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
        description="Trains the net of net.py as `fusenet train` does, number for number. What the options leave open, settings.json says. "
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
    add("--keep", type=kept, default=3, metavar="N", help="snapshots to keep besides the best by test, or all; none: those on the way go when it has ended well; default: 3")
    add("--save", metavar="W.safetensors", help="where the trained weights go; default: out/NET.safetensors")
    add("--test", action="store_true", help="test the weights and train nothing")
    add("--keep-going", action="store_true", help="train on where the loss, a gradient or a weight is not finite")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where it computes; default: cuda where there is one")
    add("--float64", action="store_true", help="compute in double precision")
    add("--tf32", action="store_true", help="let cards multiply with 10 bits of mantissa: faster, and other numbers than fusenet's")
    add("--local-batch-norm", action="store_true",
        help="each process normalizes its share of a batch by itself: fewer messages, and another training")
    # Of `fusenet train --on torch`: where what it makes of the weights goes, and where events are written.
    add("--output", help=argparse.SUPPRESS)
    add("--events", help=argparse.SUPPRESS)
    add("--json", action="store_true", help="one JSON object a line on standard output, as `fusenet train --json` has them")
    return found


def choices_of(args: argparse.Namespace) -> dict:
    """The options that were given and that a training keeps, as snapshots spell them."""
    return {name: getattr(args, key) for key, name in KEPT.items() if getattr(args, key) is not None}
