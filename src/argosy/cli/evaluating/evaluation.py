"""One evaluation from end to end: cases, a fleet, collections, runs in each mode, and the stored result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.cli.client.gateway import Api, NoFleet
from argosy.cli.client.locate import FleetAddress
from argosy.cli.client.replies import CollectionList
from argosy.cli.evaluating.running import Runner, trec_lines
from argosy.cli.evaluating.scratch import Filled, fill, scratch
from argosy.cli.evaluating.temporary import temporary_fleet, terminated_like_interrupted
from argosy.cli.progress import Progress, showing
from argosy.cli.sending.collect import require
from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError, CollectionNotFound, InvalidRequest
from argosy.evaluation import sources
from argosy.evaluation.cases import Dataset
from argosy.evaluation.results import Evaluated, Evaluation, ModeResult, Results, checked_name, mode_result
from argosy.version import VERSION

DEFAULT_COLLECTION = "default"
FAILED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """Options of an evaluation, as the user gave them."""

    cases: Path
    modes: Sequence[str]
    collection: str | None
    documents: Sequence[Path]
    settings: Sequence[str]
    temporary: bool
    limit: int | None
    split: str | None
    answers: bool
    name: str | None
    runs: Path | None
    keep: bool
    address_given: bool
    """Whether the user named a fleet: then no temporary one is started in its place."""
    quiet: bool


def evaluate(plan: Plan, fleet: FleetAddress, results: Results) -> Evaluation:
    """Evaluate, store the result and return it.

    Raises: InvalidRequest when the plan contradicts itself or a file is wrong; ArgosyError when no fleet can do it.
    """
    dataset = sources.read(plan.cases, plan.split).sample(plan.limit)
    name = checked_name(plan.name or f"{time.strftime('%Y%m%d-%H%M%S')}-{_plain(dataset.name)}")
    _check(plan, dataset)
    started_s = time.monotonic()
    with terminated_like_interrupted(), _fleet(plan, dataset, fleet) as found:
        api = Api(found.url)
        with scratch(api, plan.keep) as names, showing(quiet=plan.quiet) as progress:
            filled = _collections(api, plan, dataset, names, progress)
            runner = Runner(api, filled.collections, plan.answers)
            modes = _run(runner, plan, dataset, progress)
        settings = _settings(found)
    made = Evaluation(
        name=name,
        created_at=time.time(),
        version=VERSION,
        dataset=Evaluated(
            dataset.name,
            dataset.layout,
            dataset.digest,
            len(dataset.cases),
            path=str(plan.cases.resolve()),
            collection="" if names else filled.collections[0],
            documents=filled.documents,
            failed_documents=len(filled.failed),
        ),
        modes=modes,
        seconds=round(time.monotonic() - started_s, 3),
        settings=settings,
    )
    results.save(made)
    if plan.runs is not None:
        _write_runs(plan.runs, runner.rankings, name)
    return made


def _check(plan: Plan, dataset: Dataset) -> None:
    if dataset.brings_documents and (plan.documents or plan.collection):
        raise InvalidRequest(f"{plan.cases} brings its own documents, so leave out --documents and --collection.")
    if plan.documents and plan.collection:
        raise InvalidRequest("Give --documents or --collection, not both.")
    fresh = plan.temporary or bool(plan.settings)
    if fresh and not (dataset.brings_documents or plan.documents):
        raise InvalidRequest(
            "A temporary fleet is empty. Name the documents that the questions are about with --documents FOLDER."
        )
    if fresh and plan.address_given:
        raise InvalidRequest("--set and --temporary start a temporary fleet, so leave out --url.")
    if fresh and plan.keep:
        raise InvalidRequest("A temporary fleet is deleted at the end, so --keep is not possible with it.")
    if plan.documents:
        require(list(plan.documents))


@contextlib.contextmanager
def _fleet(plan: Plan, dataset: Dataset, fleet: FleetAddress) -> Iterator[FleetAddress]:
    """Yield the running fleet, or a temporary one where none answers or the plan wants one."""
    fresh = plan.temporary or bool(plan.settings)
    if not fresh:
        try:
            Api(fleet.url).get("/livez")
        except NoFleet as error:
            if plan.address_given:
                raise
            if not (dataset.brings_documents or plan.documents):
                raise NoFleet(
                    f"{error.message}. The questions are about documents of a running fleet; or name the documents "
                    "with --documents FOLDER, and a temporary fleet indexes them."
                ) from error
        else:
            yield fleet
            return
    with temporary_fleet(plan.settings, tell=True) as found:
        yield found


def _collections(api: Api, plan: Plan, dataset: Dataset, names: list[str], progress: Progress) -> Filled:
    """Return the collections to evaluate: new ones with the documents, or the one that exists."""
    if dataset.brings_documents or plan.documents:
        filled = fill(api, dataset, plan.documents, names, progress)
        for one in filled.failed[:FAILED_SHOWN]:
            progress.tell(f"{one.name} was not indexed: {one.detail}")
        if len(filled.failed) > FAILED_SHOWN:
            progress.tell(f"{len(filled.failed) - FAILED_SHOWN} more documents were not indexed.")
        return filled
    wanted = plan.collection or DEFAULT_COLLECTION
    found = {one.name: one for one in api.get("/v1/collections").into(CollectionList).collections}
    if wanted not in found:
        known = f"There are: {', '.join(sorted(found))}." if found else "There is none yet; add documents first."
        raise CollectionNotFound(f"There is no collection {wanted[:100]!r}. {known}")
    return Filled([wanted], found[wanted].documents)


def _run(runner: Runner, plan: Plan, dataset: Dataset, progress: Progress) -> dict[str, ModeResult]:
    total = len(dataset.cases)

    def one(mode: str) -> ModeResult:
        return mode_result(runner.run(dataset.cases, mode, lambda done: progress.at(f"Evaluating {mode}", done, total)))

    return {mode: one(mode) for mode in plan.modes}


def _settings(fleet: FleetAddress) -> dict[str, str]:
    """Return the settings that matter to quality, as far as this machine knows the fleet."""
    try:
        record = fleet.record()
        if record is None or record.gateway_url != fleet.url:
            return {}
        services = Fleet.model_validate_json(record.fleet_json).services
    except (ArgosyError, ValueError):
        return {}
    known: dict[str, object] = {
        "services.embedding.backend": services.embedding.backend,
        "services.embedding.model": services.embedding.model,
        "services.documents.chunk_tokens": services.documents.chunk_tokens,
        "services.retrieval.candidates": services.retrieval.candidates,
        "services.generation.backend": services.generation.backend,
        "services.generation.model": services.generation.model,
        "services.gateway.context_passages": services.gateway.context_passages,
    }
    return {key: str(value) for key, value in known.items() if value not in (None, "")}


def _write_runs(folder: Path, rankings: Mapping[str, dict[str, list[str]]], name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for mode, ranked in rankings.items():
            with (folder / f"{mode}.trec").open("w", encoding="utf-8") as file:
                file.writelines(trec_lines(ranked, name))
    except OSError as error:
        raise InvalidRequest(
            f"The runs cannot be written to {folder}: {error.strerror}. Choose another --runs."
        ) from error


def _plain(name: str) -> str:
    """Return a name that is valid in the name of a result."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)[:60] or "cases"
