"""Wheels from the package index that pip is configured to use, fetched by HTTP: neither pip nor uv is needed."""

from __future__ import annotations

import base64
import configparser
import hashlib
import html.parser
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, cast
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

INDEX_VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
CERTIFICATE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
ACCEPTED = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
TIMEOUT_S = 30.0
PAGE_BYTES = 32 * 2**20
WHEEL_BYTES = 4 * 2**30
PIECE_BYTES = 2**20


class IndexFailed(Exception):
    """The index provided no usable wheel; `str()` is a clause without addresses, which may contain a password."""


@dataclass(frozen=True, slots=True)
class _Wheel:
    name: str
    url: str
    sha256: str | None


def configured_indexes(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the http addresses of the indexes in the variables or the files that pip reads, the main one first."""
    main = next((environ[name] for name in INDEX_VARIABLES if environ.get(name)), None)
    more = environ.get("PIP_EXTRA_INDEX_URL")
    for path in _configurations(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("install", "global"):
            stated = {key: parser.get(section, key, fallback=None) for key in ("index-url", "extra-index-url")}
            main = main or stated["index-url"]
            more = more or stated["extra-index-url"]
    return [address for address in f"{main or ''} {more or ''}".split() if address.startswith(("http://", "https://"))]


def _configurations(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's configuration files, the one that overrides the others first."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    if named:
        yield Path(named)
    home = Path(environ.get("HOME") or Path.home())
    yield Path(sys.prefix) / "pip.conf"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield home / ".pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    yield Path("/etc/xdg/pip/pip.conf")


def unpack_wheel(index: str, distribution: str, version: str, target: Path) -> None:
    """Fetch a wheel for any platform and unpack it below `target`.

    Raises: IndexFailed when the index cannot be read or has no such wheel, or the wheel's hash is not the index's.
    """
    try:
        wheel = _find(index, distribution, version)
        path = target / "fetched.whl"
        _download(wheel, index, path)
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > WHEEL_BYTES:
                raise IndexFailed("the wheel unpacks to more than the limit")
            archive.extractall(target)
        path.unlink()
    except urllib.error.HTTPError as error:
        error.close()
        raise IndexFailed(f"the index answered {error.code}") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise IndexFailed(f"the index cannot be reached ({reason})") from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise IndexFailed(f"the index sent something else ({type(error).__name__})") from error


def _find(index: str, distribution: str, version: str) -> _Wheel:
    page = f"{index.rstrip('/')}/{_normalised(distribution)}/"
    with _open(page, index, ACCEPTED) as answer:
        body = answer.read(PAGE_BYTES)
        base = answer.geturl()
        listed = "json" in answer.headers.get("content-type", "")
    pattern = re.compile(
        rf"{_normalised(distribution).replace('-', '[-_.]+')}-{re.escape(version)}(?:-\d[^-]*)?-[^-]+-[^-]+-any\.whl",
        re.IGNORECASE,
    )
    for wheel in _from_json(body, base) if listed else _from_html(body, base):
        if pattern.fullmatch(wheel.name):
            return wheel
    raise IndexFailed(f"the index has no wheel of {distribution} {version}")


def _from_json(body: bytes, base: str) -> Iterator[_Wheel]:
    for file in json.loads(body)["files"]:
        yield _Wheel(file["filename"], urljoin(base, file["url"]), file.get("hashes", {}).get("sha256"))


def _from_html(body: bytes, base: str) -> Iterator[_Wheel]:
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    for link in links.found:
        url, fragment = urldefrag(urljoin(base, link))
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        yield _Wheel(name, url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None)


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _download(wheel: _Wheel, index: str, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with _open(wheel.url, index, "*/*") as answer, path.open("wb") as file:
        while piece := answer.read(PIECE_BYTES):
            size += len(piece)
            if size > WHEEL_BYTES:
                raise IndexFailed("the wheel is larger than the limit")
            digest.update(piece)
            file.write(piece)
    if wheel.sha256 and digest.hexdigest() != wheel.sha256.lower():
        raise IndexFailed("the wheel has another hash than the index states")


def _open(url: str, index: str, accepted: str) -> HTTPResponse:
    """Open an address. The index's own credentials are sent to its host only, and not after a redirect."""
    parts, own = urlsplit(url), urlsplit(index)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise IndexFailed("the index is not at an http or https address")
    user = parts.username or (own.username if parts.hostname == own.hostname else None)
    password = parts.password or (own.password if parts.hostname == own.hostname else None)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(bare, headers={"accept": accepted})
    if user:
        pair = f"{unquote(user)}:{unquote(password or '')}".encode()
        request.add_unredirected_header("authorization", f"Basic {base64.b64encode(pair).decode()}")
    bundle = next((os.environ[name] for name in CERTIFICATE_VARIABLES if os.environ.get(name)), None)
    trusted = ssl.create_default_context(cafile=bundle if bundle and Path(bundle).is_file() else None)
    return cast("HTTPResponse", cast("IO[bytes]", urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trusted)))


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
