"""Parts of the public API's answers that commands read. Unknown fields are ignored."""

from __future__ import annotations

import msgspec

from argosy.contracts.documents import CollectionView
from argosy.contracts.errors import ErrorBody
from argosy.contracts.fleet import ControllerView, Health, ServiceView
from argosy.contracts.generation import Citation
from argosy.contracts.store import Metadata


class Spoken(msgspec.Struct, frozen=True):
    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    message: Spoken = Spoken()
    delta: Spoken = Spoken()


class Chat(msgspec.Struct):
    """Whole answer, or one chunk of a streamed answer. The last chunk carries citations and degraded."""

    choices: list[Choice] = []
    model: str = ""
    answered_by: str = ""
    citations: list[Citation] | None = None
    degraded: list[str] | None = None
    timings_ms: dict[str, float] | None = None
    error: ErrorBody | None = None


class Hit(msgspec.Struct):
    chunk_id: str
    document_id: str
    name: str
    source: str
    text: str
    score: float
    title: str | None = None
    page: int | None = None
    last_page: int | None = None
    start: int | None = None
    end: int | None = None
    heading_path: list[str] = []
    metadata: Metadata = {}


class SearchReply(msgspec.Struct):
    results: list[Hit]
    degraded: list[str] = []
    timings_ms: dict[str, float] = {}
    warning: str | None = None


class FleetHealth(msgspec.Struct):
    """Health of the fleet as the gateway reports it. `note` says why there is no controller in it."""

    status: Health
    services: list[ServiceView]
    controller: ControllerView | None = None
    note: str = ""


class CollectionList(msgspec.Struct):
    collections: list[CollectionView]
