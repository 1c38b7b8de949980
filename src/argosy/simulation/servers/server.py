"""What serves the work inside a simulated replica, and the models of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from argosy.simulation.kernel import Kernel
from argosy.simulation.speed import Speed


class Job(Protocol):
    """A piece of work. Its owner sets `abandoned` when nobody waits for the result any more."""

    work_s: float
    """Time it takes alone at normal speed."""
    abandoned: bool


J = TypeVar("J", bound=Job)
Contra = TypeVar("Contra", bound=Job, contravariant=True)


class Server(Protocol[Contra]):
    @property
    def busy(self) -> int:
        """Jobs that progress."""
        ...

    @property
    def queued(self) -> int:
        """Jobs that wait for their turn."""
        ...

    def submit(self, job: Contra) -> bool:
        """False: refused, the queue is full, and `finished` will not be called for it."""
        ...


class ServerModel(Protocol):
    """The parameters of a server."""

    @property
    def parallel(self) -> float:
        """Jobs that progress at full speed at once; infinite where nothing limits them."""
        ...

    def unprotected(self) -> ServerModel:
        """The same without what keeps it from working for nobody."""
        ...

    def build(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None]) -> Server[J]:
        """`finished` is called once for every job that was taken in."""
        ...
