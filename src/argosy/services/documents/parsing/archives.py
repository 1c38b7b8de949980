"""Checks of ZIP containers (office files, e-books) by their directory, without unpacking anything."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence

from argosy.contracts.errors import EncryptedDocument, OversizedDocument, UnreadableDocument

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 1 << 30
"""Limit on the unpacked size. Genuine office files of an allowed upload size stay far below it."""
SUSPECT_UNPACKED_BYTES = 64 << 20
MAX_RATIO = 100
"""Highest compression ratio of a container that unpacks to more than SUSPECT_UNPACKED_BYTES.

XML packs 1 : 10 to 1 : 40, so a higher ratio is taken for a ZIP bomb.
"""
_MAX_MEMBER_RATIO = 1000
_DIRECTORY_BYTES = MAX_MEMBERS * 300
_END = b"PK\x05\x06"
_END_BYTES = 22
_MEMBER = b"PK\x01\x02"
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_ZIP64_END = b"PK\x06\x06"
_ZIP64_END_BYTES = 56
_ZIP64_BYTES = _ZIP64_LOCATOR_BYTES + _ZIP64_END_BYTES
_IN_ZIP64 = 0xFFFF
_SIZE_IN_ZIP64 = 0xFFFFFFFF
"""Placeholders in the old end record, used when the actual number is in the ZIP64 record."""
_ENCRYPTED_FLAG = 0x1
LOCKED = "{name} is protected by a password. Save it without one and add it again."


def members_of(data: bytes, name: str) -> frozenset[str]:
    """Return the names of the members, after checking that the container unpacks to a reasonable size.

    Raises: UnreadableDocument when the container is damaged; OversizedDocument when its declared sizes are those of a
    ZIP bomb; EncryptedDocument when a member is encrypted. A container that declares false sizes is stopped later, by
    the limits of the parser child.
    """
    _check_directory(data, name)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, OverflowError, struct.error) as error:
        raise UnreadableDocument(f"{name} is damaged: its ZIP container is broken or cut off.") from error
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise EncryptedDocument(LOCKED.format(name=name))
    _check_sizes(entries, len(data), name)
    return frozenset(entry.filename for entry in entries)


def _check_directory(data: bytes, name: str) -> None:
    """Refuse a directory with too many members before it is read: reading a million members takes seconds.

    A container may declare any number of members, so they are counted by their signatures; that count is never too low.
    The size may be declared in two records; the higher one counts.
    """
    end = data.rfind(_END, max(0, len(data) - _END_BYTES - 0xFFFF))
    if end < 0 or end + _END_BYTES > len(data):
        raise UnreadableDocument(f"{name} is damaged: its ZIP container is broken or cut off.")
    members, size = struct.unpack_from("<HI", data, end + 10)
    members, size = (0 if members == _IN_ZIP64 else members), (0 if size == _SIZE_IN_ZIP64 else size)
    for place in _zip64_records(data, end):
        here, total, wide_size = struct.unpack_from("<QQQ", data, place + 24)
        members, size = max(members, here, total), max(size, wide_size)
    if size <= _DIRECTORY_BYTES:
        members = max(members, data.count(_MEMBER, max(0, end - size - _ZIP64_BYTES), end))
    if members > MAX_MEMBERS or size > _DIRECTORY_BYTES:
        raise OversizedDocument(f"{name} holds more than {MAX_MEMBERS} files inside, the limit. Split it.")


def _zip64_records(data: bytes, end: int) -> list[int]:
    """Return the offsets of ZIP64 end records: directly before the locator, and where the locator points."""
    locator = end - _ZIP64_LOCATOR_BYTES
    if locator < 0 or not data.startswith(_ZIP64_LOCATOR, locator):
        return []
    (told,) = struct.unpack_from("<Q", data, locator + 8)
    places = {locator - _ZIP64_END_BYTES, told}
    return [
        place for place in places if 0 <= place <= locator - _ZIP64_END_BYTES and data.startswith(_ZIP64_END, place)
    ]


def _check_sizes(entries: Sequence[zipfile.ZipInfo], packed_bytes: int, name: str) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    worst = max((e.file_size / max(1, e.compress_size) for e in entries if e.file_size > 1 << 20), default=0.0)
    suspect = unpacked > SUSPECT_UNPACKED_BYTES and unpacked > MAX_RATIO * packed_bytes
    if unpacked > MAX_UNPACKED_BYTES or suspect or worst > _MAX_MEMBER_RATIO:
        raise OversizedDocument(
            f"{name} would unpack from {packed_bytes} to {unpacked} bytes, which looks like a ZIP bomb. "
            "Save it again, or split it."
        )
