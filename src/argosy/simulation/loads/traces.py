"""Recorded arrivals: Azure's LLM traces (CSV), Mooncake's (JSONL), and plain counts per second, compressed or not.

Sources: https://github.com/Azure/AzurePublicDataset, https://github.com/kvcache-ai/Mooncake.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from argosy.contracts.errors import ConfigError
from argosy.simulation.loads.arrivals import Arrivals, Counted, Recorded

PREFILL_TOKENS_PER_S = 8_000
DECODE_TOKENS_PER_S = 800
"""Only the proportion matters: a written token costs as much as ten read tokens."""


@dataclass(frozen=True, slots=True)
class Trace:
    name: str
    arrivals: Arrivals
    work: tuple[float, ...] | None
    """Work of each request, in arbitrary units; None when the trace only counts."""
    prefixes: tuple[int, ...] | None
    """Prefix of each request's prompt, as a number; None when the trace does not record it."""
    requests: int
    written: tuple[int, ...] | None = None
    """Number of tokens in each answer; None when the trace does not record it."""


class _MooncakeLine(msgspec.Struct):
    timestamp: float
    input_length: int
    output_length: int
    hash_ids: list[int]


def read_trace(path: Path, most: int) -> Trace:
    """Read the first `most` requests of the file.

    Raises: ConfigError when the file cannot be read or is of no known kind; the message names the file and the line.
    """
    try:
        text = _text(path)
        name = path.name.lower()
        if ".csv" in name:
            return _azure(path, text, most)
        if ".jsonl" in name:
            return _mooncake(path, text, most)
        return _counts(path, text, most)
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the trace cannot be read ({error}).", param="trace") from error


def _text(path: Path) -> str:
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    return content.read().decode()
        raise ConfigError(f"{path}: the archive holds no file; give one with a trace.", param="trace")
    packed = path.read_bytes()
    if packed[:2] == b"\x1f\x8b":
        return gzip.decompress(packed).decode()
    if packed[:3] == b"BZh":
        return bz2.decompress(packed).decode()
    return packed.decode()


def _azure(path: Path, text: str, most: int) -> Trace:
    moments_s, work, written = [], [], []
    rows = csv.DictReader(io.StringIO(text))
    for row in rows:
        try:
            moments_s.append(datetime.fromisoformat(row["TIMESTAMP"]).timestamp())
            written.append(int(row["GeneratedTokens"]))
            work.append(_work(int(row["ContextTokens"]), written[-1]))
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong(path, rows.line_num, "TIMESTAMP,ContextTokens,GeneratedTokens") from error
        if len(work) == most:
            break
    return _recorded(path, moments_s, work, None, written)


def _mooncake(path: Path, text: str, most: int) -> Trace:
    moments_s, work, prefixes, written = [], [], [], []
    decoder = msgspec.json.Decoder(_MooncakeLine)
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = decoder.decode(line)
            moments_s.append(entry.timestamp / 1000)
            written.append(entry.output_length)
            work.append(_work(entry.input_length, entry.output_length))
            # The first block is the same system prompt for nearly all requests; the second distinguishes conversations.
            prefixes.append(entry.hash_ids[min(1, len(entry.hash_ids) - 1)])
        except (msgspec.MsgspecError, IndexError) as error:
            raise _wrong(path, number, '{"timestamp", "input_length", "output_length", "hash_ids"}') from error
        if len(work) == most:
            break
    return _recorded(path, moments_s, work, tuple(prefixes), written)


def _counts(path: Path, text: str, most: int) -> Trace:
    try:
        counts = tuple(map(int, text.split()))
        if counts and min(counts) < 0:
            raise ValueError(f"{min(counts)} is negative")
    except ValueError as error:
        raise ConfigError(
            f"{path} is not a trace: {error}. Give CSV of the Azure LLM traces (TIMESTAMP, ContextTokens, "
            "GeneratedTokens), Mooncake's JSONL, or whole numbers, the requests of each second; .gz and .bz2 work too.",
            param="trace",
        ) from error
    total = sum(counts)
    if not total:
        raise ConfigError(f"{path}: the trace holds no request; give another one.", param="trace")
    through = int(np.searchsorted(np.cumsum(counts), min(most, total))) + 1
    return Trace(path.name, Counted(counts[:through]), None, None, min(most, total))


def _work(read: int, written: int) -> float:
    return max(1, read) / PREFILL_TOKENS_PER_S + written / DECODE_TOKENS_PER_S


def _recorded(
    path: Path, moments_s: list[float], work: list[float], prefixes: tuple[int, ...] | None, written: list[int]
) -> Trace:
    if len(moments_s) < 2 or moments_s != sorted(moments_s):
        raise ConfigError(
            f"{path}: a trace needs at least two requests in order of time; give a sorted one.", param="trace"
        )
    return Trace(path.name, Recorded(tuple(moments_s)), tuple(work), prefixes, len(moments_s), tuple(written))


def _wrong(path: Path, line: int, shape: str) -> ConfigError:
    return ConfigError(f"{path}, line {line}: the line must have the form {shape}.", param="trace")
