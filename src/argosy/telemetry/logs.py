"""Structured logs: a constant message, variables as fields, one JSON object per line.

They are built on the standard library's logging, so that the logs of libraries have the same form.
"""

from __future__ import annotations

import datetime
import logging
import sys
from contextvars import ContextVar
from pathlib import Path

import msgspec

from argosy.telemetry.log_output import FIELDS, LogOutput, Rotation

ROOT = "argosy"
REQUEST_FIELD = "argosy_request_id"
"""Attribute of a log record that holds the id of its request."""
REQUEST_ID: ContextVar[str] = ContextVar("argosy_request_id", default="")
"""Id of the request that this task serves; every line that it logs carries it."""


class Logger:
    """Logger of events with fields. `exc_info` is an exception whose traceback is added to the line."""

    def __init__(self, component: str) -> None:
        self._logger = logging.getLogger(f"{ROOT}.{component}")
        self._component = component

    def info(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self._log(logging.INFO, event, exc_info, fields)

    def warning(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self._log(logging.WARNING, event, exc_info, fields)

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
        self._log(logging.ERROR, event, exc_info, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log an error with the traceback of the current exception. Call in an `except` block for unexpected errors."""
        self._log(logging.ERROR, event, sys.exc_info()[1], fields)

    def _log(self, level: int, event: str, error: BaseException | None, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=error, extra={FIELDS: {"component": self._component, **fields}})


class JsonLines(logging.Formatter):
    """Formatter that writes one JSON object per record, with `identity` in each."""

    def __init__(self, identity: dict[str, str]) -> None:
        super().__init__()
        self._identity = identity

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **self._identity,
            **getattr(record, FIELDS, {"component": record.name}),
        }
        request_id = getattr(record, REQUEST_FIELD, "")
        if request_id:
            line.setdefault("request_id", request_id)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(
    service: str, replica: str = "", *, sink: Path | None = None, rotation: Rotation | None = None
) -> LogOutput:
    """Send the logs of this process, including those of libraries, to `sink`, or to standard output."""
    handler = LogOutput(sink, rotation)
    handler.addFilter(_with_request)
    handler.setFormatter(JsonLines(identity_of(service, replica)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(logging.INFO)
    return handler


def identity_of(service: str, replica: str) -> dict[str, str]:
    """Return the fields that name the process in each line."""
    return {"service": service, **({"replica": replica} if replica else {})}


def _with_request(record: logging.LogRecord) -> bool:
    """Keep the request's id with the record: a count of repeats may be written outside the request."""
    setattr(record, REQUEST_FIELD, REQUEST_ID.get())
    return True


def logger(component: str) -> Logger:
    """Return a logger whose lines carry `component`."""
    return Logger(component)
