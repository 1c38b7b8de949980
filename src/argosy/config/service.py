"""Settings that every service has, and those of a service of the user's own."""

from __future__ import annotations

import re
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from argosy.config.base import Settings
from argosy.config.protection import ProtectionSettings
from argosy.config.scaling import ScalingSettings, SloSettings


class Replicas(Settings):
    """Bounds on the number of replicas of a service."""

    min: int = Field(1, ge=1, le=256, description="Least number of replicas.")
    max: int = Field(1, ge=1, le=256, description="Largest number of replicas; unset, it is the same as `min`.")

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: object) -> object:
        """Read a bare number as both bounds, and let an unset `max` follow `min`."""
        if isinstance(given, int) and not isinstance(given, bool):
            return {"min": given, "max": given}
        if isinstance(given, dict):
            return {"max": given["min"], **given} if "min" in given else given
        if isinstance(given, cls):
            return given
        raise ValueError("give one number, like replicas = 2, or both bounds, like replicas = { min = 1, max = 4 }")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min = {self.min} is above max = {self.max}; raise max or lower min")
        return self


class ServiceSettings(Settings):
    """Settings that every service has."""

    replicas: Replicas = Field(default_factory=Replicas, description="Bounds on the number of replicas.")
    scaling: ScalingSettings = Field(default_factory=ScalingSettings, description="Scaling between these bounds.")
    slo: SloSettings = Field(default_factory=SloSettings, description="Service level objective.")
    balancing: Literal[
        "adaptive",
        "consistent_hash",
        "least_connections",
        "peak_ewma",
        "power_of_two",
        "prequal",
        "resource_usage",
        "response_time",
        "round_robin",
        "weighted",
    ] = Field("adaptive", description="Strategy with which callers pick a replica.")
    protection: ProtectionSettings = Field(
        default_factory=ProtectionSettings, description="Protection against the spread of overload and slowness."
    )
    requires: tuple[str, ...] = Field((), description="Services that must be ready before this one starts.")
    wants: tuple[str, ...] = Field(
        (), description="Services that this one waits for at start; after their start timeout it starts without them."
    )
    start_timeout_s: float = Field(60.0, gt=0, le=3600, description="Time within which a replica must become ready.")
    drain_timeout_s: float = Field(
        10.0, ge=0, le=3600, description="Time within which a draining replica must finish its requests."
    )
    max_in_flight: int = Field(
        128, ge=1, le=100_000, description="Most requests in flight in one replica; further ones are answered 429."
    )
    max_waiting: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Most long polls and followed streams open in one replica; further ones are answered 429. They do "
        "not count as in flight.",
    )
    max_receiving_bytes: int = Field(
        4 * 2**30,
        ge=2**20,
        description="Most bytes of complete and incomplete request bodies that one replica holds; further ones are "
        "answered 429.",
    )
    max_connections: int = Field(
        4096,
        ge=8,
        le=1_000_000,
        description="Most open connections of one replica; lower if the limit on open files requires it. At the limit, "
        "new connections are answered only if they are health checks.",
    )
    memory_limit_bytes: int = Field(
        0, ge=0, description="Resident memory above which a replica is replaced; 0 means no limit."
    )
    hang_limit_s: float = Field(
        60.0, gt=0, le=3600, description="Time without an answer to probes after which a busy replica is replaced."
    )

    single_writer: ClassVar[bool] = False
    """Whether two replicas must never run at the same time, not even during a restart."""

    def cores_of_one(self, share: float) -> float:
        """Return the number of cores that one replica can use.

        `share` is the number of cores per replica when all replicas are busy.
        """
        return self.scaling.cores or 1.0


class CustomSettings(ServiceSettings):
    """Settings of a custom service, which is started, probed, balanced and drained like a built-in one."""

    module: str | None = Field(
        None,
        pattern=r"^[\w.]+:[\w.]+$",
        description="`package.module:factory`; the factory takes no arguments and returns an ASGI app.",
    )
    command: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Program and arguments; it must listen on 127.0.0.1 at the port in the variable PORT.",
    )
    external: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Addresses of a service that runs elsewhere; it is probed and balanced but never started.",
    )
    health_path: str = Field(
        "/readyz", pattern=r"^/", description="Path that answers 200 when a replica may be called (command, external)."
    )

    @field_validator("external", mode="before")
    @classmethod
    def _one_or_many(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        named = [key for key in ("module", "command", "external") if getattr(self, key) is not None]
        if len(named) != 1:
            raise ValueError(
                f"sets {' and '.join(named) or 'none'} of module, command and external; set exactly one of them for a "
                "custom service"
            )
        for url in self.external or ():
            if not re.fullmatch(r"https?://[^/\s?#\\]+", url):
                raise ValueError(f'external = "{url}" is not an address such as http://127.0.0.1:9000; correct it')
        return self
