"""Structured logs: a constant message, variables as fields, one JSON object a line."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import structlog

Logger = structlog.stdlib.BoundLogger


def configure(service: str, replica: str = "", *, sink: Path | None = None) -> None:
    """Sends this process's logs, those of libraries included, as JSON lines to `sink`, or to standard output."""
    stream = (
        sys.stdout if sink is None else os.fdopen(os.open(sink, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    identity = {"service": service, **({"replica": replica} if replica else {})}
    structlog.contextvars.bind_contextvars(**identity)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def logger(name: str) -> Logger:
    """A logger whose lines carry `component=name`."""
    bound: Logger = structlog.get_logger(component=name)
    return bound
