"""`argosy search`: print the passages that best match a query."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate

TEXT_CHARS = 160


class Mode(enum.StrEnum):
    """Copy of `contracts.retrieval.SearchMode`, because importing it costs every `--help` a tenth of a second."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


def search(
    query: Annotated[str, typer.Argument(help="The search query.")],
    mode: Annotated[
        Mode, typer.Option(help="How to search: by vectors (dense), by words (lexical), or by both.")
    ] = Mode.HYBRID,
    top_k: Annotated[int, typer.Option(min=1, help="Maximum number of passages to print.")] = 10,
    collection: Annotated[str | None, typer.Option(help="The collection to search.")] = None,
    rerank: Annotated[
        bool | None,
        typer.Option(
            help="Whether the fleet's reranker orders the best passages again. [default: the fleet's setting]"
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="A condition such as name=handbook.md, lang!=de, 'year>=2020' or 'changed<2024-05-31'. "
            "Repeat it for several conditions, all of which must be met.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the gateway's answer as JSON.")] = False,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Print the passages that best match a query."""
    from argosy.cli.client.gateway import Api
    from argosy.cli.client.replies import SearchReply
    from argosy.cli.filters import filters_of

    request: dict[str, object] = {"query": query, "mode": mode.value, "top_k": top_k}
    if collection is not None:
        request["collection"] = collection
    if rerank is not None:
        request["rerank"] = rerank
    if filters:
        request["filters"] = filters_of(filters)
    reply = Api(locate(url, admin_url, data_dir).url).post("/v1/search", request)
    found = reply.into(SearchReply)
    if as_json:
        output.json(reply.body)
        return
    if not found.results:
        output.line("Nothing found.")
    else:
        output.table(
            ("score", "passage", "text"),
            [
                (
                    f"{hit.score:.3f}",
                    " › ".join([hit.name, *hit.heading_path]) + output.pages(hit.page, hit.last_page),
                    output.one_line(hit.text, TEXT_CHARS),
                )
                for hit in found.results
            ],
        )
    if found.warning:
        output.note(found.warning)
    if found.degraded:
        output.line(f"Degraded answer: a fallback replaced {', '.join(found.degraded)}.", color="yellow")


def register(app: typer.Typer) -> None:
    app.command()(search)
