"""Reader of cases in groups: a JSON list of `{kind, files, cases}`, whose files are in the folder `inputs` beside it.

Each group is a collection of its own. A case asks (`ask`, or `turns` for a conversation) or searches (`search`), and
names what comes of it: `all`, `any`, `none`, `nothing`, `first`. Texts are compared as they stand, except for case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from argosy.contracts.documents import MAX_SOURCE_CHARS
from argosy.contracts.errors import NotFound
from argosy.evaluation.cases import MAX_CASES, MAX_LABEL_CHARS, Case, Dataset, digest_of
from argosy.evaluation.questions import case_of
from argosy.evaluation.reading import Place, object_of, string, strings

INPUTS = "inputs"
MAX_FILES = 1_000
MAX_GROUPS = 1_000
KEYS = frozenset({"kind", "files", "cases"})


def is_groups(listed: Any) -> bool:
    return isinstance(listed, list) and any(isinstance(group, dict) and "cases" in group for group in listed)


def read(path: Path, listed: list[Any]) -> Dataset:
    """Return the cases of a decoded file of groups. Raises: InvalidRequest or NotFound that names the group."""
    if len(listed) > MAX_GROUPS:
        Place(path).refuse(f"there are {len(listed)} groups; the limit is {MAX_GROUPS}. Split the file.")
    cases: list[Case] = []
    groups: list[tuple[Path, ...]] = []
    for number, value in enumerate(listed):
        place = Place(path, entry=f"group {number + 1}")
        group = object_of(value, place)
        if unknown := sorted(group.keys() - KEYS):
            place.refuse(f"the field {unknown[0][:60]!r} is not known. Known are: {', '.join(sorted(KEYS))}.")
        kind = string(group, "kind", place, MAX_LABEL_CHARS)
        groups.append(_files(path, group, place))
        asked = group.get("cases")
        if not isinstance(asked, list):
            place.refuse("the field 'cases' must be a list of cases.")
        for index, one in enumerate(asked):
            at = Place(path, entry=f"group {number + 1}, case {index + 1}")
            fields = {"kind": kind} | object_of(one, at)
            cases.append(case_of(fields, at, f"{number + 1}.{index + 1}", literal=True, group=number))
        if len(cases) > MAX_CASES:
            place.refuse(f"there are more than {MAX_CASES} cases. Split the file.")
    if not cases:
        Place(path).refuse("the file has no case.")
    return Dataset(path.stem, "groups", digest_of(cases), tuple(cases), groups=tuple(groups))


def _files(path: Path, group: dict[str, Any], place: Place) -> tuple[Path, ...]:
    names = strings(group, "files", place, MAX_FILES, MAX_SOURCE_CHARS)
    if not names:
        place.refuse("the field 'files' is empty. Name at least one file of the folder inputs.")
    found = tuple(path.resolve().parent / INPUTS / name for name in names)
    for file in found:
        if not file.is_file():
            raise NotFound(f"{place}: there is no file {file}. Put it there or correct 'files'.")
    return found
