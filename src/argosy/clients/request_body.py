"""Request body that is streamed to a replica from a caller that may stop at any time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

from argosy.contracts.errors import InvalidRequest


class RequestBody(AsyncIterator[bytes]):
    """Streamed body that records whether the caller caused a missing piece."""

    def __init__(self, pieces: AsyncIterator[bytes], length: int | None = None) -> None:
        """Create the body; `length` is the announced size in bytes, None when it is unknown before the end."""
        self._pieces = pieces
        self._left = length
        self._waiting = False
        self.failure: Exception | None = None
        """Error with which the pieces ended early."""

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises: InvalidRequest when the length of the body differs from the announced one. A body that ends early must
        end with an error, because the replica would read the next request on the connection as the missing rest.
        """
        self._waiting = True
        try:
            piece = await anext(self._pieces)
            self._count(len(piece))
        except StopAsyncIteration:
            if self._left:
                self.failure = InvalidRequest("The body is shorter than its Content-Length. Send the whole body.")
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
            raise InvalidRequest("The body is longer than its Content-Length. Correct the header.")

    def at_fault(self, error: BaseException) -> bool:
        """Return whether the caller, not the replica, caused the call to end with `error`."""
        broke_off = isinstance(error, aiohttp.ClientError) and not isinstance(error, TimeoutError)
        return self.failure is not None or (self._waiting and not broke_off)
