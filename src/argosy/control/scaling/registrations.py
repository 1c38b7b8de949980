"""Registrations of all scaled services, kept over the end of the controller in its history."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import NotFound
from argosy.contracts.request import Clock
from argosy.control.history.history import History
from argosy.control.scaling.registration import Registration
from argosy.telemetry.logs import logger

log = logger("scaler")


class Registrations:
    """Registrations by the name of the service."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        history: History,
        interval_s: float,
        clock: Clock = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.by_name = {name: Registration.of(name, settings, interval_s) for name, settings in services.items()}
        self._history = history
        self._clock = clock
        self._wall = wall

    def of(self, name: str) -> Registration:
        """Return the registration of a service.

        Raises: NotFound, naming the existing services.
        """
        found = self.by_name.get(name)
        if found is None:
            raise NotFound(f'There is no service "{name[:64]}"; choose one of {", ".join(self.by_name)}.')
        return found

    def restore(self, names: Collection[str]) -> dict[str, int]:
        """Restore what an earlier controller saved about these services. Returns: their desired replicas."""
        desired = {}
        for name in names:
            registration = self.by_name.get(name)
            if registration is None or registration.fixed:
                continue
            try:
                kept = self._history.recall(_key(name))
                if kept is None:
                    continue
                desired[name] = registration.restore(kept[1], self._wall() - kept[0], self._clock())
            except Exception as error:  # the state can be learnt again; the controller must start all the same
                log.warning("scaling state not restored", scaled=name, reason=str(error) or type(error).__name__)
        return desired

    def save(self, registration: Registration, desired: int) -> None:
        """Save a registration. Never raises: a full disk must not stop scaling."""
        try:
            written = registration.to_memory(self._clock(), desired)
            self._history.remember(_key(registration.service), self._wall(), written)
        except Exception as error:
            log.error("saving the scaling state failed", scaled=registration.service, reason=str(error))


def _key(service: str) -> str:
    return f"scaling/{service}"
