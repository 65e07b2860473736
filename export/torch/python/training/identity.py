"""The identity of a training: what must be the same for a training that goes on to be the same training. Snapshots carry it, as
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
