"""Trains the net of net.py on your data, as `fusenet train` does, number for number: the same samples in the same order, the same
augmentation, dropout, solver and schedule. `python train.py --help` tells the options; settings.json holds the settings.

    python train.py --data FOLDER --epochs 20
    torchrun --nproc_per_node 8 train.py --data FOLDER     # the batch is that of all processes together
    python train.py --resume out/NET.snapshots             # goes on; `fusenet train NET.net --resume` goes on with it, too
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
from training.job import Job
from training.options import choices_of, parser
from training.run import Training
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
            "\n  ".join([f"this contradicts the training of {found.path}, which would no longer be the same:", *wrong])
            + f"\nleave out what it has otherwise, or start a new training from its parameters: --weights {found.path} instead of --resume"
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
