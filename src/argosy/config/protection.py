"""Settings of what keeps overload and slowness from spreading: [services.NAME.protection]."""

from __future__ import annotations

from pydantic import Field

from argosy.config.settings import Settings


class ProtectionSettings(Settings):
    """How calls to a service are protected, in its callers and in its replicas. Each mechanism has an off switch."""

    hedging: bool = Field(True, description="Callers send a read that is late to a second replica and take the first.")
    hedge_quantile: float = Field(
        0.95, ge=0.5, le=0.999, description="Share of the last answers that are quicker than a read that is hedged."
    )
    retry_share: float = Field(
        0.2, ge=0, le=1, description="Second attempts and hedges that a caller may make, as a share of its requests."
    )
    retry_reserve_per_s: float = Field(
        10.0, ge=0, le=1000, description="Second attempts a second that a caller may make where that share is less."
    )
    throttling: bool = Field(
        True, description="Callers refuse by themselves most of what the service would answer with 429."
    )
    throttle_multiplier: float = Field(
        2.0, ge=1.1, le=100, description="Requests sent for each that was accepted lately; more are refused."
    )
    max_concurrent_calls: int = Field(
        256, ge=0, le=100_000, description="Calls to the service that one caller has in work; 0 sets no limit."
    )
    adaptive_concurrency: bool = Field(
        False, description="A replica finds out how many requests it can bear at once, below max_in_flight."
    )
    concurrency_least: int = Field(20, ge=1, le=100_000, description="The lowest that adaptive limit may sink to.")
    bulk_share: float = Field(
        0.8, gt=0, le=1, description="Share of a replica's limit that bulk work may fill; 1 treats all alike."
    )
    refuse_late: bool = Field(
        True, description="A replica refuses at once what has less time left than its quickest recent answer took."
    )
