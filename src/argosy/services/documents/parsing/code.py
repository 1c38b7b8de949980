"""Sections of source code and of configuration files: where definitions begin, and their names.

Python is read by its own parser. In other languages, keywords, braces and indentation tell where a definition begins.
This is a heuristic: a missed definition only becomes part of the section before it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

from argosy.services.documents.parsing.parsed import CodeSection

PYTHON = frozenset({".py", ".pyi", ".pyw"})
KEYED = frozenset({".yaml", ".yml"})
BRACKETED = frozenset({".toml", ".ini", ".cfg", ".conf", ".properties", ".desktop", ".service"})
SOURCE = frozenset(
    f".{suffix}"
    for suffix in (
        *("sh", "bash", "zsh", "fish", "ps1", "sql", "js", "mjs", "cjs", "jsx", "ts", "tsx", "vue", "svelte", "go"),
        *("rs", "java", "kt", "kts", "scala", "groovy", "c", "h", "cc", "cpp", "cxx", "hpp", "hh", "m", "mm", "cs"),
        *("rb", "php", "pl", "pm", "lua", "swift", "dart", "r", "jl", "ex", "exs", "erl", "hs", "ml", "clj", "el"),
        *("proto", "thrift", "graphql", "tf", "zig", "nim", "vb", "pas", "f90", "asm", "css", "scss", "less"),
    )
)
SUFFIXES = tuple(sorted(PYTHON | KEYED | BRACKETED | SOURCE))

MAX_LINE_CHARS = 400
"""Characters of a line that are examined: lines of minified code are megabytes long."""
MAX_NAME_CHARS = 120
_NAME = r"[A-Za-z_$~][\w$.:~]{0,119}"
_MODIFIER = (
    r"(?:export|default|public|private|protected|internal|static|final|abstract|async|pub|unsafe|extern|inline|"
    r"virtual|override|sealed|partial|open|data|const|declare|suspend|local)"
)
_KEYWORD = re.compile(
    rf"(?:{_MODIFIER}(?:\([^)]{{0,40}}\))? +){{0,6}}"
    r"(?:class|interface|struct|enum|trait|fn|fun|func|function|def|module|namespace|type|record|object|protocol|"
    rf"contract|sub|procedure|message|service|macro_rules!) +\*?({_NAME})"
)
_METHOD_OF = re.compile(rf"func +\([^)]{{0,100}}\) *({_NAME})")
_IMPLEMENTS = re.compile(r"impl\b(?:<[^{]{0,100}>)? +([^{]{1,120}?) *\{")
_SQL = re.compile(
    r"create +(?:or +replace +)?(?:temp(?:orary)? +|unique +|materialized +)?(?:table|view|function|procedure|index|"
    r"trigger|type|schema)(?: +if +not +exists)? +([^\s(]{1,120})",
    re.IGNORECASE,
)
_SHELL = re.compile(r"([A-Za-z_][\w.-]{0,100}) *\(\) *\{?$")
_ARROW = re.compile(
    rf"(?:export +)?(?:const|let|var) +({_NAME})[^=]{{0,80}}= *(?:async *)?(?:function\b|\(|{_NAME} *=>)"
)
_CALLABLE = re.compile(rf"(?:[\w&*<>,\[\]:]+[ \t*&]+){{1,6}}({_NAME}) *\([^;={{}}]*\)?[^;=]{{0,80}}\{{?$")
_NOT_NAMES = frozenset(
    {"if", "for", "while", "switch", "return", "catch", "else", "do", "case", "new", "throw", "await"}
)
_KEY = re.compile(r"([A-Za-z0-9_][\w. /-]{0,100}):(?:\s|$)")
_BRACKET = re.compile(r"\[{1,2}([^\[\]]{1,120})\]{1,2}[ \t]*(?:[#;].*)?$")
_LEAD = ("#", "//", "/*", "*", "@", "--", ";", "<!--", '"""')
"""Beginnings of comments, decorators and annotations, which belong to the definition below them."""
_CLOSERS = ("}", ")", "]", "{", "end", "else", "fi", "done", "esac")


def sections_of(text: str, name: str) -> list[CodeSection]:
    """Return the sections of a file, in order and without gaps; empty when it has no definitions."""
    suffix = PurePosixPath(name).suffix.lower()
    found: list[CodeSection] = []
    if suffix in PYTHON:
        found = _python(text)
    if suffix in KEYED:
        found = list(_headed(text, _KEY))
    elif suffix in BRACKETED:
        found = list(_headed(text, _BRACKET))
    elif not found:
        found = list(_by_indentation(text))
    if not found:
        return []
    return found if found[0].start == 0 else [CodeSection(0, []), *found]


def _python(text: str) -> list[CodeSection]:
    """Return the sections of Python code; none when the parser refuses it, as it does for older versions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lines = text.split("\n")
    offsets = _offsets(lines)
    found: list[CodeSection] = []

    def visit(body: list[ast.stmt], path: list[str]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
                own = [*path, node.name]
                found.append(CodeSection(offsets[_with_lead(lines, first)], own))
                if isinstance(node, ast.ClassDef):
                    visit(node.body, own)
                end = node.end_lineno or len(lines)
                if end < len(lines):
                    found.append(CodeSection(offsets[end], path))

    visit(tree.body, [])
    return _merged(found)


def _headed(text: str, heading: re.Pattern[str]) -> Iterator[CodeSection]:
    """Yield a section for each line that matches: a top-level key or a table in brackets."""
    lines = text.split("\n")
    offsets = _offsets(lines)
    for number, line in enumerate(lines):
        if found := heading.match(line[:MAX_LINE_CHARS]):
            yield CodeSection(offsets[_with_lead(lines, number)], [found.group(1).strip()])


def _by_indentation(text: str) -> Iterator[CodeSection]:
    lines = text.split("\n")
    offsets = _offsets(lines)
    above: list[tuple[int, str]] = []
    """Definitions around the line, each with its indentation."""
    blank = False
    for number, line in enumerate(lines):
        code = line[:MAX_LINE_CHARS].strip()
        if not code:
            blank = True
            continue
        indent = len(line) - len(line.lstrip())
        if name := _defined(code, indent):
            while above and above[-1][0] >= indent:
                above.pop()
            above.append((indent, name))
            yield CodeSection(offsets[_with_lead(lines, number)], [each for _, each in above])
        elif blank and above and indent <= above[-1][0] and not code.startswith((*_LEAD, *_CLOSERS)):
            while above and above[-1][0] >= indent:
                above.pop()
            yield CodeSection(offsets[number], [each for _, each in above])
        blank = False


def _defined(code: str, indent: int) -> str | None:
    """Return the name of the definition that a line begins, or None."""
    if code.startswith(_LEAD) and not code.startswith("*"):
        return None
    for pattern in (_METHOD_OF, _IMPLEMENTS, _SQL, _KEYWORD, _ARROW, _SHELL):
        if found := pattern.match(code):
            return found.group(1).strip().rstrip(":.")[:MAX_NAME_CHARS]
    if "(" in code and not code.endswith((";", ",")) and (code.endswith(("{", ")")) or indent == 0):
        found = _CALLABLE.match(code)
        if found and found.group(1) not in _NOT_NAMES and code.split()[0] not in _NOT_NAMES:
            return found.group(1)[:MAX_NAME_CHARS]
    return None


def _with_lead(lines: list[str], number: int) -> int:
    """Return the first of the comments, decorators and annotations directly above a line."""
    indent = len(lines[number]) - len(lines[number].lstrip())
    while number > 0:
        above = lines[number - 1]
        if not above.lstrip().startswith(_LEAD) or not indent <= len(above) - len(above.lstrip()) <= indent + 1:
            break
        number -= 1
    return number


def _offsets(lines: list[str]) -> list[int]:
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    return offsets


def _merged(found: list[CodeSection]) -> list[CodeSection]:
    """Keep of several sections that begin at one place the last, and order them."""
    by_start = {section.start: section for section in found}
    return [by_start[start] for start in sorted(by_start)]
