"""Loader of a fleet's settings: defaults, then the file, then the environment, then the command line.

Each mistake becomes one `ConfigError` sentence that names the place (file, variable or flag), the key and the remedy.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from argosy.config.models import Fleet, Services
from argosy.config.service import CustomSettings
from argosy.contracts.errors import ConfigError

DEFAULT_FILE = Path("argosy.toml")
PREFIX = "ARGOSY_"
SECTIONS = ("FLEET__", "SERVICES__")

Tree = dict[str, object]
Path_ = tuple[str, ...]


def load(
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
    flags: Mapping[str, object] | None = None,
    environment: str | None = None,
) -> Fleet:
    """Return the fleet's settings.

    Args:
        file: the fleet file; None reads `argosy.toml` in the current folder if the file exists.
        environ: the environment, with variables like ARGOSY_SERVICES__EMBEDDING__MODEL.
        overrides: assignments like `services.embedding.replicas.max=4`; later ones win.
        environment: NAME of the table [environments.NAME] whose settings override the rest of the file.
        flags: dotted keys with final values (from options like --port); None values are skipped.
    Raises: ConfigError when a source cannot be read, has an unknown key, or has a value that is not allowed.
    """
    tree: Tree = {}
    origins: dict[Path_, str] = {}
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    if file is not None:
        content = _read(file)
        overlays = content.pop("environments", {})
        _merge(tree, origins, content, str(file))
        if environment is not None:
            _merge(tree, origins, _overlay(overlays, environment, file), f"{file} [environments.{environment}]")
        _anchor_data_dir(tree, file)
    elif environment is not None:
        raise ConfigError(f"--env {environment} needs a fleet file with a table [environments.{environment}].")
    for name, value in sorted((environ or {}).items()):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).startswith(SECTIONS):
            path = tuple(name.removeprefix(PREFIX).lower().split("__"))
            _put(tree, origins, path, _value(value), name)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {override} has no value; write it as --set services.embedding.replicas.max=4.")
        _put(tree, origins, tuple(key.strip().split(".")), _value(value.strip()), f"--set {override}")
    for key, flag_value in (flags or {}).items():
        if flag_value is not None:
            _put(tree, origins, tuple(key.split(".")), flag_value, f"--{key.split('.')[-1].replace('_', '-')}")
    try:
        return Fleet.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_sentence(error.errors()[0], origins)) from error


def _read(file: Path) -> Tree:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist; give the path of a fleet file, or leave it out.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}; check the path and its permissions.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}; correct that line.") from error


def _overlay(overlays: object, environment: str, file: Path) -> Tree:
    known = overlays if isinstance(overlays, dict) else {}
    found = known.get(environment)
    if not isinstance(found, dict):
        remedy = f"use one of {', '.join(sorted(known))}" if known else "add the table, or leave out --env"
        raise ConfigError(f"{file} has no table [environments.{environment}]; {remedy}.")
    return found


def _anchor_data_dir(tree: Tree, file: Path) -> None:
    """Resolve a relative data_dir against the folder of the fleet file."""
    fleet = tree.get("fleet")
    if isinstance(fleet, dict) and isinstance(fleet.get("data_dir"), str):
        fleet["data_dir"] = str(file.parent / Path(fleet["data_dir"]).expanduser())


def _merge(tree: Tree, origins: dict[Path_, str], added: Mapping[str, object], origin: str, at: Path_ = ()) -> None:
    for key, value in added.items():
        if isinstance(value, dict):
            origins.setdefault((*at, key), origin)
            below = tree.setdefault(key, {})
            if not isinstance(below, dict):
                raise ConfigError(
                    f"{origin} sets a key below {'.'.join((*at, key))}, which is a single value; correct the key."
                )
            _merge(below, origins, value, origin, (*at, key))
        else:
            tree[key] = value
            origins[(*at, key)] = origin


def _put(tree: Tree, origins: dict[Path_, str], path: Path_, value: object, origin: str) -> None:
    for depth, key in enumerate(path[:-1], start=1):
        below = tree.setdefault(key, {})
        if not isinstance(below, dict):
            raise ConfigError(
                f"{origin} sets a key below {'.'.join(path[:depth])}, which is a single value; correct the key."
            )
        origins.setdefault(path[:depth], origin)
        tree = below
    tree[path[-1]] = value
    origins[path] = origin


def _value(text: str) -> object:
    """Return the TOML value (`4`, `true`, `["a"]`, `{min = 1}`), or the text itself when it is not valid TOML."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sentence(error: ErrorDetails, origins: Mapping[Path_, str]) -> str:
    path = tuple(str(part) for part in error["loc"])
    where = _origin(path, error["msg"], origins)
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        remedy = _nearest(path)
        return f"{where}: unknown key {key}; {remedy}{'?' if remedy.startswith('did') else '.'}"
    message = error["msg"].removeprefix("Value error, ")
    if len(path) == 2 and path[0] == "services" and "module, command and external" in message:
        close = difflib.get_close_matches(path[1], list(Services.model_fields), n=1, cutoff=0.6)
        message += f'; or did you mean "{close[0]}"' if close else ""
    if error["type"] == "value_error":
        return f"{where}: {key + ': ' if key else ''}{message}."
    given = error["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {key} is wrong: {message[0].lower() + message[1:]}{shown}; correct the value."


def _origin(path: Path_, message: str, origins: Mapping[Path_, str]) -> str:
    """Return the file, variable or flag that contains the mistake.

    The message of a rule over several keys names these keys; the origin of the one set last is returned.
    """
    below = {key: origin for key, origin in origins.items() if key[: len(path)] == path and key != path}
    named = [origin for key, origin in below.items() if re.search(rf"\b{re.escape(key[-1])}\b", message)]
    if named:
        return named[-1]
    found = (origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins)
    return next(found, next(iter(origins.values()), "the configuration"))


def _nearest(path: Path_) -> str:
    """Return the remedy for an unknown key: the most similar known key, or all keys known at that place."""
    model: type[BaseModel] = Fleet
    for part in path[:-1]:
        field = model.model_fields.get(part)
        if field is None and model is Services:
            ours = difflib.get_close_matches(part, list(Services.model_fields), n=1, cutoff=0.7)
            if ours:
                return f'did you mean "services.{ours[0]}"'
            model = CustomSettings
            continue
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        below = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        if below is None:
            return "remove it"
        model = below
    known = list(model.model_fields)
    close = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    return f'did you mean "{close[0]}"' if close else f"known here are {', '.join(known)}"
