"""Custom service: the user's ASGI app (`module = "package.module:factory"`) in Argosy's service kit.

The app gets the probes, metrics, admission, load reports and drain of every other service. Its routes are reached
through the gateway at `/services/NAME/…`.
"""

from __future__ import annotations

import importlib
from typing import cast

import uvicorn
from starlette.routing import Mount
from starlette.types import ASGIApp
from uvicorn.lifespan.on import LifespanOn

from argosy.clients.upstreams import Upstreams
from argosy.config.service import CustomSettings
from argosy.contracts.errors import StartError
from argosy.serving.app import create_app
from argosy.serving.kit import Kit


class CustomService:
    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, CustomSettings) or kit.settings.module is None:
            raise TypeError("only services with a module run here")
        gateway = kit.fleet.services.gateway
        kit.public_prefixes = ("/",)
        kit.configure_defences(gateway.allowed_hosts, gateway.allowed_origins, gateway.max_body_bytes)
        self._upstreams = Upstreams.of(kit)
        theirs = load(kit.record.service, kit.settings.module)
        config = uvicorn.Config(theirs, lifespan="auto", log_config=None)
        config.load()
        self._lifespan = LifespanOn(config)
        self.app = create_app(kit, [Mount("/", theirs)])

    async def start(self) -> None:
        """Run the app's lifespan start-up, if it has one, and connect to the other services.

        Raises: StartError when the start-up fails.
        """
        await self._lifespan.startup()
        if self._lifespan.should_exit:
            raise StartError("The app's own start-up failed; see its log.")
        await self._upstreams.start()

    async def stop(self) -> None:
        await self._upstreams.stop()
        await self._lifespan.shutdown()


def load(service: str, module: str) -> ASGIApp:
    """Return the app that the factory makes.

    Raises: StartError when `module` cannot be imported or does not name a function.
    """
    name, _, factory = module.partition(":")
    key = f"services.{service}.module"
    try:
        found = getattr(importlib.import_module(name), factory)
    except ImportError as error:
        raise StartError(
            f"{key}: {name} cannot be imported: {error}. Install it, or run argosy up in its folder."
        ) from error
    except AttributeError as error:
        raise StartError(f"{key}: {name} has no {factory}. Name a function of that module.") from error
    if not callable(found):
        raise StartError(f"{key}: {factory} is not a function. Name a function that returns an ASGI app.")
    return cast("ASGIApp", found())
