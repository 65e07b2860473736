"""Random changes of pictures in training, as the `augment` line of the net's text says: mirror, crop. What lies over a picture (label
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
    """A window of that size somewhere in the map with `fill` around it; in evaluation the middle."""

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
    """A dataset whose pictures are changed. `inputs`: of the net (settings.json), by the field of the dataset that feeds each."""

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
                f"{size[0]} x {size[1]}; leave `augment` out of the train block"
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
