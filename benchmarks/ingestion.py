"""Benchmark of ingestion into a fleet.

It measures throughput against the embedding service alone, documents of one chunk and searches meanwhile, acceptance
while the fleet is busy, a second run over unchanged files, memory, and the accuracy of the estimates.

Run: python benchmarks/ingestion.py [throughput|small|acceptance|unchanged|memory|estimates ...]
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its path

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, TextKind
from argosy.services.documents.chunking.packer import ChunkLimits, chunk
from argosy.services.documents.chunking.tokenization import ModelTokenizer
from argosy.services.documents.parsing.parsed import ParsedDocument
from benchmarks import _ingestion_small
from benchmarks._corpus import Corpus
from benchmarks._mixed import KINDS, mixed_files, pdf_of
from benchmarks._processes import fleet_cpu_s, fleet_processes
from benchmarks._running import Caller, RunningFleet, argosy

REPEATS = 3
DISTURBED_SHARE = 1.1
"""Ratio that shows a disturbance. More work cannot be faster, so above this the two sides had unequal machines."""
DOCUMENTS = 60
PASSAGES = 20
"""Passages in one document: about 1,200 words."""
REQUEST_DOCUMENTS = 64
EMBED_TEXTS = 64
EMBED_CALLERS = 4
UPLOADS = 200
TOPPED_UP_EVERY = 20
QUEUE = 400
REFUSALS = 20
UPLOAD_BYTES = 2**20
UNCHANGED_DOCUMENTS = 1000
UNCHANGED_PASSAGES = 4
PDF_PAGES = 2000
BATCH_BYTES = 500 * 2**20
BATCH_FILE_BYTES = 10 * 2**20
SHUFFLES = 10
SORTED = 3
SHUFFLED_DOCUMENTS = 63
MEMORY_POLL_S = 0.2
LOOK_S = 0.1
BOUNDARY = "a-batch-of-files"
SHARE_AIM = 0.75
SMALL_AIM_PER_S = 150
SMALL_SHARE_AIM = 0.85
ACCEPTED_P50_AIM_MS = 80
ACCEPTED_P99_AIM_MS = 300
REFUSED_AIM_MS = 100
UNCHANGED_AIM = 20
MEMORY_AIM_MB = 600
ESTIMATE_AIM = 0.3


def documents(seed: int, count: int, passages: int) -> dict[str, str]:
    """Return texts by file name; each seed has other texts."""
    corpus = Corpus(seed)
    texts = corpus.passages(count * passages)
    made = {}
    for number in range(count):
        own = texts[number * passages : (number + 1) * passages]
        sections = "\n\n".join(f"## Section {at}\n\n{text}" for at, text in enumerate(own))
        made[f"{seed}-{number}.md"] = f"# Document {number} of {seed}\n\n{sections}"
    return made


def upload(caller: Caller, texts: dict[str, str]) -> list[str]:
    """Upload the texts and return the batches."""
    names = list(texts)
    batches = []
    for at in range(0, len(names), REQUEST_DOCUMENTS):
        message = {
            "documents": [{"id": name, "text": texts[name]} for name in names[at : at + REQUEST_DOCUMENTS]],
            "group": "bench",
        }
        status, answer = caller.call("POST", "/v1/documents", message)
        if status != 202:
            raise SystemExit(f"POST /v1/documents answered {status}: {answer}")
        batches.append(answer["batch_id"])
    return batches


def wait(caller: Caller, batches: Sequence[str]) -> list[Any]:
    views = []
    for batch in batches:
        while not (view := caller.get(f"/v1/batches/{batch}?wait_s=10"))["done"]:
            pass
        if view["counts"]["failed"] + view["counts"]["dead"]:
            raise SystemExit(f"documents failed: {view['counts']}")
        views.append(view)
    return views


class Embedding:
    """Embedding service of a running fleet, called like a pipeline calls it and by no other caller."""

    def __init__(self, fleet: RunningFleet) -> None:
        token = (fleet.data_dir / "token").read_text().strip()
        view = Caller(fleet.admin_url, token).get("/v1/services/embedding")
        self._url = f"{view['replicas'][0]['endpoint']}/embed"
        self._headers = {
            "authorization": f"Bearer {token}",
            "content-type": "application/msgpack",
            "accept": "application/msgpack",
            "x-argosy-priority": "bulk",
            "x-argosy-deadline-ms": "300000",
        }

    def seconds(self, texts: Sequence[str]) -> float:
        return asyncio.run(
            self._embed([list(texts[at : at + EMBED_TEXTS]) for at in range(0, len(texts), EMBED_TEXTS)])
        )

    async def _embed(self, parts: list[list[str]]) -> float:
        queue = iter(parts)

        async def call(session: aiohttp.ClientSession) -> None:
            for part in queue:
                body = msgspec.msgpack.encode(EmbedRequest(part, TextKind.PASSAGE))
                async with session.post(self._url, data=body, headers=self._headers) as response:
                    answer = await response.read()
                    if response.status != 200:
                        raise SystemExit(f"the embedding service answered {response.status}: {answer[:200]!r}")
                    msgspec.msgpack.decode(answer, type=EmbedResponse)

        async with aiohttp.ClientSession() as session:
            began_s = time.perf_counter()
            await asyncio.gather(*(call(session) for _ in range(EMBED_CALLERS)))
            return time.perf_counter() - began_s


def chunks_of(texts: dict[str, str]) -> list[str]:
    tokenizer = ModelTokenizer(EmbeddingSettings())
    limits = ChunkLimits(tokens=min(200, tokenizer.room), overlap_tokens=0)
    found = []
    for text in texts.values():
        found += [draft.text for draft in chunk(ParsedDocument(text, "text/markdown"), tokenizer, limits)]
    return found


@dataclass(frozen=True, slots=True)
class Rate:
    """Chunks that were processed, the seconds for them, and the embedding service's processor seconds for them."""

    chunks: int
    wall_s: float
    embedding_cpu_s: float

    @property
    def per_s(self) -> float:
        return self.chunks / self.wall_s

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.embedding_cpu_s / self.chunks


def embedding_cpu_s(fleet: RunningFleet) -> float:
    return sum(s for name, s in fleet_cpu_s(fleet_processes(fleet.data_dir)).items() if name.startswith("embedding"))


def end_to_end(fleet: RunningFleet, texts: dict[str, str]) -> Rate:
    caller, before_s, began_s = fleet.caller(), embedding_cpu_s(fleet), time.perf_counter()
    views = wait(caller, upload(caller, texts))
    wall_s = time.perf_counter() - began_s
    chunks = sum(document["chunks"] for view in views for document in view["documents"])
    return Rate(chunks, wall_s, embedding_cpu_s(fleet) - before_s)


def embedded_alone(fleet: RunningFleet, texts: dict[str, str]) -> Rate:
    own, before_s = chunks_of(texts), embedding_cpu_s(fleet)
    wall_s = Embedding(fleet).seconds(own)
    return Rate(len(own), wall_s, embedding_cpu_s(fleet) - before_s)


def throughput(folder: Path) -> None:
    """Measure throughput in interleaved runs of alternating order, each on its own text, so that no cache can answer.

    Both sides should cost the embedding service the same processor time per chunk, and the service alone can hardly be
    slower than end to end. A row where this does not hold was disturbed by other work on the machine, and its share is
    not valid.
    """
    shares = []
    print(f"\nThroughput, {DOCUMENTS} documents of {PASSAGES} passages, {REPEATS} interleaved repeats\n")
    print("| run | chunks/s end to end | chunks/s embedding alone | share | embedding CPU ms a chunk: whole, alone |")
    print("|---|---|---|---|---|")
    with RunningFleet(folder / "throughput") as fleet:
        wait(fleet.caller(), upload(fleet.caller(), documents(1, 8, PASSAGES)))  # everything is loaded now
        for repeat in range(REPEATS):
            texts, others = documents(100 + repeat, DOCUMENTS, PASSAGES), documents(200 + repeat, DOCUMENTS, PASSAGES)
            if repeat % 2:
                alone, whole = embedded_alone(fleet, others), end_to_end(fleet, texts)
            else:
                whole, alone = end_to_end(fleet, texts), embedded_alone(fleet, others)
            share = whole.per_s / alone.per_s
            shares.append(share)
            disturbed = " (disturbed)" if share > DISTURBED_SHARE else ""
            print(
                f"| {repeat + 1} | {whole.per_s:.1f} | {alone.per_s:.1f} | {share:.0%}{disturbed} "
                f"| {whole.cpu_ms:.1f}, {alone.cpu_ms:.1f} |",
                flush=True,
            )
    share = statistics.median(shares)
    print(f"\nMedian share: {share:.0%}")
    aim(f"at least {SHARE_AIM:.0%}", share >= SHARE_AIM)


def small(folder: Path) -> None:
    """Both engines: with the fake one everything but the embedding is measured, with the real one what it adds."""
    runs = [
        _ingestion_small.measure(folder, engine, upload, wait, lambda fleet, texts: Embedding(fleet).seconds(texts))
        for engine in ("fake", "onnx")
    ]
    _ingestion_small.report(runs)
    fake, real = runs
    aim(f"at least {SMALL_AIM_PER_S} one-chunk documents a second with the fake engine", fake.per_s >= SMALL_AIM_PER_S)
    aim(f"at least {SMALL_SHARE_AIM:.0%} of the real engine's own limit", real.share >= SMALL_SHARE_AIM)


def statistics_of(fleet: RunningFleet) -> Any:
    token = (fleet.data_dir / "token").read_text().strip()
    return Caller(fleet.admin_url, token).get("/v1/analytics/ingestion?window=1d")


def acceptance(folder: Path) -> None:
    """Measure uploads of 1 MB while workers are saturated and the queue is kept half full, then one upload too many."""
    words = " ".join(Corpus(7).passages(400))
    spent_ms, full_ms, queued = [], [], []
    with RunningFleet(folder / "acceptance", "--set", f"services.documents.max_queued_documents={QUEUE}") as fleet:
        caller = fleet.caller()
        for number in range(UPLOADS):
            if number % TOPPED_UP_EVERY == 0:
                missing = QUEUE // 2 - statistics_of(fleet)["queue_documents"]
                upload(caller, documents(1000 + number, max(0, missing), PASSAGES))
                queued.append(statistics_of(fleet)["queue_documents"])
            text = f"{number} {words}"
            text = (text * (UPLOAD_BYTES // len(text) + 1))[:UPLOAD_BYTES]
            message = {"documents": [{"id": f"big-{number}", "text": text}]}
            began_s = time.perf_counter()
            status, answer = caller.call("POST", "/v1/documents", message)
            spent_ms.append(1000 * (time.perf_counter() - began_s))
            if status != 202:
                raise SystemExit(f"an upload was answered {status}: {answer}")
        for number in range(4 * QUEUE):
            message = {"documents": [{"id": f"more-{number}", "text": f"{number} {words}"}]}
            began_s = time.perf_counter()
            status, answer = caller.call("POST", "/v1/documents", message)
            if status == 429:
                full_ms.append(1000 * (time.perf_counter() - began_s))
            elif status != 202:
                raise SystemExit(f"an upload was answered {status}: {answer}")
            if len(full_ms) == REFUSALS:
                break
        else:
            raise SystemExit(f"the queue was never full: {len(full_ms)} refusals")
    spent_ms.sort()
    p50_ms, p99_ms = statistics.median(spent_ms), spent_ms[-1 - len(spent_ms) // 100]
    print(f"\nAccepting 1 MB, workers saturated, {min(queued)}–{max(queued)} of {QUEUE} queued, {UPLOADS} uploads\n")
    print("| | p50 ms | p99 ms |\n|---|---|---|")
    print(f"| accepted | {p50_ms:.0f} | {p99_ms:.0f} |")
    print(f"| queue full, 429 | {statistics.median(full_ms):.0f} | {max(full_ms):.0f} (most of {REFUSALS}) |")
    aim(f"accepted, p50 at most {ACCEPTED_P50_AIM_MS} ms", p50_ms <= ACCEPTED_P50_AIM_MS)
    aim(f"accepted, p99 at most {ACCEPTED_P99_AIM_MS} ms", p99_ms <= ACCEPTED_P99_AIM_MS)
    aim(f"refused at once, {REFUSED_AIM_MS} ms at most", max(full_ms) <= REFUSED_AIM_MS)


def unchanged(folder: Path) -> None:
    home = folder / "papers"
    home.mkdir()
    for name, text in documents(21, UNCHANGED_DOCUMENTS, UNCHANGED_PASSAGES).items():
        (home / name).write_text(text)
    with RunningFleet(folder / "unchanged") as fleet:
        took_s, told = [], []
        for _ in range(2):
            took_s.append(argosy("add", str(home), "--wait", "--data-dir", str(fleet.data_dir), folder=folder))
            told.append(statistics_of(fleet))
    print(f"\n`argosy add --wait` of {UNCHANGED_DOCUMENTS} documents, twice\n")
    print("| first run s | second run s | faster | chunks embedded first | second |\n|---|---|---|---|---|")
    first, both = told[0]["chunks_embedded"], told[1]["chunks_embedded"]
    print(f"| {took_s[0]:.1f} | {took_s[1]:.1f} | {took_s[0] / took_s[1]:.0f}× | {first} | {both - first} |")
    aim(f"the second run at least {UNCHANGED_AIM} times faster", took_s[0] / took_s[1] >= UNCHANGED_AIM)
    aim("the second run embeds none", both == first)


def peak_rss(pid: int) -> float:
    """Return the peak in MiB, as the kernel counts it, which misses no short peak.

    Raises: OSError or StopIteration when the process is gone.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@contextlib.contextmanager
def watched(fleet: RunningFleet) -> Iterator[Callable[[], dict[str, float]]]:
    """Watch the peak memory of each process of the documents service over its whole life, in MiB."""
    most: dict[str, float] = {}
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(MEMORY_POLL_S):
            for pid, name in fleet_processes(fleet.data_dir).items():
                if name.startswith("documents"):
                    with contextlib.suppress(OSError, StopIteration):
                        most[name] = max(most.get(name, 0.0), peak_rss(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: dict(most)
    finally:
        ending.set()
        watcher.join()


def memory_used(folder: Path) -> None:
    """Measure memory with the fake embedding, because memory does not depend on it."""
    home = folder / "large"
    home.mkdir()
    (home / "pages.pdf").write_bytes(pdf_of([" ".join([text] * 4) for text in Corpus(41).passages(PDF_PAGES)]))
    words = " ".join(Corpus(31).passages(1000))
    fake = ("--set", "services.embedding.backend=fake", "--set", "services.documents.parse_timeout_s=600")
    with RunningFleet(folder / "memory", *fake) as fleet:
        print("\nMost memory (RSS, MiB) of the documents service and of one of its parsers\n")
        print("| | service | parser |\n|---|---|---|")
        with watched(fleet) as most:
            argosy("add", str(home), "--wait", "--data-dir", str(fleet.data_dir), folder=folder)
            used = [_print_memory(f"a PDF of {PDF_PAGES} pages", most())]
        (home / "pages.pdf").unlink()
        for number in range(BATCH_BYTES // BATCH_FILE_BYTES):
            text = f"{number} {words} "
            (home / f"{number}.txt").write_text((text * (BATCH_FILE_BYTES // len(text) + 1))[:BATCH_FILE_BYTES])
        with watched(fleet) as most:
            argosy("add", str(home), "--wait", "--data-dir", str(fleet.data_dir), folder=folder)
            used.append(_print_memory(f"{BATCH_BYTES // 2**20} MiB in files of {BATCH_FILE_BYTES // 2**20}", most()))
    aim(f"each process under {MEMORY_AIM_MB} MB", max(used) * 2**20 < MEMORY_AIM_MB * 10**6)


def _print_memory(what: str, most: dict[str, float]) -> float:
    """Print the peaks and return the highest of any process, in MiB."""
    own = max((mib for name, mib in most.items() if not name.endswith("helper")), default=0.0)
    parser = max((mib for name, mib in most.items() if name.endswith("helper")), default=0.0)
    if not own or not parser:
        raise SystemExit(f"a process was not found among {', '.join(most)}")
    print(f"| {what} | {own:.0f} | {parser:.0f} |")
    return max(own, parser)


def estimates(folder: Path) -> None:
    """Compare the estimate at a quarter of the work with the time that it then took."""
    with RunningFleet(folder / "estimates") as fleet:
        caller = fleet.caller()
        wait(caller, upload(caller, documents(51, 8, PASSAGES)))
        by_kind = [estimate_error(caller, mixed_files(1000 + seed, SHUFFLED_DOCUMENTS)) for seed in range(SORTED)]
        errors = []
        for shuffle in range(SHUFFLES):
            files = list(mixed_files(shuffle, SHUFFLED_DOCUMENTS).items())
            random.Random(shuffle).shuffle(files)
            errors.append(estimate_error(caller, dict(files)))
    print(f"\nEstimate at 25 % of a batch of {SHUFFLED_DOCUMENTS} files of {len(KINDS)} kinds\n")
    error = statistics.median(map(abs, errors))
    print("| order | batches | median of the error's size | smallest | largest |\n|---|---|---|---|---|")
    for order, of in (("shuffled", errors), ("by kind, the first ones a fleet sees", by_kind)):
        size = statistics.median(map(abs, of))
        print(f"| {order} | {len(of)} | {size:.0%} | {min(of):+.0%} | {max(of):+.0%} |")
    aim(f"a median error of at most {ESTIMATE_AIM:.0%} on shuffled batches", error <= ESTIMATE_AIM)


def estimate_error(caller: Caller, files: dict[str, bytes]) -> float:
    """Return the relative error of `eta_s` once a quarter of the batch is done."""
    batch = send_files(caller, files)
    while (view := caller.get(f"/v1/batches/{batch}?wait_s=0"))["progress"] < 0.25 or view["eta_s"] is None:
        time.sleep(LOOK_S)
    told_s, began_s = view["eta_s"], time.perf_counter()
    wait(caller, [batch])
    took_s = time.perf_counter() - began_s
    print(f"estimated {told_s:.1f} s at {view['progress']:.0%}, took {took_s:.1f} s", flush=True)
    return float((told_s - took_s) / took_s)


def send_files(caller: Caller, files: dict[str, bytes]) -> str:
    """Send the files and return the batch."""
    body = b""
    for name, data in files.items():
        body += f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        body += data + b"\r\n"
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    status, answer = caller.send("POST", "/v1/documents", body + f"--{BOUNDARY}--\r\n".encode(), kind)
    if status != 202:
        raise SystemExit(f"POST /v1/documents answered {status}: {answer}")
    return str(answer["batch_id"])


def aim(what: str, met: bool) -> None:
    print(f"\nAim: {what}: {'met' if met else '**missed**'}", flush=True)


PARTS = {
    "throughput": throughput,
    "small": small,
    "acceptance": acceptance,
    "unchanged": unchanged,
    "memory": memory_used,
    "estimates": estimates,
}


def main(wanted: Sequence[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the exit also ends the fleet
    for name in wanted or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
