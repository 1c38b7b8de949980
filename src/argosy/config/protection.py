"""Settings of protection against the spread of overload and slowness: [services.NAME.protection]."""

from __future__ import annotations

from pydantic import Field

from argosy.config.base import Settings


class ProtectionSettings(Settings):
    """Protection of calls to a service, in its callers and in its replicas. Each mechanism can be switched off."""

    hedging: bool = Field(
        True, description="Callers send a late read to a second replica too and use the first answer."
    )
    hedge_quantile: float = Field(
        0.95, ge=0.5, le=0.999, description="Quantile of recent response times after which a read is late."
    )
    retry_share: float = Field(
        0.2, ge=0, le=1, description="Retries and hedges that a caller may send, as a share of its requests."
    )
    retry_reserve_per_s: float = Field(
        10.0,
        ge=0,
        le=1000,
        description="Retries and hedges per second that a caller may always send, even above that share.",
    )
    throttling: bool = Field(
        True, description="Callers refuse most requests themselves that the service would answer with 429."
    )
    throttle_multiplier: float = Field(
        2.0,
        ge=1.1,
        le=100,
        description="Requests that a caller sends for each one accepted recently; it refuses further ones.",
    )
    max_concurrent_calls: int = Field(
        256, ge=0, le=100_000, description="Most calls to the service in flight from one caller; 0 means no limit."
    )
    adaptive_concurrency: bool = Field(
        False,
        description="A replica measures how many requests it can process at once and lowers its limit below "
        "max_in_flight.",
    )
    concurrency_least: int = Field(20, ge=1, le=100_000, description="Lowest value of the adaptive limit.")
    bulk_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of a replica's limit that bulk work may use; 1 treats bulk work like queries.",
    )
    refuse_late: bool = Field(
        True,
        description="A replica refuses a request at once if less time is left than its quickest recent answer took.",
    )
