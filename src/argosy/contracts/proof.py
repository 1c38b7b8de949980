"""How a listener proves that it knows the fleet's token, before anybody sends the token to it.

The caller sends a fresh nonce. The listener answers with an HMAC over the nonce and over its own address, keyed with
the token. Because the address is part of it, a stranger cannot pass the question on to a member of the fleet that
listens elsewhere and use the answer as its own.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets

PATH = "/internal/proof"
NONCE_BYTES = 32
NONCE = re.compile(r"[0-9a-f]{64}")
PURPOSE = "argosy listener proof 1"
"""Keeps this use of the token apart from any other that may follow."""


def new_nonce() -> str:
    """A number that was never asked with before, as hexadecimal digits."""
    return secrets.token_hex(NONCE_BYTES)


def proof(token: str, nonce: str, host: str, port: int) -> str:
    """What the fleet's listener at that IP address and port answers to `nonce`. Raises: ValueError, no IP address."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    said = "\n".join((PURPOSE, nonce, str(address), str(port)))
    return hmac.new(token.encode(), said.encode(), hashlib.sha256).hexdigest()


def is_proof(given: str, token: str, nonce: str, host: str, port: int) -> bool:
    """Whether `given` is the proof, compared in constant time."""
    return hmac.compare_digest(given.encode(), proof(token, nonce, host, port).encode())
