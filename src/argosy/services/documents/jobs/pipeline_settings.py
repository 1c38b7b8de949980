"""Settings of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.services.documents.chunking.packer import ChunkLimits


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    chunks: ChunkLimits = field(default_factory=ChunkLimits)
    parse_timeout_s: float = 120.0
    parse_timeout_per_mib_s: float = 60.0
    call_timeout_s: float = 120.0
    """Timeout of one call to the embedding service or the store."""
    readers: int = 2
    """Documents that are parsed and chunked at once; others may wait for vectors meanwhile."""
    chars_in_work: int = 24 * 2**20
    """Characters of documents that wait for vectors or are being stored. Each takes about six times its text in memory;
    a document above the limit runs alone."""
    batch_chunks: int = 64
    """Chunks per call to the embedding service and to the store, which accepts at most 200."""
    parse_turn_s: float = 20.0
    """Time after which a document being parsed gives way to another sender's; see `parse_turns`."""
    vectors: str = ""
    """Key of the vector settings, see `fingerprint.vectors_key`. Vectors with another key are not reused."""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_chunks <= 200:
            raise ValueError("batch_chunks must be from 1 to 200")

    def parse_limit_s(self, size_bytes: int) -> float:
        """Return the time limit for a document. It grows with size, so that a small file cannot block a parser long."""
        return self.parse_timeout_s + self.parse_timeout_per_mib_s * size_bytes / (1 << 20)
