"""`argosy up` in the foreground when the controller can no longer supervise."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.contracts.errors import SupervisionLost
from argosy.control import main
from tests.integration.cli.conftest import Invoke

pytestmark = pytest.mark.integration


def test_a_controller_that_ends_by_itself_is_an_error_that_says_what_goes_on(
    argosy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*rest: object) -> None:
        raise SupervisionLost("The controller ends: supervision has ended. Requests are still served; run 'argosy up'.")

    monkeypatch.setattr(main, "run", lost)

    result = argosy("up", "--data-dir", str(tmp_path / "data"), "--set", "services.embedding.backend=fake")

    assert result.exit_code == 1
    assert "The controller ends: supervision has ended. Requests are still served" in result.stderr
    assert "Stopped." not in result.output
