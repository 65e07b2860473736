"""settings.json: the net's `train` block, as fusenet's bundles spell it, and what training must know of the net. Change its settings
there, or by train.py's options."""

from __future__ import annotations

import json
import os

from .errors import InputError

def read_settings(path: str) -> dict:
    """What is in `train` there, and what training must know of the net; checked as far as a person may have changed it."""
    name = os.path.basename(path)
    try:
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)
        train = whole["train"]
        settings = {key: whole[key] for key in ("trained", "inputs", "outputs", "parameters", "identity", "counted")}
        settings.update(train, net=whole["name"], joins_last=whole.get("joins_last", False))
        solver, schedule, augment = settings["solver"], settings["schedule"], settings["augment"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; `fusenet export --to torch` writes it beside train.py") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    except (KeyError, TypeError) as error:
        if str(error) == "'train'":
            raise InputError(
                "the net has no train block: write at least `train { batch 32  solver sgd(lr: 0.05, momentum: 0.9) }` in its file and "
                "export it again"
            ) from error
        raise InputError(f"{name} has no {error}: `fusenet export --to torch` writes a whole one") from error
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
    """(channels, height, width) to which pictures are brought so that `augment` makes of them what the net takes: larger, as ImageNet's 256
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
