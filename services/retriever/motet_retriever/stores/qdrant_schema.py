"""The collection of a retriever on a Qdrant server: made if it is not there, or checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdrant_client import models

from motet.errors import FaultError, SetupError
from motet_retriever.stores.collections import EmbeddingModel
from motet_retriever.stores.qdrant_calls import Collection
from motet_retriever.stores.qdrant_payload import INDEXED, IndexKind

__all__ = ["make_indexes", "model_of", "prepare"]

FORMAT = 3
"""Version of everything that decides what is in a collection."""
MAKER = "motet"
OF_RECORDS: dict[str, IndexKind] = {
    "record": "keyword",
    "revision": "keyword",
    "version": "integer",
    "pending": "integer",
}
"""What the store itself asks for, beside `INDEXED`."""


async def prepare(collection: Collection, model: EmbeddingModel) -> set[str]:
    """Makes the collection for embeddings by `model`, unless it is there.

    Returns:
        The fields that have an index.

    Raises:
        SetupError: The one that is there is for something else.
        FaultError: The server fails.
    """
    ask, client, name = collection.ask, collection.client, collection.name
    wanted = {"made_by": MAKER, "format": FORMAT, **model.made_by}
    if not await ask(client.collection_exists, name):
        dense = models.VectorParams(size=model.dimension, distance=models.Distance.COSINE)
        sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
        try:
            await ask(
                client.create_collection,
                name,
                vectors_config={"dense": dense},
                sparse_vectors_config={"sparse": sparse},
                metadata={key: value for key, value in wanted.items() if key != "dimension"},
            )
        except FaultError:
            # Another retriever may have made it meanwhile.
            if not await ask(client.collection_exists, name):
                raise
    info = await ask(client.get_collection, name)
    _check(name, info.config, wanted)
    fields: dict[str, IndexKind] = {**INDEXED, **OF_RECORDS}
    there = set(info.payload_schema)
    for field in there:
        fields.pop(field, None)
    await make_indexes(collection, fields)
    return {*there, *fields}


async def make_indexes(collection: Collection, wanted: Mapping[str, IndexKind]) -> None:
    """Makes indexes of fields, unless they are there.

    Raises:
        FaultError: The server fails.
    """
    make = collection.client.create_payload_index
    for field, kind in wanted.items():
        schema = models.PayloadSchemaType(kind)
        await collection.ask(make, collection.name, field_name=field, field_schema=schema)


def model_of(name: str, config: models.CollectionConfig) -> EmbeddingModel:
    """Whose vectors a collection has.

    Raises:
        SetupError: It is of something else, or of another version of the retriever.
    """
    there = _check(name, config, {"made_by": MAKER, "format": FORMAT})
    return EmbeddingModel.read(there)


def _check(name: str, config: models.CollectionConfig, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a collection says of itself."""
    there: dict[str, Any] = dict(config.metadata or {})
    vectors = config.params.vectors
    if isinstance(vectors, dict) and "dense" in vectors:
        there["dimension"] = vectors["dense"].size
    if there.get("made_by") != MAKER:
        raise SetupError(
            f"The collection {name!r} was not made by a retriever. Set MOTET_RETRIEVER_COLLECTION "
            "to another name."
        )
    different = [
        f"{key} {there.get(key)!r}, and this process works with {value!r}"
        for key, value in wanted.items()
        if there.get(key) != value
    ]
    if different:
        raise SetupError(
            f"The collection {name!r} was made with {'; '.join(different)}. Set it back "
            "(MOTET_EMBEDDING_MODEL says which embedding model is used), or set "
            "MOTET_RETRIEVER_COLLECTION to a new name and ingest the documents again."
        )
    return there
