from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

from argosy.contracts.errors import ModelMissing
from argosy.models.weights import load_weights, weights_files
from tests.unit.models.tiny_model import tiny_weights

pytestmark = pytest.mark.unit


def write_bfloat16(file: Path, tensors: dict[str, npt.NDArray[np.float32]]) -> None:
    """Write the file by the format's own description: numpy has no such type, so the library cannot write it."""
    header, body = {}, b""
    for name, tensor in tensors.items():
        upper = (tensor.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {
            "dtype": "BF16",
            "shape": tensor.shape,
            "data_offsets": [len(body), len(body) + len(upper)],
        }
        body += upper
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_float16_with_a_prefix_and_extra_tensors_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    extra: dict[str, npt.NDArray[np.generic]] = {
        "bert.embeddings.position_ids": np.arange(4)[None],
        "bert.pooler.dense.bias": np.zeros(2, np.float16),
    }
    save_file({f"bert.{name}": tensor.astype(np.float16) for name, tensor in tiny_weights().items()} | extra, file)
    found = load_weights(file)
    assert found.keys() == {*tiny_weights(), "pooler.dense.bias"}
    assert {str(tensor.dtype) for tensor in found.values()} == {"float32"}
    for name, tensor in tiny_weights().items():
        np.testing.assert_array_equal(found[name], tensor.astype(np.float16))


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_bfloat16(file, tiny_weights())
    for name, tensor in load_weights(file).items():
        assert tensor.shape == tiny_weights()[name].shape
        np.testing.assert_allclose(tensor, tiny_weights()[name], rtol=2**-7)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_file_cut_short_is_named_with_its_hash(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "model.safetensors"
    save_file(tiny_weights(), file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelMissing, match=rf"model\.safetensors .*{hashlib.sha256(file.read_bytes()).hexdigest()}"):
        load_weights(file)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    broken = tiny_weights()
    broken["encoder.layer.0.output.dense.bias"][3] = np.nan
    save_file(broken, file)
    with pytest.raises(ModelMissing, match=r"encoder\.layer\.0\.output\.dense\.bias"):
        load_weights(file)


def test_safetensors_go_before_onnx_and_files_beside_it_belong_to_it(tmp_path: Path) -> None:
    assert weights_files(tmp_path) == ()
    (tmp_path / "model.onnx").touch()
    assert weights_files(tmp_path) == ("model.onnx",)
    (tmp_path / "onnx").mkdir()
    for name in ("model.onnx", "model.onnx_data", "model_quantized.onnx"):
        (tmp_path / "onnx" / name).touch()
    assert weights_files(tmp_path) == ("onnx/model.onnx", "onnx/model.onnx_data")
    (tmp_path / "model.safetensors").touch()
    assert weights_files(tmp_path) == ("model.safetensors",)
