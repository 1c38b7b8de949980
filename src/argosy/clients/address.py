"""Construction of the URL of a path at a replica; no other place does this."""

from __future__ import annotations

import re
from urllib.parse import unquote

from yarl import URL

from argosy.contracts.errors import InvalidRequest

_UNESCAPED = re.compile(r"[^\x21-\x7e]|[#\\]")
"""Characters that some parsers drop or read as the end of a path or a segment."""
_SEPARATORS = re.compile(r"[/\\]")


def url_at(endpoint_url: str, path: str, query: str = "") -> URL:
    """Return the URL of an escaped `path` at a replica; the path is sent exactly as given.

    Scheme, host and port are always those of the endpoint, regardless of the path.
    Raises: InvalidRequest when the path could be read as another path or another host.
    """
    if not path.startswith("/") or _UNESCAPED.search(path):
        raise InvalidRequest(
            r"The path contains a character that is not allowed in a path, such as a space, \ or #. Percent-encode it.",
            param="path",
        )
    if any(_climbs(segment) for segment in path.split("/")):
        raise InvalidRequest("The path contains a segment . or .. that leads to another path. Remove it.", param="path")
    base = URL(endpoint_url)
    made = URL.build(scheme=base.scheme, authority=base.raw_authority, path=path, query_string=query, encoded=True)
    if (made.raw_authority, made.raw_path, made.raw_query_string) != (base.raw_authority, path, query):
        raise InvalidRequest(
            "The path or the query contains characters that cannot be sent. Percent-encode them.", param="path"
        )
    return made


def _climbs(segment: str) -> bool:
    """Return whether a server that decodes the segment may find `.` or `..` in it, also with parameters after a `;`."""
    if "." not in segment and "%2" not in segment:
        return False
    return any(part.partition(";")[0] in (".", "..") for part in _SEPARATORS.split(unquote(segment)))
