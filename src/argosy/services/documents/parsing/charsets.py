"""Encodings in which received text is decoded. Decoding time of each grows linearly with the length.

Some Python codecs are not encodings of documents: `punycode` takes time that grows with the square of the length. An
encoding that is not on the list counts as not declared.
"""

from __future__ import annotations

import codecs
import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,39}")
_CHEAP = frozenset(
    codecs.lookup(name).name
    for name in (
        *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"),
        *(f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))),
        *("cp437", "cp720", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857", "cp858", "cp860", "cp861", "cp862"),
        *("cp863", "cp864", "cp865", "cp866", "cp869", "cp874", "cp932", "cp949", "cp950", "cp1006", "cp1125"),
        *(f"cp125{number}" for number in range(9)),
        *("shift_jis", "shift_jis_2004", "shift_jisx0213", "euc_jp", "euc_jis_2004", "euc_jisx0213", "euc_kr", "johab"),
        *("iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3", "iso2022_jp_ext"),
        *("iso2022_kr", "gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "tis_620", "ptcp154", "kz1048"),
        *("koi8_r", "koi8_u", "koi8_t", "mac_roman", "mac_cyrillic", "mac_greek", "mac_latin2", "mac_turkish"),
        *("mac_iceland", "hp_roman8"),
    )
)


def known_charset(name: str) -> str | None:
    """Return the codec for a declared encoding, or None when the name is unknown or its codec is not on the list."""
    if not _NAME.fullmatch(name):
        return None
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return codec if codec in _CHEAP else None
