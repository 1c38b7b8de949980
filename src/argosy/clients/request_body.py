"""A request's body on its way to a replica, which comes piece by piece from a caller who may stop at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

from argosy.contracts.errors import InvalidRequest


class RequestBody(AsyncIterator[bytes]):
    """Pass the pieces on and remember whether the caller is to blame when they do not come."""

    def __init__(self, pieces: AsyncIterator[bytes], length: int | None = None) -> None:
        """`length` is the promised size in bytes; None when it is not known before the end."""
        self._pieces = pieces
        self._left = length
        self._waiting = False
        self.failure: Exception | None = None
        """The error with which the pieces ended early."""

    async def __anext__(self) -> bytes:
        """Raises: InvalidRequest, the body has another length than promised.

        A body that ends early must end with an error: the replica would take the next request on the connection for
        the missing rest.
        """
        self._waiting = True
        try:
            piece = await anext(self._pieces)
            self._count(len(piece))
        except StopAsyncIteration:
            if self._left:
                self.failure = InvalidRequest("The body is shorter than its Content-Length.")
                raise self.failure from None
            raise
        except Exception as error:
            self.failure = error
            raise
        finally:
            self._waiting = False
        return piece

    def _count(self, size: int) -> None:
        if self._left is None:
            return
        self._left -= size
        if self._left < 0:
            raise InvalidRequest("The body is longer than its Content-Length.")

    def at_fault(self, error: BaseException) -> bool:
        """Whether the caller, not the replica, is why the call ended with `error`."""
        broke_off = isinstance(error, aiohttp.ClientError) and not isinstance(error, TimeoutError)
        return self.failure is not None or (self._waiting and not broke_off)
