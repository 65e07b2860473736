"""Runs exported nets and compares them with what case.safetensors says: compare.py RESULT_FOLDER FOLDER..."""
from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from pathlib import Path

import torch

torch.set_num_threads(1)


def module_of(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def distance(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest difference over the scale of what is wanted; infinite where one is no number and the other is."""
    got, want = got.detach().double().flatten(), want.double().flatten()
    if got.shape != want.shape:
        return float("inf")
    if got.numel() == 0:
        return 0.0
    same = (got == want) | (got.isnan() & want.isnan())
    scale = max(1e-3, float(want[want.isfinite()].abs().max()) if want.isfinite().any() else 0.0)
    apart = torch.where(same, torch.zeros_like(got), (got - want).abs() / scale)
    return float(apart.nan_to_num(float("inf"), float("inf")).max())


def differences(folder: Path, weights, number: int, dtype: torch.dtype) -> dict[str, float]:
    case = json.loads((folder / "case.json").read_text())
    settings = json.loads((folder / "settings.json").read_text())
    tensors = weights.load(folder / "case.safetensors")
    of = lambda kind: {key[len(kind) + 1:]: value for key, value in tensors.items() if key.startswith(kind + "/")}
    net = module_of(folder / "net.py", f"net_{number}_{dtype}".replace(".", "_")).Net()
    net.load_state_dict(weights.load(folder / "weights.safetensors"))
    net.to(dtype)
    given = {entry["argument"]: of("in")[entry["name"]].clone() for entry in settings["inputs"]}
    arguments = {entry["name"]: entry["argument"] for entry in settings["inputs"]}
    for key, value in given.items():
        if value.is_floating_point():
            given[key] = value.to(dtype).requires_grad_(True)
    found: dict[str, float] = {}
    net.eval()
    results = net(**given)
    for key, want in of("test").items():
        found[f"test/{key}"] = distance(results[key], want)
    if not of("train"):
        return found
    net.train()
    net.moment.seed = case["seed"]
    results = net(**given)
    for key, want in of("train").items():
        found[f"train/{key}"] = distance(results[key], want)
    net.objective(results).backward()
    learned = dict(net.named_parameters())
    for key, want in of("grad").items():
        of_what = learned[key] if key in learned else given[arguments[key]]
        got = torch.zeros_like(of_what) if of_what.grad is None else of_what.grad
        found[f"grad/{key}"] = distance(got, want)
    kept = net.state_dict()
    for key, want in of("kept").items():
        found[f"kept/{key}"] = distance(kept[key], want)
    return found


def main() -> None:
    root, *folders = map(Path, sys.argv[1:])
    sys.path.insert(0, str(folders[0]))
    weights = module_of(folders[0] / "weights.py", "weights")
    compared = []
    for number, folder in enumerate(folders):
        name = json.loads((folder / "case.json").read_text())["name"]
        try:
            exact = differences(folder, weights, number, torch.float64)
            what, worst = max(exact.items(), key=lambda item: item[1])
            single = max(differences(folder, weights, number, torch.float32).values())
            compared.append({"name": name, "worst": worst if worst < float("inf") else 1e300, "what": what,
                             "float32": single if single < float("inf") else 1e300})
        except Exception:  # whatever it is, it is told, and the next one runs
            compared.append({"name": name, "worst": 1e300, "what": "", "float32": 1e300, "error": "\n".join(traceback.format_exc().splitlines()[-6:])})
    (root / "compared.json").write_text(json.dumps(compared))


main()
