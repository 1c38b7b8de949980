"""`argosy jobs`: list the indexing jobs and those that ran out of attempts."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.hints import command
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

PAGE = 100

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, help="Maximum number of jobs to print.")]


class State(enum.StrEnum):
    """Copy of the job states of the documents service, which keeps `--help` fast."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


jobs = typer.Typer(
    help="List jobs, or only those that ran out of attempts.", no_args_is_help=True, rich_markup_mode=None
)


@jobs.command("list")
def list_jobs(
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Limit = PAGE,
    as_json: AsJson = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """List jobs, newest first."""
    _show(state, limit, as_json, locate(url, admin_url, data_dir).url)


@jobs.command()
def dead(
    limit: Limit = PAGE, as_json: AsJson = False, url: Url = None, admin_url: AdminUrl = None, data_dir: DataDir = None
) -> None:
    """List jobs that ran out of attempts, and why."""
    shown = _show(State.DEAD, limit, as_json, locate(url, admin_url, data_dir).url)
    if shown and not as_json:
        output.note(f"Retry them with: {command('documents retry --all dead')}")


def _show(state: State | None, limit: int, as_json: bool, url: str) -> int:
    """Print the jobs, newest first. Returns: the number of printed jobs."""
    from argosy.cli.client.gateway import Api
    from argosy.contracts.documents import JobPage

    api = Api(url)
    shown = JobPage(jobs=[])
    params: dict[str, str | int] = {} if state is None else {"state": state.value}
    while len(shown.jobs) < limit:
        params["limit"] = min(PAGE, limit - len(shown.jobs))
        page = api.get("/v1/jobs", params).into(JobPage)
        shown.jobs += page.jobs
        shown.next = page.next
        if page.next is None:
            break
        params["after"] = page.next
    if as_json:
        output.json(shown)
    else:
        output.table(
            ("job", "kind", "state", "document", "name", "attempts", "error"),
            [
                (
                    str(job.id),
                    job.kind,
                    job.state,
                    job.document_id,
                    job.name or output.DASH,
                    str(job.attempts),
                    "" if job.error is None else f"{job.error.code}: {job.error.detail}",
                )
                for job in shown.jobs
            ],
        )
    return len(shown.jobs)


def register(app: typer.Typer) -> None:
    app.add_typer(jobs, name="jobs")
