"""Every setting of a fleet, once. Flags, variables and the reference page are derived from these models."""

from __future__ import annotations

import graphlib
import re
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from argosy.config.protection import ProtectionSettings
from argosy.config.scaling import ScalingSettings, SloSettings
from argosy.config.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Replicas(Settings):
    """How many replicas of a service may run."""

    min: int = Field(1, ge=1, le=256, description="Replicas to start and to keep.")
    max: int = Field(1, ge=1, le=256, description="Replicas never to exceed.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min = {self.min} is above max = {self.max}; raise max or lower min")
        return self


class ServiceSettings(Settings):
    """What every service has."""

    replicas: Replicas = Field(default_factory=Replicas, description="Bounds on the number of replicas.")
    scaling: ScalingSettings = Field(
        default_factory=ScalingSettings, description="How the number between the bounds is found."
    )
    slo: SloSettings = Field(default_factory=SloSettings, description="What the service promises.")
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
    ] = Field("adaptive", description="How callers pick a replica.")
    protection: ProtectionSettings = Field(
        default_factory=ProtectionSettings, description="What keeps overload and slowness from spreading."
    )
    requires: tuple[str, ...] = Field((), description="Services that must be ready before this one starts.")
    wants: tuple[str, ...] = Field(
        (), description="Services that this one waits for until their start timeout, then starts without."
    )
    start_timeout_s: float = Field(60.0, gt=0, le=3600, description="Time a replica has to become ready.")
    drain_timeout_s: float = Field(10.0, ge=0, le=3600, description="Time a draining replica has to finish its work.")
    max_in_flight: int = Field(128, ge=1, le=100_000, description="Requests in work at once; more are answered 429.")
    max_waiting: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Long polls and followed streams open at once; more are answered 429. They do not count as work.",
    )
    max_receiving_bytes: int = Field(
        4 * 2**30,
        ge=2**20,
        description="Bytes of request bodies held at once, whether they are whole or not; more are answered 429.",
    )
    max_connections: int = Field(
        4096,
        ge=8,
        le=1_000_000,
        description="Connections open at once; less where the limit on open files is lower. Beyond it only health "
        "checks are answered.",
    )
    memory_limit_bytes: int = Field(
        0, ge=0, description="Resident memory above which a replica is replaced; 0 sets no limit."
    )
    hang_limit_s: float = Field(
        60.0, gt=0, le=3600, description="Time a replica may work without answering before it is replaced."
    )

    single_writer: ClassVar[bool] = False
    """Whether a second replica could not work beside the first, not even for a moment."""

    def cores_of_one(self, share: float) -> float:
        """Cores that one replica can use; `share` is what each has when all of them work."""
        return self.scaling.cores or 1.0


class StoreSettings(ServiceSettings):
    """Vectors, lexical index and chunk payloads."""

    single_writer: ClassVar[bool] = True
    max_queued: int = Field(1024, ge=1, description="Operations waiting for the store's engine thread.")

    @model_validator(mode="after")
    def _one_writer(self) -> Self:
        if self.replicas.max > 1:
            raise ValueError(
                "replicas.max must be 1: the embedded store has one writer and a second replica could not open "
                "its files; set replicas.max = 1"
            )
        return self


class EmbeddingSettings(ServiceSettings):
    """Text to vectors."""

    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="A model's name, or a folder that holds one.",
    )
    backend: Literal["onnx", "openai", "fake"] = Field(
        "onnx",
        description="`onnx` runs the model; `openai` asks an OpenAI-compatible endpoint; `fake` hashes words, for "
        "trials and tests.",
    )
    precision: Literal["fp32", "int8"] = Field(
        "fp32",
        description="`int8` computes in integers (backend `onnx`): faster, and now and then another best hit; how "
        "often is measured and logged.",
    )
    base_url: str = Field(
        "", description="The endpoint's address up to /v1 (backend `openai`); empty takes OPENAI_BASE_URL."
    )
    endpoint_timeout_s: float = Field(
        20.0,
        gt=0,
        le=600,
        description="Time for a batch at the endpoint, further attempts included (backend `openai`).",
    )
    endpoint_max_tokens: int = Field(
        512, ge=16, le=1_000_000, description="Tokens that the endpoint's model reads of a text (backend `openai`)."
    )
    long_texts: Literal["truncate", "split", "refuse"] = Field(
        "truncate",
        description="A text beyond the model's window: `truncate` reads its beginning and says so, `split` embeds its "
        "parts and averages them, `refuse` answers with an error.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Batches one replica runs at once, a core each; 0 takes its share of the cores, or 8 calls to an "
        "endpoint.",
    )
    max_batch_tokens: int = Field(1024, ge=16, le=1_000_000, description="Most tokens of one batch, padding included.")
    max_batch_texts: int = Field(32, ge=1, le=2048, description="Most texts of one batch.")
    max_batch_ms: float = Field(
        100.0, ge=1, le=10_000, description="Time one batch may take; its size follows from what batches took so far."
    )
    max_queued_texts: int = Field(4096, ge=1, description="Texts waiting for the engine; more are answered 429.")
    cache_memory_bytes: int = Field(
        64 * 2**20, ge=0, description="Memory for vectors of texts seen before, in each replica; 0 keeps none."
    )
    cache_disk_bytes: int = Field(
        2**30, ge=0, description="Disk for them, shared by the replicas of a host and kept over restarts; 0 keeps none."
    )
    cache_ttl_s: float = Field(
        30 * 86_400.0,
        ge=0,
        le=10 * 365 * 86_400.0,
        description="Time a vector is kept; 0 keeps it until it is evicted.",
    )
    cache_precision: Literal["float16", "float32"] = Field(
        "float16", description="How vectors are kept on disk; `float16` takes half the space, `float32` every bit."
    )

    def cores_of_one(self, share: float) -> float:
        if self.backend == "openai":
            return super().cores_of_one(share)
        return self.scaling.cores or self.threads or max(1, round(share))


class DocumentsSettings(ServiceSettings):
    """Uploads to indexed chunks."""

    wants: tuple[str, ...] = ("store", "embedding")
    database: Literal["sqlite", "postgresql"] = Field(
        "sqlite",
        description="Where catalog and jobs are kept: a file in data_dir, or the database that DATABASE_URL names.",
    )
    workers: int = Field(
        8,
        ge=1,
        le=64,
        description="Documents in work at once by one replica, most of them waiting for their vectors. Up to 16 small "
        "ones, of 64 KiB together, count as one.",
    )
    parsers: int = Field(2, ge=1, le=64, description="Documents parsed and chunked at once by one replica.")
    chunk_tokens: int = Field(200, ge=16, le=8192, description="Most tokens of one chunk.")
    chunk_overlap_tokens: int = Field(0, ge=0, le=4096, description="Tokens a chunk repeats of the one before.")
    max_file_bytes: int = Field(64 * 2**20, ge=1, description="Largest document accepted.")
    max_queued_documents: int = Field(10_000, ge=1, description="Documents waiting; more are answered 429.")
    max_queued_bytes: int = Field(2 * 2**30, ge=1, description="Bytes waiting; more are answered 429.")
    max_files_per_request: int = Field(64, ge=1, description="Documents in one upload.")
    max_receiving_bytes: int = Field(
        2**30, ge=2**20, description="Bytes of uploads being received at once by one replica; more are answered 429."
    )
    max_attempts: int = Field(5, ge=1, le=100, description="Times a document is tried before it is dead.")
    lease_s: float = Field(30.0, gt=0, description="Time after which a silent worker's document goes to another.")
    parse_timeout_s: float = Field(
        120.0,
        gt=0,
        description="Time to parse one document, whatever its size; also the longest time without progress, to which "
        "each MiB adds 4 s.",
    )
    parse_timeout_per_mib_s: float = Field(
        60.0, ge=0, le=3600, description="Time beyond that for each MiB of it: long PDFs and scans take long."
    )
    parse_turn_s: float = Field(
        20.0, gt=0, description="Time after which a document being parsed makes room for another sender's that waits."
    )
    parser_memory_bytes: int = Field(2 * 2**30, ge=2**28, description="Address space of one parser process.")

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Self:
        if self.chunk_overlap_tokens > self.chunk_tokens // 2:
            raise ValueError(
                f"chunk_overlap_tokens = {self.chunk_overlap_tokens} is more than half of "
                f"chunk_tokens = {self.chunk_tokens}; lower the overlap"
            )
        return self

    def cores_of_one(self, share: float) -> float:
        return self.scaling.cores or self.parsers


class RetrievalSettings(ServiceSettings):
    """A question to ranked chunks."""

    requires: tuple[str, ...] = ("store",)
    wants: tuple[str, ...] = ("embedding",)
    candidates: int = Field(50, ge=1, le=200, description="Chunks taken of each list before they are fused.")


class GenerationSettings(ServiceSettings):
    """Chunks and a question to a cited answer."""

    wants: tuple[str, ...] = ("embedding",)
    backend: Literal["extractive", "openai"] = Field(
        "extractive",
        description="`extractive` quotes the best sentences; `openai` asks an OpenAI-compatible endpoint.",
    )
    model: str = Field("", description="The endpoint's model name (backend `openai`).")
    base_url: str = Field(
        "", description="The endpoint's address up to /v1 (backend `openai`); empty takes OPENAI_BASE_URL."
    )
    max_sentences: int = Field(4, ge=1, le=20, description="Most sentences of an extractive answer.")

    @model_validator(mode="after")
    def _endpoint_named(self) -> Self:
        if self.backend == "openai" and not self.model:
            raise ValueError('backend = "openai" needs model; name the model that the endpoint serves')
        return self


class GatewaySettings(ServiceSettings):
    """The public API."""

    max_in_flight: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Requests in work at once; more are answered 429. It is above what it may hold of one service "
        "(protection.max_concurrent_calls), so that one that is full leaves room for the others.",
    )
    wants: tuple[str, ...] = ("store", "embedding", "documents", "retrieval", "generation")
    allowed_hosts: tuple[str, ...] = Field(
        LOOPBACK, description="Values of the Host header that are answered, without port."
    )
    allowed_origins: tuple[str, ...] = Field((), description="Foreign origins of web pages that may call the API.")
    max_question_chars: int = Field(32_000, ge=1, description="Longest question or query.")
    max_body_bytes: int = Field(256 * 2**20, ge=1024, description="Largest request body.")
    context_passages: int = Field(5, ge=1, le=50, description="Chunks an answer is made from.")
    search_timeout_s: float = Field(5.0, gt=0, description="Deadline of a search.")
    chat_timeout_s: float = Field(60.0, gt=0, description="Deadline of an answer.")
    first_token_timeout_s: float = Field(10.0, gt=0, description="Deadline of an answer's first word.")
    embeddings_timeout_s: float = Field(30.0, gt=0, description="Deadline of an embeddings request.")
    max_timeout_s: float = Field(300.0, gt=0, description="Longest deadline a caller may ask for.")


class CustomSettings(ServiceSettings):
    """A service of the user's own: started, probed, balanced and drained like ours."""

    module: str | None = Field(
        None,
        pattern=r"^[\w.]+:[\w.]+$",
        description="`package.module:factory`; the factory takes nothing and returns an ASGI app.",
    )
    command: tuple[str, ...] | None = Field(
        None, min_length=1, description="A program; it listens on 127.0.0.1 at the port in the variable PORT."
    )
    external: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Addresses of a service that runs elsewhere; probed and balanced over, never started.",
    )
    health_path: str = Field(
        "/readyz", pattern=r"^/", description="Answers 200 when a replica may be called (command, external)."
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
                f"names {' and '.join(named) or 'none'} of module, command and external; a service of your own needs "
                "exactly one of them"
            )
        for url in self.external or ():
            if not re.fullmatch(r"https?://[^/\s?#\\]+", url):
                raise ValueError(f'external = "{url}" is not an address like http://127.0.0.1:9000; correct it')
        return self


class Services(Settings):
    """One table for each service; a table of another name is a service of the user's own."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, CustomSettings]

    store: StoreSettings = Field(default_factory=StoreSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    documents: DocumentsSettings = Field(default_factory=DocumentsSettings)
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)

    def by_name(self) -> dict[str, ServiceSettings]:
        return {**{name: getattr(self, name) for name in type(self).model_fields}, **self.custom()}

    def custom(self) -> dict[str, CustomSettings]:
        return dict(self.__pydantic_extra__ or {})

    @model_validator(mode="after")
    def _names_fit_everywhere(self) -> Self:
        for name in self.custom():
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
                raise ValueError(
                    f'the service name "{name}" must be 1 to 40 of a-z, 0-9 and _, a letter first; rename it'
                )
        return self


class FleetSettings(Settings):
    """The fleet as a whole."""

    name: str = Field("argosy", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Shown in status and metrics.")
    data_dir: Path = Field(Path("argosy-data"), description="Where everything durable is kept.")
    platform: Literal["local"] = Field("local", description="What starts and stops replicas.")
    host: str = Field("127.0.0.1", description="Address the gateway and the admin API listen on.")
    port: int = Field(8080, ge=0, le=65535, description="The gateway's port; 0 picks a free one.")
    admin_port: int = Field(8081, ge=0, le=65535, description="The admin API's port; 0 picks a free one.")
    probe_interval_s: float = Field(2.0, gt=0, le=60, description="Time between two probes of a replica.")
    probe_timeout_s: float = Field(1.0, gt=0, le=60, description="Time a probe waits.")
    monitoring_interval_s: float = Field(
        2.0, gt=0, le=300, description="Time between two looks at a service's load for scaling."
    )

    @field_validator("data_dir")
    @classmethod
    def _home_expanded(cls, given: Path) -> Path:
        return given.expanduser()

    @model_validator(mode="after")
    def _loopback_only(self) -> Self:
        if self.host not in LOOPBACK:
            raise ValueError(
                f'host = "{self.host}" is not a loopback address, and there are no API keys to protect it; '
                "use 127.0.0.1 and put an authenticating proxy in front"
            )
        if self.port == self.admin_port and self.port != 0:
            raise ValueError(f"port and admin_port are both {self.port}; give them different ports")
        return self


class Fleet(Settings):
    """The whole fleet file."""

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
