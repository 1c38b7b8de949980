"""Versioned prompts for a language model, from the packaged files or from a folder of the user's own.

A file begins with front matter that names its version. The version of the answer's prompt is returned with the answer,
so that answers given with different prompts can be told apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from argosy.contracts.errors import StartError

PACKAGED = Path(__file__).parent / "templates"
MAX_PROMPT_BYTES = 64 * 2**10
SETTING = "services.generation.prompts"
PLACEHOLDERS = {"answer.md": ("{passages}",), "rewrite.md": ("{conversation}", "{question}")}
_FILE = re.compile(r"---[ \t]*\n(.*?)\n---[ \t]*\n(.*)", re.DOTALL)
_VERSION = re.compile(r"^version:[ \t]*([A-Za-z0-9][\w.-]{0,63})[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Text with placeholders such as `{passages}`, and its version."""

    version: str
    text: str

    def filled(self, **values: str) -> str:
        """Return the text with each placeholder replaced. A value that contains a placeholder stays as it is."""
        pattern = re.compile("|".join(re.escape(f"{{{name}}}") for name in values))
        return pattern.sub(lambda match: values[match[0][1:-1]], self.text)


@dataclass(frozen=True, slots=True)
class Prompts:
    answer: Prompt
    rewrite: Prompt

    @classmethod
    def load(cls, folder: str = "") -> Prompts:
        """Read both prompts from `folder`, or the packaged ones when it is empty.

        Raises: StartError when a file is missing, unreadable or incomplete; the message says how to correct it.
        """
        where = Path(folder).expanduser() if folder else PACKAGED
        if not where.is_dir():
            raise StartError(f"{SETTING} = {folder!r} is not a folder. Create it, or remove the setting.")
        return cls(*(_read(where / name) for name in PLACEHOLDERS))


def _read(path: Path) -> Prompt:
    try:
        content = path.read_bytes()
        text = content[: MAX_PROMPT_BYTES + 1].decode().replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise StartError(
            f"The prompt {path} is missing. Copy {path.name} from {PACKAGED} and change the copy, or remove {SETTING}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartError(f"The prompt {path} cannot be read: {reason}.") from error
    if len(content) > MAX_PROMPT_BYTES:
        raise StartError(f"The prompt {path} has over {MAX_PROMPT_BYTES} bytes. Shorten it.")
    parts = _FILE.fullmatch(text)
    version = _VERSION.search(parts[1]) if parts else None
    if parts is None or version is None:
        raise StartError(
            f"The prompt {path} does not begin with its version. Begin the file with the three lines '---', "
            "'version: NAME' and '---'; NAME has letters, digits, '.', '_' and '-'."
        )
    missing = [name for name in PLACEHOLDERS[path.name] if name not in parts[2]]
    if missing:
        raise StartError(f"The prompt {path} lacks {' and '.join(missing)}. Put it where that text shall stand.")
    return Prompt(version[1], parts[2].strip())
