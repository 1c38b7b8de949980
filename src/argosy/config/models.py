"""Models of all settings of a fleet. Flags, variables and the reference page are derived from these models."""

from __future__ import annotations

import graphlib
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from argosy.config.base import Settings
from argosy.config.generation import GenerationSettings
from argosy.config.service import CustomSettings, ServiceSettings
from argosy.config.services import (
    LOOPBACK,
    DocumentsSettings,
    EmbeddingSettings,
    GatewaySettings,
    RetrievalSettings,
    StoreSettings,
)


class Services(Settings):
    """Settings of all services, a table for each; a table with another name is a custom service."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, CustomSettings]

    store: StoreSettings = Field(default_factory=StoreSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    documents: DocumentsSettings = Field(default_factory=DocumentsSettings)
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)

    def by_name(self) -> dict[str, ServiceSettings]:
        """Return the settings of built-in and custom services by name."""
        return {**{name: getattr(self, name) for name in type(self).model_fields}, **self.custom()}

    def custom(self) -> dict[str, CustomSettings]:
        """Return the settings of custom services by name."""
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _names_fit_everywhere(self) -> Self:
        for name in self.custom():
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
                raise ValueError(
                    f'the service name "{name}" must have 1 to 40 characters a-z, 0-9 and _ and begin with a letter; '
                    "rename it"
                )
        return self


class FleetSettings(Settings):
    """Settings of the fleet as a whole."""

    name: str = Field(
        "argosy", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Name of the fleet in status and metrics."
    )
    data_dir: Path = Field(Path("argosy-data"), description="Folder of all persistent data.")
    platform: Literal["local"] = Field("local", description="Platform that starts and stops replicas.")
    host: str = Field("127.0.0.1", description="Address on which the gateway and the admin API listen.")
    port: int = Field(8080, ge=0, le=65535, description="Port of the gateway; 0 picks a free port.")
    admin_port: int = Field(8081, ge=0, le=65535, description="Port of the admin API; 0 picks a free port.")
    probe_interval_s: float = Field(2.0, gt=0, le=60, description="Time between two probes of a replica.")
    probe_timeout_s: float = Field(1.0, gt=0, le=60, description="Time within which a probe must be answered.")
    log_file_bytes: int = Field(
        16 * 2**20, ge=2**16, description="Size at which a log file is rotated; the old file is kept as X.log.1."
    )
    log_total_bytes: int = Field(
        512 * 2**20, ge=2**20, description="Most bytes of all log files; the oldest rotated files are deleted."
    )
    access_log_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the requests that are written to the access log, besides all failed and slow ones.",
    )
    access_log_slow_s: float = Field(
        2.0, gt=0, le=3600, description="Time from which a request counts as slow and is always written."
    )
    monitoring_interval_s: float = Field(
        2.0, gt=0, le=300, description="Time between two measurements of a service's load for scaling."
    )

    @field_validator("data_dir")
    @classmethod
    def _home_expanded(cls, given: Path) -> Path:
        return given.expanduser()

    @model_validator(mode="after")
    def _loopback_only(self) -> Self:
        if self.host not in LOOPBACK:
            raise ValueError(
                f'host = "{self.host}" is not a loopback address, and the API has no keys to protect it; '
                "use 127.0.0.1 and put an authenticating proxy in front"
            )
        if self.port == self.admin_port and self.port != 0:
            raise ValueError(f"port and admin_port are both {self.port}; give them different ports")
        return self


class Fleet(Settings):
    """Settings of a whole fleet file."""

    fleet: FleetSettings = Field(default_factory=FleetSettings)
    services: Services = Field(default_factory=Services)

    @model_validator(mode="after")
    def _dependencies_exist_and_end(self) -> Self:
        services = self.services.by_name()
        graph: dict[str, set[str]] = {}
        for name, settings in services.items():
            for key in ("requires", "wants"):
                for dependency in getattr(settings, key):
                    if dependency not in services:
                        raise ValueError(
                            f'services.{name}.{key} names "{dependency}", which is not a service; '
                            f"use one of {', '.join(services)}"
                        )
            graph[name] = {*settings.requires, *settings.wants}
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise ValueError(
                f"services depend on each other in a circle: {circle}; remove one of these from requires or wants"
            ) from error
        return self
