"""Files of tensors: uint64 length of a JSON header, the header ({name: {dtype, shape, data_offsets}}), raw little-endian values."""

from __future__ import annotations

import json
import math

import numpy as np

from .errors import InputError

TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "|u1", "F16": "<f2"}
NAMES = {np.dtype(code): name for name, code in TYPES.items()}


def read_safetensors(data: bytes, what: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata. Every byte must belong to exactly one tensor; half floats are widened to float32."""

    def refuse(why: str) -> InputError:
        return InputError(f"{what}: {why}")

    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise refuse("not safetensors, or truncated")
    try:
        header = json.loads(data[8 : 8 + length].decode())
        metadata = header.pop("__metadata__", {})
        entries = [(name, e["dtype"], list(e["shape"]), *e["data_offsets"]) for name, e in header.items()]
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise refuse("the header is not one of safetensors") from error
    tensors, end, base = {}, 0, 8 + length
    for name, dtype, shape, start, stop in sorted(entries, key=lambda entry: entry[3:]):
        if dtype not in TYPES and dtype != "BF16":
            raise refuse(f"{name}: type {dtype} is not read here ({', '.join(TYPES)}, BF16)")
        size = 2 if dtype == "BF16" else np.dtype(TYPES[dtype]).itemsize
        if any(not isinstance(n, int) or n < 0 for n in (*shape, start, stop)) or stop - start != size * math.prod(shape):
            raise refuse(f"{name}: its shape {shape} and its offsets do not agree")
        if start != end or base + stop > len(data):
            raise refuse(f"{name}: starts at byte {start}, the one before ends at {end}" if start != end else f"truncated in {name}")
        raw = data[base + start : base + stop]
        if dtype == "BF16":
            array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        else:
            array = np.frombuffer(raw, TYPES[dtype])
        tensors[name] = (array.astype("<f4") if dtype == "F16" else array).reshape(shape)
        end = stop
    if base + end != len(data):
        raise refuse(f"{len(data) - base - end} bytes belong to no tensor")
    return {name: tensors[name] for name, *_ in entries}, metadata


def write_safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytearray:
    """Wider types first and the header padded, so that every tensor starts aligned."""
    header: dict = {"__metadata__": metadata} if metadata else {}
    arrays, end = [], 0
    for name, array in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):
        array = np.asarray(array, order="C")
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    data = bytearray(len(text).to_bytes(8, "little") + text)
    for array in arrays:
        data += array.tobytes()
    return data
