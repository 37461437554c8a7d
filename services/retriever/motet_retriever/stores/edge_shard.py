"""The shard of an embedded store: how it is made, and what it has indexes of."""

from __future__ import annotations

import shutil
from pathlib import Path

import qdrant_edge as qdrant

from motet_retriever.stores.qdrant_payload import INDEXED

__all__ = ["FORMAT", "open_shard"]

FORMAT = 3
"""Version of everything that decides what is in the folder."""

OF_RECORDS = {"record": "keyword", "state": "keyword"}
"""What the store itself asks for, beside `INDEXED`."""

NO_INDEX_BELOW_KB = 1 << 31
"""Never: building one stops the process for as long as it takes."""


def open_shard(path: Path, dimension: int) -> qdrant.EdgeShard:
    """The shard under `path`, made if it is not there. Blocks."""
    config = qdrant.EdgeConfig(
        vectors={"dense": qdrant.EdgeVectorParams(dimension, qdrant.Distance.Cosine)},
        sparse_vectors={"sparse": qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=NO_INDEX_BELOW_KB),
    )
    folder = path / "shard"
    if not folder.exists():
        # Made aside and renamed, so that a folder by this name is whole.
        unfinished = path / "shard.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shard = qdrant.EdgeShard.create(str(unfinished), config)
        for field, kind in {**INDEXED, **OF_RECORDS}.items():
            index = getattr(qdrant.PayloadSchemaType, kind.capitalize())
            shard.update(qdrant.UpdateOperation.create_field_index(field, index))
        shard.flush()
        shard.close()
        unfinished.rename(folder)
    return qdrant.EdgeShard.load(str(folder), config)
