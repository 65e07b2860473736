"""Folders of pictures: a folder a class, or folders of the parts (train, val, test) with a folder a class in each. Pillow decodes them:
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
    from .tables import by_class_name

    notes: list[str] = []
    left: Counter = Counter()
    split = _split_of(folder)
    parts = _parts(folder, split, left, options, notes) if split else _whole(folder, left, options, notes)
    names = sorted({name for files in parts.values() for _, name in files}, key=by_class_name)
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
        return sha256("\n".join([*lines, ",".join(map(str, self.shape))]))


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
            return str(error).removeprefix(f"{path} ").split("\n")[0]
        return None

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        found = {path: why for path, why in zip(paths, pool.map(reason, paths)) if why is not None}
    if not found:
        return set()
    shown = "\n".join(f"  {path}: {why}" for path, why in list(found.items())[:20])
    shown += f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
    if not skip:
        raise InputError(
            f"{len(found)} of {len(paths)} pictures cannot be read:\n{shown}\nMend or remove them, or leave them out by --skip-broken"
        )
    if len(found) == len(paths):
        raise InputError(f"none of {len(paths)} pictures can be read:\n{shown}")
    notes.append(f"left out: {len(found)} of {len(paths)} pictures, which cannot be read:\n{shown}")
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
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND\xaeB`\x82" in end
    if start.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" in end
    if start.startswith(b"GIF8"):
        return end.rstrip(b"\0 \r\n").endswith(b";")
    return start.startswith(b"RIFF") and size >= 8 + int.from_bytes(start[4:8], "little")
