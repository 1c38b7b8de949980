"""A documents service in this process without its upstream services: it accepts uploads and keeps them queued."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from unittest import mock

from argosy.clients.directory import Directory
from argosy.config.models import Fleet
from argosy.services.documents.app import DocumentsService
from tests.kits import make_kit


@contextlib.asynccontextmanager
async def documents_service(folder: Path, **settings: object) -> AsyncIterator[DocumentsService]:
    fleet = Fleet.model_validate(
        {
            "services": {
                "documents": {"workers": 1, "drain_timeout_s": 0.05, **settings},
                "embedding": {"backend": "fake"},
            }
        }
    )
    service = DocumentsService(make_kit("documents", fleet, data_dir=str(folder)))
    with mock.patch.object(Directory, "received", mock.AsyncMock()):  # there is no controller to send an endpoint set
        await service.start()
    try:
        yield service
    finally:
        await service.stop()
