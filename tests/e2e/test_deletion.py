"""A minute after a deletion nothing of the document is left below `data_dir`, with real processes."""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
import stat
from pathlib import Path

import pytest

from tests.e2e.fleet import FAKE, MakeFleet, RealFleet, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

GONE_WITHIN_S = 60.0


def holding(folder: Path, word: str) -> list[str]:
    """Return the files below the folder that contain the word, in any letter case. Files may vanish meanwhile."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if os.fstat(file.fileno()).st_size == 0 or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    continue
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    if data.find(word.encode()) >= 0 or data.find(word.lower().encode()) >= 0:
                        found.append(str(path.relative_to(folder)))
    return found


def gone(folder: Path, word: str) -> bool:
    """Return whether no file contains the word. Check twice, because a file may be copied and removed meanwhile."""
    return not holding(folder, word) and not holding(folder, word)


def indexed(fleet: RealFleet, batch_id: str) -> bool:
    return bool(fleet.call("GET", f"/v1/batches/{batch_id}").json()["done"])


def add(fleet: RealFleet, word: str, key: str, collection: str) -> str:
    document = {
        "id": f"{key}-{word}Name",
        "title": f"{word}Title",
        "text": f"# {word}Heading\n\n" + f"The quay {word}Text is long. " * 40,
        "metadata": {"port": f"{word}Meta"},
    }
    batch = fleet.call("POST", "/v1/documents", {"documents": [document], "collection": collection})
    assert batch.status == 202
    told = batch.json()
    until(functools.partial(indexed, fleet, told["batch_id"]), "the batch to be done")
    [listed] = fleet.call("GET", f"/v1/batches/{told['batch_id']}").json()["documents"]
    assert listed["status"] == "indexed"
    return str(listed["id"])


@pytest.fixture(scope="module")
def fleet(make_fleet: MakeFleet) -> RealFleet:
    made = make_fleet()
    made.up(*FAKE).ok()
    return made


def test_a_deleted_collection_a_deleted_document_and_a_replaced_version_leave_nothing_on_disk(
    fleet: RealFleet,
) -> None:
    kept = add(fleet, "Zqkept", "kept", "default")
    add(fleet, "Zqmaps", "one", "maps")
    add(fleet, "Zqmaps", "two", "maps")
    single = add(fleet, "Zqsingle", "single", "default")
    old = {"documents": [{"id": "replaced", "text": "Zqreplaced words."}]}
    new = {"documents": [{"id": "replaced", "text": "Other words."}]}
    for version in (old, new):
        told = fleet.call("POST", "/v1/documents", version).json()
        until(functools.partial(indexed, fleet, told["batch_id"]), "the batch to be done")
    for word in ("Zqmaps", "Zqsingle"):
        assert holding(fleet.data_dir, word)

    assert fleet.call("DELETE", "/v1/collections/maps").status == 200
    assert fleet.call("DELETE", f"/v1/documents/{single}").status == 200
    for word in ("Zqmaps", "Zqsingle", "Zqreplaced"):
        until(functools.partial(gone, fleet.data_dir, word), f"{word} to be gone", GONE_WITHIN_S)
    assert fleet.call("GET", f"/v1/documents/{kept}").status == 200
    answer = fleet.call("POST", "/v1/search", {"query": "quay ZqkeptText", "top_k": 1}).json()
    assert "ZqkeptText" in str(answer)
