"""Write docs/reference/configuration.md from the models of the settings; with --check, report whether it is current."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from argosy.config.models import Fleet
from argosy.config.service import CustomSettings, ServiceSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "configuration.md"
INTRODUCTION = """# Configuration

This page lists every setting of `argosy.toml`. All settings have defaults, so no file is needed. A value comes from
the command line (`--set services.embedding.replicas.max=4`), else from the environment
(`ARGOSY_SERVICES__EMBEDDING__REPLICAS__MAX=4`), else from the file, else it is the default. An unknown key is an error
that names the nearest known key.

`make docs` generates this page from the code.
"""


def rows(model: type[BaseModel], prefix: str, skip: frozenset[str] = frozenset()) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from rows(field.annotation, f"{prefix}{name}.")
        else:
            yield f"| `{prefix}{name}` | `{shown(default(field))}` | {field.description or ''}{bounds(field)} |"


def default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def shown(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str | Path) else f"{value}"


def bounds(field: FieldInfo) -> str:
    limits = [
        f"{sign} {number(getattr(m, key))}" for m in field.metadata for key, sign in SIGNS.items() if hasattr(m, key)
    ]
    return f" ({', '.join(limits)})" if limits else ""


def number(value: float) -> str:
    """Return the number as it is written in a fleet file: whole numbers with all their digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def page() -> str:
    head = "| key | default | meaning |\n|---|---|---|\n"
    parts = [INTRODUCTION, "## [fleet]\n\n" + head + "\n".join(rows(type(Fleet().fleet), "fleet."))]
    shared = frozenset(ServiceSettings.model_fields)
    parts.append("## Every service\n\n" + head + "\n".join(rows(ServiceSettings, "services.NAME.")))
    for name, settings in Fleet().services.by_name().items():
        own = list(rows(type(settings), f"services.{name}.", shared))
        changed = [
            f"| `services.{name}.{key}` | `{shown(getattr(settings, key))}` | "
            f"{own_field.description or ServiceSettings.model_fields[key].description} |"
            for key, own_field in type(settings).model_fields.items()
            if key in shared and getattr(settings, key) != default(ServiceSettings.model_fields[key])
        ]
        if own or changed:
            parts.append(f"## [services.{name}]\n\n{type(settings).__doc__}\n\n{head}" + "\n".join([*changed, *own]))
    own = list(rows(CustomSettings, "services.NAME.", shared))
    parts.append(f"## A service of your own\n\n{CustomSettings.__doc__}\n\n{head}" + "\n".join(own))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def main() -> int:
    text = page()
    if "--check" in sys.argv:
        if PAGE.exists() and PAGE.read_text("utf-8") == text:
            return 0
        sys.stdout.write("docs/reference/configuration.md is outdated; run: make docs\n")
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
