"""Weight files of a model, and the tensors of a safetensors file as float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors

from argosy.contracts.errors import ModelMissing
from argosy.models.catalog import EXPORTED, SUPPORTED_TYPES, WEIGHTS
from argosy.models.integrity import unreadable

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_BFLOAT16 = "BF16"


class _Architecture(msgspec.Struct):
    model_type: str = ""


def weights_files(folder: Path) -> tuple[str, ...]:
    """Return the files that determine the vectors, relative to the folder; empty when there are none.

    The first file is the one to open. Safetensors take precedence over ONNX, because the graph built from them is
    packed and measured faster; an architecture for which no graph can be built runs from its ONNX file. An ONNX file
    may keep its tensors in other files beside it, which are named after it.
    """
    built = (folder / WEIGHTS).is_file()
    if built and can_be_built(folder):
        return (WEIGHTS,)
    for name in EXPORTED:
        file = folder / name
        if file.is_file():
            beside = sorted(other for other in file.parent.glob(f"{file.name}*") if other.is_file() and other != file)
            return (name, *(str(other.relative_to(folder)) for other in beside))
    return (WEIGHTS,) if built else ()


def can_be_built(folder: Path) -> bool:
    """Return whether a graph can be built from the folder's safetensors.

    A config.json that is missing or broken counts as one that can: whoever reads it next reports it.
    """
    try:
        found = msgspec.json.decode((folder / "config.json").read_bytes(), type=_Architecture)
    except (OSError, ValueError, msgspec.DecodeError):
        return True
    return found.model_type in ("", *SUPPORTED_TYPES)


def load_weights(file: Path) -> dict[str, Floats]:
    """Return all floating-point tensors as float32, without the prefix `bert.` or `roberta.` that some files use.

    float16 and bfloat16 are widened.

    Raises: ModelMissing, naming the file and its hash, when it cannot be read or holds values that are not finite.
    """
    try:
        tensors: list[tuple[str, Mapping[str, object]]] = safetensors.deserialize(file.read_bytes())  # type: ignore[no-untyped-call]
    except (safetensors.SafetensorError, OSError) as error:
        raise unreadable(file, str(error)) from error
    found = {
        name.removeprefix("bert.").removeprefix("roberta."): _float32(tensor)
        for name, tensor in tensors
        if _is_float(tensor)
    }
    for name, tensor in found.items():
        if not np.isfinite(tensor).all():
            raise unreadable(file, f"the tensor {name} holds values that are not finite")
    return found


def _is_float(tensor: Mapping[str, object]) -> bool:
    return tensor["dtype"] in _DTYPES or tensor["dtype"] == _BFLOAT16


def _float32(tensor: Mapping[str, object]) -> Floats:
    data, shape = tensor["data"], tensor["shape"]
    if not isinstance(data, (bytes, bytearray)) or not isinstance(shape, list):
        raise ModelMissing("The installed safetensors library returns an unknown form; install a supported version.")
    if tensor["dtype"] == _BFLOAT16:  # the upper half of a float32
        upper = np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)
        return upper.view(np.float32).reshape(shape)
    return np.frombuffer(data, _DTYPES[str(tensor["dtype"])]).astype(np.float32).reshape(shape)
