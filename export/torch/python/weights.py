"""Reads and writes tensors by name as safetensors: the length of a header, the header in JSON, and the numbers, little-endian, without gaps."""
from __future__ import annotations

import ctypes
import json
import struct
from pathlib import Path

import torch
from torch import Tensor

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {kind: name for name, kind in TYPES.items()}


def load(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file."""
    data = Path(path).read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            raw = bytearray(data[8 + length + start:8 + length + end])
            kind = TYPES[entry["dtype"]]
            flat = torch.frombuffer(raw, dtype=kind) if raw else torch.empty(0, dtype=kind)
            found[name] = flat.reshape(entry["shape"])
    except (struct.error, ValueError, KeyError, TypeError, RuntimeError) as problem:
        raise ValueError(f"{path} is no safetensors file, or cut off: {problem}") from problem
    return found


def save(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Writes tensors; a file that is half written is never there under its name."""
    header: dict = {"__metadata__": metadata} if metadata else {}
    parts, end = [], 0
    # Wider types first: every tensor begins at a multiple of its size.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        raw = as_bytes(tensor)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draft = Path(f"{path}.part")
    with open(draft, "wb") as file:
        for part in (struct.pack("<Q", len(text)), text, *parts):
            file.write(part)
    draft.replace(path)


def as_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor, little-endian, row-major."""
    flat = tensor.detach().cpu().contiguous()
    return ctypes.string_at(flat.data_ptr(), flat.numel() * flat.element_size()) if flat.numel() else b""
