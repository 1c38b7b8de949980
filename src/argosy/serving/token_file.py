"""Token of the fleet in `data_dir/token`, with which members of the fleet authenticate to each other."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from argosy.contracts.errors import StartError
from argosy.serving import private_file, runfile

NAME = "token"
TOKEN_BYTES = 32
TOKEN = re.compile(r"[0-9a-f]{64}")


def read(data_dir: Path) -> str:
    """Return the fleet's token.

    Raises: FileNotFoundError when there is no token; OSError when it cannot be read; StartError when the file was not
    made by the fleet or is not private.
    """
    path = data_dir / NAME
    content = private_file.read(path).strip()
    token = content.decode("ascii", "replace")
    if not TOKEN.fullmatch(token):
        raise StartError(
            f"{path} does not hold a token of {2 * TOKEN_BYTES} hexadecimal digits. Stop the fleet (argosy down), "
            "remove the file, and start the fleet again: it makes a new one."
        )
    return token


def read_or_make(data_dir: Path) -> str:
    """Return the fleet's token; make one when there is none. Raises: OSError or StartError as `read` does."""
    try:
        return read(data_dir)
    except FileNotFoundError:
        token = secrets.token_hex(TOKEN_BYTES)
        runfile.write_private(data_dir / NAME, token.encode())
        return token
