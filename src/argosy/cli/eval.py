"""`argosy eval`: measure how good rankings and answers are, compare two results, and draft questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

if TYPE_CHECKING:
    from argosy.cli.client.locate import FleetAddress

RUN = "run"
MODES = ("hybrid", "dense", "lexical")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class EvalCommands(TyperGroup):
    """Group whose first argument may be what to evaluate: `argosy eval DIR` means `argosy eval run DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [RUN, *args]
        return super().parse_args(ctx, args)


evaluating = typer.Typer(
    cls=EvalCommands,
    help="Measure rankings and answers. `argosy eval DIR` or `argosy eval FILE` is short for `argosy eval run …`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@evaluating.command(RUN)
def run(
    cases: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR|FILE]",
            help="A folder in BEIR layout; a CSV or JSON file of questions; or a JSON file of groups of cases.",
        ),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="How to search: hybrid, dense, lexical, or several with commas.")
    ] = None,
    collection: Annotated[
        str | None, typer.Option(help="The collection that the questions are about (default: default).")
    ] = None,
    documents: Annotated[
        list[Path] | None,
        typer.Option(help="Files or folders to index for the evaluation, instead of a collection. May be repeated."),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Compare two modes of this evaluation, or two stored results."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Evaluate in a temporary fleet with this setting, like key=value. May be repeated."),
    ] = None,
    temporary: Annotated[
        bool, typer.Option("--temporary", help="Start a temporary fleet even if one is running.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of cases: a sample that is always the same.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Name of the judgements in qrels/ (default: test).")] = None,
    answers: Annotated[
        bool, typer.Option("--answers/--no-answers", help="Also ask for answers where the cases expect them.")
    ] = True,
    gates: Annotated[
        list[str] | None,
        typer.Option("--gate", help="Exit with 1 unless this holds, like ndcg@10>=0.55. May be repeated."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the stored result.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder for the rankings as TREC run files.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch collections.")] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Print every case that is wrong, not only the first.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Evaluate, print the metrics with their intervals, and store the result."""
    from argosy.cli.evaluating import evaluation
    from argosy.contracts.errors import InvalidRequest
    from argosy.evaluation.gates import gate
    from argosy.evaluation.results import Results

    conditions = [gate(text) for text in gates or ()]
    fleet = locate(url, admin_url, data_dir)
    if cases is None:
        if compare is None or conditions:
            raise InvalidRequest("Give a folder or a file to evaluate, or two stored results: --compare A B.")
        _compare(fleet, compare, as_json)
        return
    plan = evaluation.Plan(
        cases=cases,
        modes=_modes(mode, compare),
        collection=collection,
        documents=documents or [],
        settings=settings or [],
        temporary=temporary,
        limit=limit,
        split=split,
        answers=answers,
        name=name,
        runs=runs,
        keep=keep,
        address_given=url is not None,
        quiet=as_json,
    )
    results = Results(fleet.data_dir)
    made = evaluation.evaluate(plan, fleet, results)
    _print(made, results, compare, show_all, as_json)
    failed = [why for one in conditions if (why := one.failure({m: r.metrics for m, r in made.modes.items()}))]
    for why in failed:
        output.note(f"The gate failed. {why}")
    if failed:
        raise typer.Exit(1)


@evaluating.command("list")
def list_results(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List stored results, newest first."""
    from argosy.cli.evaluating import printing
    from argosy.contracts.errors import ArgosyError
    from argosy.evaluation.results import Results

    results = Results(locate(None, None, data_dir).data_dir)
    rows, entries = [], []
    for name in results.names():
        try:
            found = results.load(name)
        except ArgosyError as error:
            rows.append((name, output.DASH, output.DASH, error.message))
            continue
        metrics = {mode: result.metrics for mode, result in found.modes.items()}
        entries.append({"name": name, "created_at": found.created_at, "dataset": found.dataset, "modes": metrics})
        rows.append((name, output.moment(found.created_at), found.dataset.name, printing.short(found)))
    if as_json:
        output.json({"evaluations": entries})
        return
    output.table(("name", "when", "evaluated", "metrics"), rows)


@evaluating.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a stored result, latest, or the path of its file.")],
    show_all: Annotated[
        bool, typer.Option("--all", help="Print every case that is wrong, not only the first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result with all cases as JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show a stored result."""
    from argosy.cli.evaluating import printing
    from argosy.evaluation.results import Results

    found = Results(locate(None, None, data_dir).data_dir).load(name)
    if as_json:
        output.json(found)
        return
    printing.print_evaluation(found, show_all)


@evaluating.command()
def make(
    collection: Annotated[str, typer.Option(help="The collection whose documents are asked about.")] = "default",
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="Maximum number of questions.")] = 30,
    file: Annotated[Path, typer.Option("-o", "--output", help="File to write: .csv, .json or .jsonl.")] = Path(
        "questions.csv"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the drafts as JSON too.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Draft questions from the documents of a collection, for you to review."""
    from argosy.cli.client.gateway import Api
    from argosy.cli.evaluating import making
    from argosy.cli.progress import showing

    with showing(quiet=as_json) as progress:
        drafts = making.make(Api(locate(url, admin_url, data_dir).url), collection, count, progress)
    making.write(drafts, file, force)
    if as_json:
        output.json({"file": str(file), "questions": drafts})
        return
    kinds = sorted({one.kind for one in drafts})
    output.table(("kind", "questions"), [(kind, str(sum(one.kind == kind for one in drafts))) for kind in kinds])
    output.line(f"Wrote {output.quantity(len(drafts), 'question')} to {file}.")
    output.note(
        "They are drafts. Read each one: correct it or delete its line, and check that 'expected' is a text that any "
        f"right answer contains. Then run: argosy eval {file} --collection {collection}"
    )


def _modes(given: str | None, compare: Sequence[str] | None) -> list[str]:
    """Return the modes to evaluate: those given, and those that are compared."""
    from argosy.contracts.errors import InvalidRequest

    named = [part.strip() for part in given.split(",") if part.strip()] if given is not None else []
    for part in named:
        if part not in MODES:
            raise InvalidRequest(f"--mode {part!r} is not known; use one or more of {', '.join(MODES)}, with commas.")
    compared = [part for part in compare or () if part in MODES]
    return list(dict.fromkeys([*named, *compared])) or [MODES[0]]


def _print(made: Any, results: Any, compare: Sequence[str] | None, show_all: bool, as_json: bool) -> None:
    from argosy.cli.evaluating import printing
    from argosy.cli.evaluating.comparison import compared

    pair = None if compare is None else compared(results, compare[0], compare[1], made)
    if as_json:
        output.json(printing.summary(made) | ({} if pair is None else {"compare": pair.as_json()}))
        return
    printing.print_evaluation(made, show_all)
    if pair is not None:
        pair.show()
    output.line(f"Stored as {made.name}. Compare it with: argosy eval --compare {made.name} OTHER")


def _compare(fleet: FleetAddress, names: tuple[str, str], as_json: bool) -> None:
    from argosy.cli.evaluating.comparison import compared
    from argosy.evaluation.results import Results

    pair = compared(Results(fleet.data_dir), *names)
    if as_json:
        output.json(pair.as_json())
    else:
        pair.show()


def register(app: typer.Typer) -> None:
    app.add_typer(evaluating, name="eval")
