"""Client of the generation service."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from argosy.clients.transport import Transport
from argosy.contracts.errors import UpstreamFailed
from argosy.contracts.generation import (
    AnswerEvent,
    AnswerFailed,
    GenerateRequest,
    StandaloneRequest,
    StandaloneResponse,
)
from argosy.contracts.request import RequestContext

_decoder = msgspec.json.Decoder(AnswerEvent)


class GenerationClient:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question, rewritten by the language model. Raises: the errors of `Transport.call`."""
        return await self._transport.call("generation", "/standalone", request, StandaloneResponse, context)

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the events of `AnswerBackend.answer`. Closing the generator closes the connection.

        Raises: the error of the service before the first event; UpstreamFailed when the stream breaks off later.
        """
        finished = False
        async with self._transport.stream("generation", "/answer", request, context) as lines:
            async for line in lines:
                try:
                    event = _decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise UpstreamFailed("The generation service sent an invalid answer event.") from error
                if isinstance(event, AnswerFailed):
                    raise UpstreamFailed(event.message)
                finished = event.__struct_config__.tag == "done"
                yield event
        if not finished:
            raise UpstreamFailed("The generation service ended its answer before the last event.")
