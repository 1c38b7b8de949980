"""Route with which a listener proves that it belongs to the fleet. It needs no token: a caller sends none before."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from argosy.contracts import proof
from argosy.contracts.errors import InvalidRequest


def proof_route(token: str) -> Route:
    """Return the route that answers `?nonce=` with the proof for the local address of the connection."""

    async def prove(request: Request) -> Response:
        nonce = request.query_params.get("nonce", "")
        if not proof.NONCE.fullmatch(nonce):
            raise InvalidRequest("nonce must be 64 hexadecimal digits. Send a random one.", param="nonce")
        host, port = request.scope["server"]
        return PlainTextResponse(proof.proof(token, nonce, host, port))

    return Route(proof.PATH, prove)
