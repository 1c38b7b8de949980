"""Loader of a fleet's settings: defaults, then the file, then the environment, then the command line.

Each mistake becomes one `ConfigError` sentence that names the place (file, variable or flag), the key and the remedy.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from argosy.config.keys import in_users_words, near, nearest
from argosy.config.models import Fleet, Services
from argosy.config.rules import rule_of
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
    for key, given in added.items():
        value = _expanded((*at, key), given)
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
    whole = _expanded(path, value)
    tree[path[-1]] = whole
    origins[path] = origin
    if isinstance(whole, dict):
        origins.update(dict.fromkeys(((*path, key) for key in whole), origin))


def _expanded(path: Path_, value: object) -> object:
    """Return both bounds for `replicas = 2`, so that a later source can override one of them."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number and len(path) == 3 and path[0] == "services" and path[2] == "replicas":
        return {"min": value, "max": value}
    return value


def _value(text: str) -> object:
    """Return the TOML value (`4`, `true`, `["a"]`, `{min = 1}`), or the text itself when it is not valid TOML."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _sentence(error: ErrorDetails, origins: Mapping[Path_, str]) -> str:
    path = tuple(str(part) for part in error["loc"])
    where = _origin(path, error["msg"], origins)
    if error["type"] == "extra_forbidden":
        remedy = nearest(path)
        return f"{where}: unknown key {'.'.join(path)}; {remedy}{'?' if remedy.startswith('did') else '.'}"
    key = in_users_words(path)
    if error["type"] == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        if len(path) == 2 and path[0] == "services" and "module, command and external" in message:
            close = near(path[1], Services.model_fields)
            message += f'; or did you mean "services.{close}"' if close else ""
        return f"{where}: {key + ': ' if key else ''}{message}."
    return f"{where}: {key} {rule_of(error)}; correct the value."


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
