"""Proof that a listener knows the fleet's token, given before a caller sends the token to it.

The caller sends a fresh nonce. The listener answers with an HMAC over the nonce and its own address, keyed with the
token. Because the HMAC covers the address, a stranger cannot pass the nonce on to a member of the fleet at another
address and use the answer as its own.
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
"""Prefix that separates this use of the token from any later use."""


def new_nonce() -> str:
    """Return a random number that was never used before, as hexadecimal digits."""
    return secrets.token_hex(NONCE_BYTES)


def proof(token: str, nonce: str, host: str, port: int) -> str:
    """Return the answer to `nonce` of the fleet's listener at that IP address and port.

    Raises: ValueError when `host` is not an IP address.
    """
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    said = "\n".join((PURPOSE, nonce, str(address), str(port)))
    return hmac.new(token.encode(), said.encode(), hashlib.sha256).hexdigest()


def is_proof(given: str, token: str, nonce: str, host: str, port: int) -> bool:
    """Return whether `given` is the proof, compared in constant time.

    Raises: ValueError when `host` is not an IP address.
    """
    return hmac.compare_digest(given.encode(), proof(token, nonce, host, port).encode())
