"""Access to the XML parts of office documents, with limits, and their rewriting before xberg reads a document."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

Element = ElementTree.Element
MAX_XML_BYTES = 48 << 20
"""Largest part that is read as a tree, which takes about ten times its size. Larger documents are read as they are."""
MAX_DEPTH = 200
"""Deepest nesting of elements that is read as a tree."""
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
R = "{" + OFFICE + "}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_UNREAD = (
    *("word/theme/", "word/stylesWithEffects", "word/fontTable", "word/webSettings", "word/settings", "word/glossary/"),
    *("customXml/", "ppt/theme/", "ppt/slideLayouts/", "ppt/slideMasters/", "ppt/notesSlides/", "ppt/notesMasters/"),
)
"""Parts without words of the document, or whose words were put elsewhere."""
_STRICT = {
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": W[1:-1].encode(),
    b"http://purl.oclc.org/ooxml/drawingml/main": A[1:-1].encode(),
    b"http://purl.oclc.org/ooxml/presentationml/main": P[1:-1].encode(),
    b"http://purl.oclc.org/ooxml/spreadsheetml/main": S[1:-1].encode(),
    b"http://purl.oclc.org/ooxml/officeDocument/relationships": OFFICE.encode(),
}
"""Namespaces of the strict variant of the standard, and those of the usual one."""
for _prefix, _space in {"w": W, "a": A, "p": P, "r": R, "mc": MC}.items():
    ElementTree.register_namespace(_prefix, _space[1:-1])
ElementTree.register_namespace("wp", "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing")
ElementTree.register_namespace("wps", "http://schemas.microsoft.com/office/word/2010/wordprocessingShape")
ElementTree.register_namespace("v", "urn:schemas-microsoft-com:vml")


class UnreadablePart(Exception):
    """A part of a document is missing, damaged or too large, so that the document is read without it."""


class Package:
    """An office document: its XML parts by name."""

    def __init__(self, data: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError) as error:
            raise UnreadablePart("the container is broken") from error
        self.names = frozenset(self._archive.namelist())
        self._left_bytes = 4 * MAX_XML_BYTES

    def read(self, name: str) -> bytes:
        """Return the bytes of a part.

        Raises: UnreadablePart when it is missing, broken, or the document's parts are too large together.
        """
        try:
            size = self._archive.getinfo(name).file_size
            if size > min(MAX_XML_BYTES, self._left_bytes):
                raise UnreadablePart("the part is too large")
            self._left_bytes -= size
            return self._archive.read(name)
        except (
            KeyError,
            zipfile.BadZipFile,
            ValueError,
            OSError,
            EOFError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise UnreadablePart("the part cannot be read") from error
        except Exception as error:  # zlib and lzma raise errors of their own
            if isinstance(error, UnreadablePart) or type(error).__module__ in ("zlib", "_lzma", "lzma"):
                raise UnreadablePart("the part cannot be read") from error
            raise

    def tree(self, name: str) -> Element:
        """Return a part as a tree.

        Raises: UnreadablePart as `read` does, or when the part declares a document type, is not XML, or is nested too
        deeply.
        """
        return tree(self.read(name))

    def targets(self, name: str) -> dict[str, tuple[str, str]]:
        """Return what a part refers to: by id, the kind of the relation ("footnotes") and the target's name."""
        folder, file = posixpath.split(name)
        try:
            root = self.tree(posixpath.join(folder, "_rels", f"{file}.rels"))
        except UnreadablePart:
            return {}
        found = {}
        for one in root:
            if one.get("TargetMode") != "External":
                kind = (one.get("Type") or "").rsplit("/", 1)[-1]
                target = one.get("Target") or ""
                path = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
                found[one.get("Id") or ""] = (kind, path)
        return found

    def rewritten(self, changed: Mapping[str, bytes], without: frozenset[str] = frozenset()) -> bytes:
        """Return the document with the changed parts, but not media, parts without words, or those in `without`."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
            for name in self.names:
                if name in changed:
                    new.writestr(name, changed[name])
                elif name not in without and name.endswith((".xml", ".rels")) and not name.startswith(_UNREAD):
                    new.writestr(name, self.read(name), compress_type=zipfile.ZIP_DEFLATED, compresslevel=1)
        return target.getvalue()


def tree(data: bytes) -> Element:
    """Return XML as a tree; see `Package.tree`."""
    if b"<!DOCTYPE" in data[:100_000] or b"\0" in data[:1000] or b"<!ENTITY" in data:
        raise UnreadablePart("the part declares a document type")
    if b"purl.oclc.org/ooxml" in data[:20_000]:
        for strict, usual in _STRICT.items():
            data = data.replace(strict, usual)
    depth = 0
    root: Element | None = None
    try:
        for event, element in ElementTree.iterparse(io.BytesIO(data), ("start", "end")):
            root = element if root is None else root
            depth += 1 if event == "start" else -1
            if depth > MAX_DEPTH:
                raise UnreadablePart("the part is nested too deeply")
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UnreadablePart("the part is not XML") from error
    if root is None:
        raise UnreadablePart("the part is empty")
    return root


def written(root: Element) -> bytes:
    """Return a tree as XML."""
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def parents(root: Element) -> dict[Element, Element]:
    """Return the parent of each element."""
    return {child: parent for parent in root.iter() for child in parent}


def descendants(root: Element, *tags: str) -> Iterator[Element]:
    """Return the elements of these names below `root`, in order."""
    wanted = frozenset(tags)
    return (element for element in root.iter() if element.tag in wanted)


def is_on(element: Element | None, attribute: str = "val", space: str = W) -> bool:
    """Return whether a switch such as <w:vanish/> is there and not turned off."""
    return element is not None and (element.get(space + attribute) or "true").lower() not in (
        "0",
        "false",
        "off",
        "none",
    )
