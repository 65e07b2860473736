"""Trains an exported net on one process and on several and tells how far apart they end: many.py FOLDER 2,4 OPTIONS...

many.py FOLDER 3 --beside OTHER OPTIONS...: instead, 3 processes that each normalize their share beside one that sums the gradients of 3
batches of the same samples, as the export in OTHER says it.

Processes are forked, not started by torchrun, since importing torch takes longer than the training. Prints a JSON object a line.
"""
from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from pathlib import Path

FOLDER = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(FOLDER))

import train  # noqa: E402  (first: it says how torch logs)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from training.course import Course  # noqa: E402


torch.set_num_threads(1)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def process(rank: int, world: int, port: int, options: list[str], result: Path, here: Path) -> None:
    """One process of a training with the settings in `here`; leaves its weights, unrounded, in `result`."""
    train.HERE = str(here)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    out = os.open(str(result) + f".{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    update = Course.update

    def kept(course: Course, parts: list) -> tuple:
        found = update(course, parts)
        np.savez(str(result) + f".{rank}.npz", **{name: tensor.detach().numpy() for name, tensor in course.tensors.items()})
        return found

    Course.update = kept
    code = train.main([*options, "--json", "--save", str(result) + ".safetensors", "--device", "cpu"])
    sys.stdout.flush()
    os._exit(code)


def run(world: int, options: list[str], result: Path, here: Path = FOLDER) -> tuple[dict[str, np.ndarray], dict]:
    """Weights, and what the test at the end says."""
    port, children = free_port(), []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            try:
                process(rank, world, port, options, result, here)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    told = [Path(f"{result}.{rank}.txt").read_text() for rank in range(world)]
    if any(codes):
        raise SystemExit(f"{world} processes ended with {codes}\n" + "\n".join(told))
    if any(told[1:]):
        raise SystemExit(f"only the first process speaks, but the others said\n{told[1:]}")
    weights = [dict(np.load(f"{result}.{rank}.npz")) for rank in range(world)]
    if "--local-batch-norm" in options:
        # Each has statistics of its own until somebody reads them: see join_statistics.
        for name in (name for name in weights[0] if ".running_" in name):
            mean = np.mean([one[name] for one in weights], axis=0)
            for one in weights:
                one[name] = mean
    for other in weights[1:]:
        for name, values in other.items():
            if not np.array_equal(values, weights[0][name]):
                raise SystemExit(f"{name} differs between processes")
    events = [json.loads(line) for line in told[0].splitlines() if line.startswith("{")]
    return weights[0], next(event for event in reversed(events) if event["event"] == "test")


def apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> tuple[float, str]:
    """The largest difference over the scale of its tensor, and where."""
    return max((float(np.abs(a[name] - b[name]).max() / max(np.abs(a[name]).max(), 1e-3)), name) for name in a)


def compare_local(world: int, other: Path, options: list[str]) -> None:
    """Prints how far apart local normalization is from `world` batches of a share each, and from the training without it."""
    batch = int(options[options.index("--batch") + 1])
    one_by_one = [*options, "--batch", str(batch // world)]
    local, test = run(world, [*options, "--local-batch-norm", "--float64"], FOLDER / "local")
    reference, reference_test = run(1, [*one_by_one, "--float64"], FOLDER / "accumulated", other)
    whole, _ = run(world, [*options, "--float64"], FOLDER / "whole")
    counted = {name: values for name, values in reference.items() if not name.endswith(".count")}  # 3 batches an update, or one
    distance, where = apart(counted, local)
    tests = max(abs(test["metrics"][name] - reference_test["metrics"][name]) for name in test["metrics"])
    print(json.dumps({"apart": distance, "where": where, "tests": tests, "whole": apart(whole, local)[0]}), flush=True)


def main() -> None:
    os.chdir(FOLDER)
    if sys.argv[3:4] == ["--beside"]:
        compare_local(int(sys.argv[2]), Path(sys.argv[4]).resolve(), sys.argv[5:])
        return
    worlds, options = [int(n) for n in sys.argv[2].split(",")], sys.argv[3:]
    for float64 in (True, False):
        given = [*options, "--float64"] if float64 else options
        results = {world: run(world, given, FOLDER / f"{'double' if float64 else 'single'}-{world}") for world in (1, *worlds)}
        one, test = results[1]
        for world in worlds:
            weights, other = results[world]
            distance, where = apart(one, weights)
            tests = max(abs(test["metrics"][name] - other["metrics"][name]) for name in test["metrics"])
            print(json.dumps({"float64": float64, "processes": world, "apart": distance, "where": where, "tests": tests}), flush=True)


main()
