"""What a ZIP container claims to hold, read without unpacking anything. Office files and e-books are such."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence

from argosy.contracts.errors import EncryptedDocument, OversizedDocument, UnreadableDocument

MAX_MEMBERS = 20_000
MAX_UNPACKED_BYTES = 1 << 30
"""No honest office file that may be uploaded comes near."""
SUSPECT_UNPACKED_BYTES = 64 << 20
MAX_RATIO = 100
"""XML packs 1 : 10 to 1 : 40. Above this ratio more than SUSPECT_UNPACKED_BYTES are not unpacked."""
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
"""What stands in the old record where the number is in ZIP64's."""
_ENCRYPTED_FLAG = 0x1
LOCKED = "{name} is protected by a password. Save it without one and add it again."


def members_of(data: bytes, name: str) -> frozenset[str]:
    """The names inside, once the container is known to unpack to a reasonable size.

    Raises: UnreadableDocument, damaged; OversizedDocument, a bomb by its own account; EncryptedDocument. A container
    that lies about its sizes is stopped later, by the parser child's limits.
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
    """Refuse a directory of too many members before it is read: reading a million takes seconds.

    Members are counted by their signatures, which is never less than there are, because a container may claim any
    number. Its size may stand in two records; whichever says more counts.
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
    """Return the places of ZIP64 end records: before the locator, and where the locator says."""
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
            f"{name} would unpack from {packed_bytes} to {unpacked} bytes, as archives made to do harm do. "
            "Save it anew, or split it."
        )
