"""`argosy ask`: ask a question and print an answer with its sources."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import AdminUrl, DataDir, Url, locate
from argosy.cli.wrapping import WordWrap, columns_of

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api
    from argosy.cli.client.replies import Chat
    from argosy.contracts.generation import Citation

ROUTE = "/v1/chat/completions"
QUOTE_CHARS = 120


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    collection: Annotated[str | None, typer.Option(help="The collection to search.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    stream: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Print words as they arrive (default on a terminal).")
    ] = None,
    url: Url = None,
    admin_url: AdminUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Ask a question and print the answer with its sources."""
    from argosy.cli.client.gateway import Api

    streamed = (output.is_terminal() if stream is None else stream) and not as_json
    request: dict[str, object] = {
        "model": "argosy",
        "messages": [{"role": "user", "content": question}],
        "stream": streamed,
    }
    if collection is not None:
        request["collection"] = collection
    api = Api(locate(url, admin_url, data_dir).url)
    if as_json:
        _print_json(api, request)
        return
    answer = _print_stream(api, request) if streamed else _print_whole(api, request)
    _print_sources(answer.citations or [])
    if answer.degraded:
        output.line(f"Degraded answer: a fallback replaced {', '.join(answer.degraded)}.", color="yellow")


def _print_json(api: Api, request: dict[str, object]) -> None:
    import time

    from argosy.cli.client.replies import Chat

    started_s = time.monotonic()
    answer = api.post(ROUTE, request).into(Chat)
    output.json(
        {
            "answer": _text(answer),
            "citations": answer.citations or [],
            "degraded": answer.degraded or [],
            "model": answer.model,
            "answered_by": answer.answered_by or answer.model,
            "timings_ms": answer.timings_ms or {"total": round((time.monotonic() - started_s) * 1000, 1)},
        }
    )


def _print_whole(api: Api, request: dict[str, object]) -> Chat:
    from argosy.cli.client.replies import Chat

    answer = api.post(ROUTE, request).into(Chat)
    output.line(_text(answer))
    return answer


def _print_stream(api: Api, request: dict[str, object]) -> Chat:
    """Print words as they arrive.

    Returns: the citations and degraded services that came with the words.
    Raises: the ArgosyError that a chunk carries; UpstreamFailed when the stream ends early.
    """
    import contextlib

    from argosy.cli.client.gateway import decoded
    from argosy.cli.client.replies import Chat
    from argosy.contracts.errors import UpstreamFailed, error_from_wire

    said = Chat()
    columns = columns_of(sys.stdout)
    writer = None if columns is None else WordWrap(columns)
    with contextlib.closing(api.events(ROUTE, request)) as events:
        for event in events:
            if event == b"[DONE]":
                output.line(writer.end() if writer else "")
                return said
            chunk = decoded(event, Chat)
            if chunk.error is not None:
                output.line()
                raise error_from_wire(502, event, "gateway")
            if chunk.choices and chunk.choices[0].delta.content:
                words = chunk.choices[0].delta.content
                output.part(writer.feed(output.printable(words)) if writer else words)
            said.citations = chunk.citations or said.citations
            said.degraded = chunk.degraded or said.degraded
    output.line(writer.end() if writer else "")
    raise UpstreamFailed("The answer ended before it was complete; ask again.")


def _text(answer: Chat) -> str:
    return (answer.choices[0].message.content or "") if answer.choices else ""


def _print_sources(citations: list[Citation]) -> None:
    if citations:
        output.line()
    for citation in citations:
        output.line(describe(citation))


def describe(citation: Citation) -> str:
    """Return the line of a source, like `[1] handbook.md › Opening hours (p. 3)  "The harbour office…"`."""
    place = " › ".join([citation.name, *citation.heading_path])
    pages = output.pages(citation.page, citation.last_page)
    return output.one_line(f"[{citation.index}] {place}{pages}") + f'  "{output.one_line(citation.quote, QUOTE_CHARS)}"'


def register(app: typer.Typer) -> None:
    app.command()(ask)
