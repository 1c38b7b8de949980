"""Resolution of a model's name to a verified folder: a given folder, the cache, the hub, or a wheel, in this order."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from argosy.contracts.errors import InvalidRequest, ModelMissing
from argosy.models.catalog import CATALOG, REQUIRED, WEIGHTS, PinnedModel
from argosy.models.integrity import (
    LEDGER,
    Damaged,
    Ledger,
    read_ledger,
    recheck,
    record,
    unreadable,
    write_ledger,
)
from argosy.models.sources import SOURCES, Source, SourceFailed
from argosy.models.weights import weights_files

MODEL_DIR_VARIABLE = "ARGOSY_MODEL_DIR"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PATH_STARTS = ("/", "./", "../", "~")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Verified model files. `cache` is the folder for files derived from them."""

    name: str
    path: Path
    source: str
    weights_sha256: str
    cache: Path

    @property
    def weights(self) -> Path:
        """Path of the safetensors file, or of the ONNX file in a folder without safetensors."""
        return self.path / weights_files(self.path)[0]

    @property
    def exported(self) -> bool:
        """Whether the model's ONNX graph was exported by others."""
        return self.weights.name != WEIGHTS


@dataclass(frozen=True, slots=True)
class ModelListing:
    """Model of the catalogue or of the cache. `path` is None when nothing is cached; `fault` says what is wrong."""

    name: str
    pinned: bool
    path: Path | None
    source: str | None
    size_bytes: int
    fault: str | None


def default_cache() -> Path:
    """Return `$ARGOSY_MODEL_DIR`, or the user's cache folder."""
    chosen = os.environ.get(MODEL_DIR_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "argosy" / "models"


def resolve(
    model: str,
    *,
    fetch: bool,
    progress: Callable[[str], None] | None = None,
    cache: Path | None = None,
    sources: Mapping[str, Source] = SOURCES,
    catalog: Mapping[str, PinnedModel] = CATALOG,
) -> ModelFolder:
    """Return the model's folder, verified.

    The network is used only with `fetch`, and only when the cache lacks the model.

    `model` is a name (`org/model`) or a folder (`/…`, `./…`, `../…`, `~…`).

    Raises: ModelMissing, with the places tried and what to do; InvalidRequest when the name cannot be a model's.
    """
    root = cache or default_cache()
    if model.startswith(_PATH_STARTS):
        return _local(Path(model).expanduser(), root)
    if not _NAME.fullmatch(model):
        raise InvalidRequest("The model is neither a name like org/model nor a folder path; correct it.", param="model")
    tell = progress or (lambda _: None)
    pinned = catalog.get(model)
    folder = _cached_path(root, model)
    tried: list[str] = []
    try:
        if found := _cached(model, pinned, folder, root):
            return found
        tried.append("the cache: not there")
    except Damaged as damage:
        tried.append(f"the cache: {damage}")
    if not fetch:
        raise _missing(model, tried)
    with _only_fetcher(folder):
        with contextlib.suppress(Damaged):  # another process may have fetched it meanwhile
            if found := _cached(model, pinned, folder, root):
                return found
        for place, source in sources.items():
            tell(f"{model} is not available from {tried[-1]}")
            try:
                return _fetch(model, pinned, folder, root, source, tell)
            except (SourceFailed, Damaged) as error:
                tried.append(f"{place}: {error}")
            except OSError as error:
                tried.append(f"{place}: {error.strerror or type(error).__name__}")
    raise _missing(model, tried)


def list_models(cache: Path | None = None) -> list[ModelListing]:
    """Return the catalogue's models and other cached ones, by name. Uses no network and hashes only changed files."""
    root = cache or default_cache()
    ledgers = {ledger.model: path.parent for path in root.glob(f"*/{LEDGER}") if (ledger := read_ledger(path))}
    return [_listing(name, root, ledgers.get(name)) for name in sorted({*CATALOG, *ledgers})]


def _listing(name: str, root: Path, folder: Path | None) -> ModelListing:
    pinned = CATALOG.get(name)
    if folder is None:
        return ModelListing(name, pinned is not None, None, None, 0, None)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    try:
        found = _cached(name, pinned, folder, root)
    except Damaged as damage:
        return ModelListing(name, pinned is not None, folder, None, size, str(damage))
    return ModelListing(name, pinned is not None, folder, found.source if found else None, size, None)


def _local(path: Path, root: Path) -> ModelFolder:
    """Return a folder of the user. Nothing is written into the folder; its hash is kept in the cache."""
    path = path.resolve()
    if absent := _absent(path):
        raise _missing(str(path), [f"the folder: no {', '.join(absent)}"])
    weights = weights_files(path)
    remembered = root / "folders" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.json"
    ledger = read_ledger(remembered)
    try:
        ledger = recheck(path, ledger, {}) if ledger else None
    except Damaged:
        ledger = None  # the folder's owner may change it
    if ledger is None or set(ledger.files) != set(weights):
        try:
            ledger = Ledger(path.name, "folder", record(path, weights))
        except OSError as error:
            raise unreadable(path / weights[0], error.strerror or type(error).__name__) from error
        write_ledger(remembered, ledger)
    return ModelFolder(path.name, path, "folder", _weights_sha256(path, ledger), root)


def _cached(model: str, pinned: PinnedModel | None, folder: Path, root: Path) -> ModelFolder | None:
    """Return the cached folder, or None when there is none.

    Raises: Damaged when a file is missing or differs from its record.
    """
    if not folder.is_dir():
        return None
    known = read_ledger(folder / LEDGER)
    pins = {WEIGHTS: pinned.weights_sha256} if pinned else {}
    for name in (*_absent(folder), *(pin for pin in pins if not (folder / pin).is_file())):
        raise Damaged(name, pins.get(name, "any"), "no file")
    if known is None or not {*REQUIRED, *weights_files(folder)} <= known.files.keys():
        known = Ledger(model, "placed by hand", record(folder, _files(folder)))
    fresh = recheck(folder, known, pins)
    if fresh != read_ledger(folder / LEDGER):
        write_ledger(folder / LEDGER, fresh)
    return ModelFolder(model, folder, fresh.source, _weights_sha256(folder, fresh), root)


def _fetch(
    model: str,
    pinned: PinnedModel | None,
    folder: Path,
    root: Path,
    source: Source,
    tell: Callable[[str], None],
) -> ModelFolder:
    with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
        staged = Path(temporary, "model")
        staged.mkdir()
        origin = source(model, pinned, staged, tell)
        if absent := _absent(staged):
            raise SourceFailed(f"it has no {', '.join(absent)}")
        ledger = Ledger(model, origin, record(staged, _files(staged)))
        if pinned:
            recheck(staged, ledger, {WEIGHTS: pinned.weights_sha256})
        write_ledger(staged / LEDGER, ledger)
        if folder.exists():
            folder.rename(Path(temporary, "replaced"))
        staged.rename(folder)
    tell(f"{model} is in the cache ({origin})")
    return ModelFolder(model, folder, origin, _weights_sha256(folder, ledger), root)


@contextlib.contextmanager
def _only_fetcher(folder: Path) -> Iterator[None]:
    """Let one process fetch while other replicas wait and then find the model in the cache.

    Raises: ModelMissing when the cache cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f".{folder.name}.lock").open("w")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ModelMissing(
            f"The model cache cannot be written: {why}. Set {MODEL_DIR_VARIABLE} to a writable folder."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cached_path(root: Path, model: str) -> Path:
    return root / model.replace("/", "--")


def _files(folder: Path) -> list[str]:
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return sorted(str(name) for name in found if name.name != LEDGER)


def _absent(folder: Path) -> list[str]:
    """Return the required files that the folder lacks, by name."""
    absent = [name for name in REQUIRED if not (folder / name).is_file()]
    return absent if weights_files(folder) else [*absent, WEIGHTS]


def _weights_sha256(folder: Path, ledger: Ledger) -> str:
    """Return one hash of everything that determines the vectors: the file's own hash when there is only one file."""
    found = [ledger.files[name].sha256 for name in weights_files(folder)]
    return found[0] if len(found) == 1 else hashlib.sha256(" ".join(found).encode()).hexdigest()


def _missing(model: str, tried: list[str]) -> ModelMissing:
    return ModelMissing(
        f"No usable files of the model {model} were found. Tried {'; '.join(tried)}. "
        "Fetch it with `argosy models fetch`, or give the path of a folder that holds it."
    )
