"""Token ids of a batch as input arrays of a graph: packed without padding, or padded for exported graphs.

Pairs of texts also have token types, which tell the tokens of the query from those of the passage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from argosy.models.description import Pooling

Feed = Mapping[str, npt.NDArray[np.generic]]

MASKED = -1e9
"""Value added to the attention score of an empty place, so that its share underflows to exactly 0."""


def packed(texts: Sequence[Sequence[int]], pooling: Pooling, types: Sequence[Sequence[int]] | None = None) -> Feed:
    """Pack all texts one after another, so that only attention computes on padding.

    With b texts, t tokens in all and l in the longest: `ids` and `positions` [t]; `rows` [b, l], the row among t of
    every place, 0 where there is no token; `places` [t], the flat place of every row; `bias` [b, 1, 1, l], added to
    attention's scores; `pool` [b, t], the share of every token in its text's vector; with `types`, the token types of
    pairs, also `types` [t]. Every text must have a token.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    starts = np.cumsum(lengths) - lengths
    total = int(lengths.sum())
    owner = np.repeat(np.arange(len(texts)), lengths)
    positions = np.arange(total) - starts[owner]
    columns = np.arange(lengths.max())
    filled = columns < lengths[:, None]
    shares = np.zeros((len(texts), total), np.float32)
    if pooling is Pooling.CLS:
        shares[np.arange(len(texts)), starts] = 1
    else:
        shares[owner, np.arange(total)] = 1 / lengths[owner]
    feed: dict[str, npt.NDArray[np.generic]] = {
        "ids": np.concatenate([np.asarray(ids, np.int64) for ids in texts]),
        "positions": positions,
        "rows": np.where(filled, starts[:, None] + columns, 0),
        "places": np.flatnonzero(filled),
        "bias": np.where(filled, np.float32(0), np.float32(MASKED))[:, None, None, :],
        "pool": shares,
    }
    if types is not None:
        feed["types"] = np.concatenate([np.asarray(kinds, np.int64) for kinds in types])
    return feed


def padded(texts: Sequence[Sequence[int]], names: Sequence[str], types: Sequence[Sequence[int]] | None = None) -> Feed:
    """Return [batch, sequence] arrays under the names of the graph's inputs; 0 for padding.

    Without `types`, all tokens have the type 0.
    """
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    mask, kinds = np.zeros_like(ids), np.zeros_like(ids)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
        if types is not None:
            kinds[row, : len(tokens)] = types[row]
    known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    return {name: known[name] for name in names}
