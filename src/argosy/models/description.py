"""Description of a model, read from its own configuration files in the layout of sentence-transformers."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ModelMissing
from argosy.models.catalog import ROBERTA_TYPES, SUPPORTED_TYPES, WEIGHTS, customary_prompts
from argosy.models.integrity import unreadable
from argosy.models.weights import weights_files

ROBERTA_PADDING = 1
"""Id of the padding token in RoBERTa's family. Positions count from the next number."""

SUPPORTED_MODULES = "a transformer, pooling and normalisation"
T = TypeVar("T")


class UnsupportedModel(ModelMissing):
    """The files exist, but the model cannot be run; the message names what is not supported."""


class Pooling(enum.StrEnum):
    """Way in which the token vectors of a text become one vector."""

    MEAN = "mean"
    CLS = "cls"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Description of a model.

    `max_tokens` counts special tokens. `prompts` are put before a text of that kind; a missing one is empty.
    `normalise` tells whether the model itself ends in a normalisation to unit length. `max_positions` leaves out the
    first rows of the position table that RoBERTa's family does not use for text.
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
    lower_case: bool = False

    @property
    def first_position(self) -> int:
        """Row of the position table of a text's first token."""
        return ROBERTA_PADDING + 1 if self.model_type in ROBERTA_TYPES else 0

    def prompt(self, kind: TextKind) -> str:
        return self.prompts.get(kind, "")

    def fingerprint(self, weights_sha256: str, tokenizer: str, graph_version: int) -> str:
        """Return 12 hex digits that change whenever the vectors would change.

        The same content from another source has the same fingerprint.
        """
        shape = (self.model_type, self.layers, self.heads, self.layer_norm_eps)
        reading = (self.pooling, self.max_tokens, sorted(self.prompts.items()), self.lower_case)
        parts = (weights_sha256, tokenizer, graph_version, shape, reading)
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
    id2label: dict[str, str] | None = None
    pad_token_id: int | None = None

    @property
    def positions(self) -> int:
        """Number of positions for tokens of a text."""
        unused = ROBERTA_PADDING + 1 if self.model_type in ROBERTA_TYPES else 0
        return self.max_position_embeddings - unused


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
    include_prompt: bool = True


class _Limits(msgspec.Struct):
    max_seq_length: int | None = None
    do_lower_case: bool = False


class _TokenizerLimits(msgspec.Struct):
    model_max_length: int | float | None = None


class _Prompts(msgspec.Struct):
    prompts: dict[str, str] | None = None


_POOLINGS = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_max_tokens": Pooling.MAX,
}
_DEFAULT_MODULES = [_Module("Transformer"), _Module("Pooling", "1_Pooling")]


def describe(
    folder: Path, name: str = "", prompts: Mapping[TextKind, str | None] = MappingProxyType({})
) -> ModelDescription:
    """Read the folder's configuration. `name` selects prompts that the model's makers publish only in prose.

    `prompts` replace those of the model; None keeps the model's own.

    Raises: UnsupportedModel, naming the architecture, activation, pooling or module that cannot be run; ModelMissing
    when a file is absent or cannot be read.
    """
    config = _read(folder / "config.json", _Config)
    if weights_files(folder) == (WEIGHTS,):
        _check_architecture(config)
    pooling, normalise = _modules(folder)
    about = _description(folder, config, pooling, normalise=normalise)
    return replace(about, prompts=_replaced(_prompts(folder, name), prompts))


def describe_cross_encoder(folder: Path) -> ModelDescription:
    """Read the configuration of a model that scores pairs of a query and a passage from the first token's vector.

    Raises: UnsupportedModel when the model has more labels than the one score, or cannot be run; ModelMissing when a
    file is absent or cannot be read.
    """
    config = _read(folder / "config.json", _Config)
    if weights_files(folder) == (WEIGHTS,):
        _check_architecture(config)
    if config.id2label is not None and len(config.id2label) != 1:
        raise UnsupportedModel(
            f"The model sorts texts into {len(config.id2label)} classes (id2label in config.json). A cross-encoder for "
            "reranking has one label; choose another model."
        )
    return _description(folder, config, Pooling.CLS, normalise=False)


def _description(folder: Path, config: _Config, pooling: Pooling, *, normalise: bool) -> ModelDescription:
    limits = _read_optional(folder / "sentence_bert_config.json", _Limits) or _Limits()
    return ModelDescription(
        model_type=config.model_type,
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        vocab_size=config.vocab_size,
        max_positions=config.positions,
        layer_norm_eps=config.layer_norm_eps,
        pooling=pooling,
        normalise=normalise,
        max_tokens=_max_tokens(folder, limits, config.positions),
        lower_case=limits.do_lower_case,
    )


def _check_architecture(config: _Config) -> None:
    if config.model_type not in SUPPORTED_TYPES:
        raise UnsupportedModel(
            f"The architecture {config.model_type!r} is not supported, only {', '.join(SUPPORTED_TYPES)} "
            "(MiniLM, BGE, E5, GTE, multilingual E5), or a folder with an ONNX graph (onnx/model.onnx)."
        )
    if config.hidden_act != "gelu":
        raise UnsupportedModel(f"The activation {config.hidden_act!r} is not supported, only 'gelu'.")
    if config.position_embedding_type not in (None, "absolute"):
        raise UnsupportedModel(
            f"Positions of type {config.position_embedding_type!r} are not supported, only 'absolute'."
        )
    if config.model_type in ROBERTA_TYPES and config.pad_token_id not in (None, ROBERTA_PADDING):
        raise UnsupportedModel(
            f"Padding with the token {config.pad_token_id} is not supported for {config.model_type}, only "
            f"{ROBERTA_PADDING}."
        )
    if config.num_attention_heads < 1 or config.hidden_size % config.num_attention_heads:
        raise ModelMissing(
            f"config.json has hidden_size = {config.hidden_size}, not a multiple of {config.num_attention_heads} heads."
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
                raise UnsupportedModel(
                    f"The module {other!r} of modules.json is not supported, only {SUPPORTED_MODULES}."
                )
    return pooling, normalise


def _pooling(file: Path) -> Pooling:
    modes = _read_optional(file, _Pooling) or _Pooling(pooling_mode_mean_tokens=True)
    if not modes.include_prompt:
        raise UnsupportedModel("A pooling that leaves the prompt's tokens out (include_prompt) is not supported.")
    chosen = [name for name in modes.__struct_fields__ if name.startswith("pooling_mode_") and getattr(modes, name)]
    if len(chosen) == 1 and chosen[0] in _POOLINGS:
        return _POOLINGS[chosen[0]]
    raise UnsupportedModel(f"The pooling {', '.join(chosen) or 'none'} is not supported, only mean, CLS or max.")


def _max_tokens(folder: Path, limits: _Limits, positions: int) -> int:
    """Return the least of the limits in the files: a limit beyond the position table would fail on long texts.

    The truncation inside tokenizer.json is ignored: it is left over from training (128 in all-MiniLM-L6-v2, which is
    meant to read 256).
    """
    tokenizer = _read_optional(folder / "tokenizer_config.json", _TokenizerLimits) or _TokenizerLimits()
    promised = [limits.max_seq_length, tokenizer.model_max_length, positions]
    return int(min(limit for limit in promised if limit is not None))


def _prompts(folder: Path, name: str) -> dict[TextKind, str]:
    """Return the folder's prompts, or those that the model of that name was trained with when the folder has none."""
    given = (_read_optional(folder / "config_sentence_transformers.json", _Prompts) or _Prompts()).prompts or {}
    found = {TextKind.QUERY: given.get("query", ""), TextKind.PASSAGE: given.get("passage", given.get("document", ""))}
    return {kind: prompt for kind, prompt in found.items() if prompt} or dict(customary_prompts(name))


def _replaced(own: Mapping[TextKind, str], given: Mapping[TextKind, str | None]) -> dict[TextKind, str]:
    chosen = {**own, **{kind: prompt for kind, prompt in given.items() if prompt is not None}}
    return {kind: prompt for kind, prompt in chosen.items() if prompt}


def _read(file: Path, into: type[T]) -> T:
    try:
        return msgspec.json.decode(file.read_bytes(), type=into)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise unreadable(file, str(error)) from error


def _read_optional(file: Path, into: type[T]) -> T | None:
    return _read(file, into) if file.is_file() else None
