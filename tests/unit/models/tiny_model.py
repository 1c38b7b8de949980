"""A complete model folder of a few kilobytes with random weights: every part of a real one, in no time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from argosy.models.description import Pooling

HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 16, 4, 2, 32, 40
MAX_TOKENS = 12
PAIR_TOKENS = 16
WORDS = ["the", "tide", "rises", "at", "noon", "and", "falls", "by", "night", "a", "keeper", "lights", "lamp"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]


def write_config(folder: Path, **changes: object) -> None:
    """config.json of the tiny model, with some entries changed."""
    config = {
        "model_type": "bert",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        **changes,
    }
    write_json(folder / "config.json", config)


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def tiny_weights() -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(7)

    def some(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": some(len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": some(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": some(2, HIDDEN),
    }
    dense, norms = {}, ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense[f"{layer}.attention.{part}"] = (HIDDEN, HIDDEN)
        dense[f"{layer}.intermediate.dense"] = (INNER, HIDDEN)
        dense[f"{layer}.output.dense"] = (HIDDEN, INNER)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, shape in dense.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = some(*shape), some(shape[0])
    for name in norms:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = 1 + some(HIDDEN), some(HIDDEN)
    return weights


def cross_encoder_weights() -> dict[str, npt.NDArray[np.float32]]:
    """Weights of BertForSequenceClassification with one label, under the names that transformers writes."""
    rng = np.random.default_rng(11)
    bert = tiny_weights() | {
        "pooler.dense.weight": rng.normal(0, 0.4, (HIDDEN, HIDDEN)).astype(np.float32),
        "pooler.dense.bias": rng.normal(0, 0.4, HIDDEN).astype(np.float32),
    }
    head = {
        "classifier.weight": rng.normal(0, 1.0, (1, HIDDEN)).astype(np.float32),
        "classifier.bias": rng.normal(0, 0.4, 1).astype(np.float32),
    }
    return {f"bert.{name}": tensor for name, tensor in bert.items()} | head


def write_cross_encoder(folder: Path, **config: object) -> Path:
    """All files of a tiny cross-encoder, in the layout of sentence-transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, **{"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}, **config})
    write_json(folder / "tokenizer_config.json", {"model_max_length": PAIR_TOKENS})
    tokenizer = tiny_tokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(cross_encoder_weights(), folder / "model.safetensors")
    return folder


def tiny_tokenizer() -> Tokenizer:
    """Words to ids; with the leftovers that real files have: it cuts at 5 tokens and pads to 5."""
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    return tokenizer


def write_model(folder: Path, *, pooling: Pooling = Pooling.MEAN, normalise: bool = True) -> Path:
    """All files of the tiny model, in the layout of sentence-transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder)
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), *([("Normalize", "2_Normalize")] if normalise else [])]
    named = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules]
    write_json(folder / "modules.json", named)
    write_json(
        folder / "1_Pooling/config.json",
        {
            "word_embedding_dimension": HIDDEN,
            "pooling_mode_cls_token": pooling is Pooling.CLS,
            "pooling_mode_mean_tokens": pooling is Pooling.MEAN,
            "pooling_mode_max_tokens": pooling is Pooling.MAX,
        },
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    save_file(tiny_weights(), folder / "model.safetensors")
    return folder
