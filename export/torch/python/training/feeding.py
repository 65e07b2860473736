"""Which field of a dataset feeds which input of the net, with the labels that the net has."""

from __future__ import annotations

import math
import unicodedata

import numpy as np

from .augmentation import Augmented, changed_fields
from .datasets import Dataset, Field, Relabelled
from .errors import InputError, did_you_mean, listed
from .numbers_as_text import shape_text


class Feed:
    """A dataset as a net reads it: `fields` by input, `plain` with the net's labels, `dataset` with pictures changed by chance."""

    def __init__(self, dataset: Dataset, inputs: list[dict], augment: list[dict], names: dict[str, list[str]]):
        """`names`: of the net's classes by input. A net without names takes those of the data; they are added there."""
        fields = changed_fields(dataset.fields, augment) if augment else dataset.fields
        self.fields = fields_for(inputs, fields)
        self.names = names
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

    def learned(self) -> dict[str, dict]:
        """What the data say of the net's inputs, as manifests spell it: names of classes, and of a table's columns."""
        found = {}
        for name, field in self.fields.items():
            columns = self.plain.fields[field].columns
            said = {"classNames": self.names.get(name), "columns": list(columns) if columns else None}
            found[name] = {key: value for key, value in said.items() if value}
        return {name: said for name, said in found.items() if said}

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
