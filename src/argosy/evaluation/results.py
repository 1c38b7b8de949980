"""Result of an evaluation, and the folder that keeps results, so that later decisions can be compared with them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.evaluation.reading import content_of
from argosy.evaluation.statistics import Difference, Interval, bootstrap_interval, compare, mean

FORMAT = 1
"""Version of the stored format. A reader refuses a higher one and reads all lower ones."""
MAX_KEPT = 200
"""Number of results that a folder keeps. The oldest ones are deleted."""
MAX_RESULT_BYTES = 256 * 2**20
MAX_ANSWER_CHARS = 2_000
MAX_RANKED = 10
FOLDER = "evaluations"
SUFFIX = ".json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class CaseResult(msgspec.Struct, omit_defaults=True):
    """Values and answer of one case in one mode."""

    id: str
    question: str
    values: dict[str, float]
    kind: str = ""
    wrong: list[str] = []
    answer: str = ""
    cited: list[str] = []
    """Names of the cited documents."""
    found: list[str] = []
    """First documents of the ranking."""
    degraded: list[str] = []


class ModeResult(msgspec.Struct):
    """Means over the cases that a metric applies to, with 95 % intervals, and all cases."""

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    counts: dict[str, int]
    """Number of cases that each metric applies to."""
    kinds: dict[str, dict[str, float]]
    cases: list[CaseResult]
    degraded: int = 0
    """Number of cases that a fallback served, whose values may be too low."""
    failed: int = 0
    """Number of cases that got an error instead of an answer."""


class Evaluated(msgspec.Struct):
    """Cases and collection of an evaluation."""

    name: str
    layout: str
    digest: str
    cases: int
    path: str = ""
    collection: str = ""
    documents: int = 0
    failed_documents: int = 0


class Evaluation(msgspec.Struct):
    name: str
    created_at: float
    version: str
    dataset: Evaluated
    modes: dict[str, ModeResult]
    seconds: float
    settings: dict[str, str] = {}
    """Settings that matter to quality, by their key in the fleet file, as far as they are known."""
    format: int = FORMAT


class _Versioned(msgspec.Struct):
    format: int


def mode_result(cases: Sequence[CaseResult]) -> ModeResult:
    """Summarise the cases of one mode."""
    by_metric = _by_metric(cases)
    kinds = sorted({case.kind for case in cases if case.kind})
    return ModeResult(
        metrics={name: mean(values) for name, values in by_metric.items()},
        intervals={name: bootstrap_interval(values) for name, values in by_metric.items()},
        counts={name: len(values) for name, values in by_metric.items()},
        kinds={
            kind: {name: mean(values) for name, values in _by_metric(c for c in cases if c.kind == kind).items()}
            | {"cases": float(sum(case.kind == kind for case in cases))}
            for kind in kinds
        },
        cases=list(cases),
        degraded=sum(bool(case.degraded) for case in cases),
        failed=sum(any(why.startswith("no answer:") for why in case.wrong) for case in cases),
    )


def differences(a: ModeResult, b: ModeResult) -> dict[str, Difference]:
    """Compare two results metric by metric, over the cases that both have."""
    first, second = ({case.id: case.values for case in result.cases} for result in (a, b))
    shared = [case_id for case_id in first if case_id in second]
    compared: dict[str, Difference] = {}
    for name in a.metrics:
        both = [case_id for case_id in shared if name in first[case_id] and name in second[case_id]]
        if both:
            compared[name] = compare([first[one][name] for one in both], [second[one][name] for one in both])
    return compared


class Results:
    """The folder `evaluations` in data_dir. Each result is one file, readable by its owner only."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER

    def save(self, evaluation: Evaluation) -> Path:
        """Write a result and delete the oldest ones beyond MAX_KEPT.

        Raises: InvalidRequest when the name is not valid or the folder cannot be written.
        """
        path = self.folder / f"{checked_name(evaluation.name)}{SUFFIX}"
        partial = path.with_suffix(".part")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(evaluation))
            partial.replace(path)
        except OSError as error:
            raise InvalidRequest(
                f"The result cannot be written to {self.folder}: {error.strerror}. Choose another folder with "
                "--data-dir."
            ) from error
        for old in self._files()[MAX_KEPT:]:
            with contextlib.suppress(OSError):
                old.unlink()
        return path

    def names(self) -> list[str]:
        """Return the names of the stored results, newest first."""
        return [path.stem for path in self._files()]

    def load(self, name: str) -> Evaluation:
        """Return a stored result by name, `latest`, or the path of a file.

        Raises: NotFound when there is none; InvalidRequest when the file is not a result or is of a later version.
        """
        if name == "latest" and (kept := self.names()):
            name = kept[0]
        if "/" in name or name.endswith(SUFFIX):
            return read(Path(name))
        path = self.folder / f"{name}{SUFFIX}"
        if _NAME.fullmatch(name) is None or not path.is_file():
            known = self.names()[:10]
            hint = f"Stored are: {', '.join(known)}." if known else "Nothing is stored yet; run: argosy eval DIR"
            raise NotFound(f"There is no evaluation {name[:100]!r} in {self.folder}. {hint}")
        return read(path)

    def _files(self) -> list[Path]:
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                found.append((path.stat().st_mtime_ns, path.name, path))
        return [path for _, _, path in sorted(found, reverse=True)]


def read(path: Path) -> Evaluation:
    """Read the file of a result. Raises: NotFound; InvalidRequest when it is not one or is of a later version."""
    content = content_of(
        path,
        MAX_RESULT_BYTES,
        missing="See the stored results with: argosy eval list",
        large="It is not read.",
    )
    try:
        version = msgspec.json.decode(content, type=_Versioned).format
        if version > FORMAT:
            raise InvalidRequest(
                f"{path} was written by a later version of argosy (format {version}; this version reads up to "
                f"{FORMAT}). Update argosy."
            )
        return msgspec.json.decode(content, type=Evaluation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} is not the result of an evaluation ({error}). Give another file.") from error


def checked_name(name: str) -> str:
    """Return the name. Raises: InvalidRequest when it cannot be the name of a result."""
    if _NAME.fullmatch(name) is None or name.endswith((SUFFIX, ".part")) or name == "latest":
        raise InvalidRequest(
            f"{name[:100]!r} cannot be the name of a result. Use at most 100 letters, digits, points, hyphens and "
            "underscores, not latest and not ending with .json."
        )
    return name


def _by_metric(cases: Iterable[CaseResult]) -> Mapping[str, list[float]]:
    values: dict[str, list[float]] = {}
    for case in cases:
        for name, value in case.values.items():
            values.setdefault(name, []).append(value)
    return values
