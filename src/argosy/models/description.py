"""What a model is, read from its own configuration files in the layout of sentence-transformers."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ModelMissing

SUPPORTED_TYPES = ("bert",)
T = TypeVar("T")


class UnsupportedModel(ModelMissing):
    """The files are there, but nothing here can run them; the message names what is not supported."""


class Pooling(enum.StrEnum):
    """How the token vectors of a text become one."""

    MEAN = "mean"
    CLS = "cls"


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """`max_tokens` counts special tokens. `prompts` are put before a text of that kind; a missing one is empty.

    `normalise` is whether the model itself ends in a normalisation to unit length.
    """

    model_type: str
    hidden_size: int
    layers: int
    heads: int
    vocab_size: int
    max_positions: int
    layer_norm_eps: float
    pooling: Pooling
    normalise: bool
    max_tokens: int
    prompts: Mapping[TextKind, str] = field(default_factory=dict)

    def prompt(self, kind: TextKind) -> str:
        return self.prompts.get(kind, "")

    def fingerprint(self, weights_sha256: str) -> str:
        """12 hex digits that change whenever the vectors would: same weights from another source, same fingerprint."""
        parts = (weights_sha256, self.pooling, self.max_tokens, self.layer_norm_eps, sorted(self.prompts.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


class _Config(msgspec.Struct):
    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    max_position_embeddings: int
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    position_embedding_type: str | None = "absolute"


class _Module(msgspec.Struct):
    type: str
    path: str = ""


class _Pooling(msgspec.Struct):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False


class _Limits(msgspec.Struct):
    max_seq_length: int | None = None


class _TokenizerLimits(msgspec.Struct):
    model_max_length: int | float | None = None


class _Prompts(msgspec.Struct):
    prompts: dict[str, str] | None = None


_DEFAULT_MODULES = [_Module("Transformer"), _Module("Pooling", "1_Pooling")]


def describe(folder: Path) -> ModelDescription:
    """Read the folder's configuration.

    Raises: UnsupportedModel naming the architecture, activation, pooling or module that cannot be run;
    ModelMissing for a file that is absent or cannot be read.
    """
    config = _read(folder / "config.json", _Config)
    if config.model_type not in SUPPORTED_TYPES:
        raise UnsupportedModel(
            f"The architecture {config.model_type!r} is not supported, only {', '.join(SUPPORTED_TYPES)}."
        )
    if config.hidden_act != "gelu":
        raise UnsupportedModel(f"The activation {config.hidden_act!r} is not supported, only 'gelu'.")
    if config.position_embedding_type not in (None, "absolute"):
        raise UnsupportedModel(f"Positions of type {config.position_embedding_type!r} are not supported.")
    pooling, normalise = _modules(folder)
    return ModelDescription(
        model_type=config.model_type,
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        vocab_size=config.vocab_size,
        max_positions=config.max_position_embeddings,
        layer_norm_eps=config.layer_norm_eps,
        pooling=pooling,
        normalise=normalise,
        max_tokens=_max_tokens(folder, config.max_position_embeddings),
        prompts=_prompts(folder),
    )


def _modules(folder: Path) -> tuple[Pooling, bool]:
    pooling, normalise = Pooling.MEAN, False
    for module in _read_optional(folder / "modules.json", list[_Module]) or _DEFAULT_MODULES:
        match module.type.rpartition(".")[2]:
            case "Transformer":
                if module.path:
                    raise UnsupportedModel("A transformer in a sub-folder is not supported.")
            case "Pooling":
                pooling = _pooling(folder / module.path / "config.json")
            case "Normalize":
                normalise = True
            case other:
                raise UnsupportedModel(f"The module {other!r} of modules.json is not supported.")
    return pooling, normalise


def _pooling(file: Path) -> Pooling:
    modes = _read_optional(file, _Pooling) or _Pooling(pooling_mode_mean_tokens=True)
    chosen = [name for name in modes.__struct_fields__ if getattr(modes, name)]
    if chosen == ["pooling_mode_mean_tokens"]:
        return Pooling.MEAN
    if chosen == ["pooling_mode_cls_token"]:
        return Pooling.CLS
    raise UnsupportedModel(f"The pooling {', '.join(chosen) or 'none'} is not supported, only mean or CLS.")


def _max_tokens(folder: Path, positions: int) -> int:
    """The least of what the files promise: a limit past the position table would make the model fail on long texts.

    The truncation inside tokenizer.json is ignored: it is a leftover of training (128 in all-MiniLM-L6-v2,
    which is meant to read 256).
    """
    limits = _read_optional(folder / "sentence_bert_config.json", _Limits) or _Limits()
    tokenizer = _read_optional(folder / "tokenizer_config.json", _TokenizerLimits) or _TokenizerLimits()
    promised = [limits.max_seq_length, tokenizer.model_max_length, positions]
    return int(min(limit for limit in promised if limit is not None))


def _prompts(folder: Path) -> dict[TextKind, str]:
    given = (_read_optional(folder / "config_sentence_transformers.json", _Prompts) or _Prompts()).prompts or {}
    found = {TextKind.QUERY: given.get("query", ""), TextKind.PASSAGE: given.get("passage", given.get("document", ""))}
    return {kind: prompt for kind, prompt in found.items() if prompt}


def _read(file: Path, into: type[T]) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=into)
    except OSError as error:
        raise ModelMissing(f"The model's {file.name} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ModelMissing(f"The model's {file.name} is not valid: {error}") from error


def _read_optional(file: Path, into: type[T]) -> T | None:
    return _read(file, into) if file.is_file() else None
