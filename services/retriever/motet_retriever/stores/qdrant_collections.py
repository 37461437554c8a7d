"""The collections of a retriever on a Qdrant server, and the alias that says which one serves.

The alias has the name of the settings, such as `motet`, and each collection that name and the key
of its model, such as `motet-1f0c2a9b`. Stores work with collections by their own names: one that is
open goes on with the same vectors wherever the alias moves. A mark is an alias too,
`motet-to-KEY-TOKEN`: the server changes several aliases in one step.
"""

from __future__ import annotations

import re

from qdrant_client import models
from typing_extensions import override

from motet.errors import SetupError
from motet_retriever.stores.collections import Collections, EmbeddingModel, Mark, State
from motet_retriever.stores.port import PassageStore
from motet_retriever.stores.qdrant_calls import Close, Collection, connect, reach, reaching
from motet_retriever.stores.qdrant_schema import model_of
from motet_retriever.stores.qdrant_server import QdrantServerStore

__all__ = ["QdrantCollections"]


class QdrantCollections(Collections):
    """Collections on a server."""

    @classmethod
    async def at(cls, url: str, *, api_key: str | None, name: str) -> QdrantCollections:
        """Those of the retriever whose alias is `name`.

        Raises:
            NotYetError: The server does not answer, or refuses the key.
            SetupError: It is too old, or has a collection of that name.
        """
        client = connect(url, api_key)
        async with reaching(url, name, client.close):
            return await cls.over(Collection(client, name), close=client.close)

    @classmethod
    async def over(cls, alias: Collection, *, close: Close | None = None) -> QdrantCollections:
        """The same over a client, which `close` closes."""
        await reach(alias.client)
        collections = cls(alias, close)
        await collections._begin()
        return collections

    def __init__(self, alias: Collection, close: Close | None = None) -> None:
        """Use `at`."""
        self._ask = alias.ask
        self._client = alias.client
        self._name = alias.name
        self._close = close
        self._models: dict[str, EmbeddingModel] = {}

    async def _begin(self) -> None:
        """Where a restored server has one collection and no alias, that one serves."""
        there = (await self._ask(self._client.get_collections)).collections
        names = {each.name for each in there}
        if self._name in names:
            raise SetupError(
                f"The collection {self._name!r} is of an earlier version of the retriever, or of "
                "something else: collections have the key of a model at the end now. Remove it and "
                "ingest the documents again, or set MOTET_RETRIEVER_COLLECTION to another name."
            )
        if (await self.state()).serving is not None:
            return
        ours = [
            each for each in names if re.fullmatch(re.escape(self._name) + "-[0-9a-f]{8}", each)
        ]
        if len(ours) > 1:
            raise SetupError(
                f"There are the collections {', '.join(sorted(ours))}, and no alias {self._name!r} "
                "that says which one serves. Make one, or remove what you do not need."
            )
        for each in ours:
            await self.serve(await self._model(each))

    @override
    async def state(self) -> State:
        serving: EmbeddingModel | None = None
        marks: set[Mark] = set()
        marked = re.compile(re.escape(self._name) + "-to-([0-9a-f]{8})-([0-9a-f]+)")
        for each in (await self._ask(self._client.get_aliases)).aliases:
            if each.alias_name == self._name:
                serving = await self._model(each.collection_name)
            elif found := marked.fullmatch(each.alias_name):
                marks.add(Mark(*found.groups()))
        return State(serving, frozenset(marks))

    @override
    async def open(self, model: EmbeddingModel) -> PassageStore:
        return await QdrantServerStore.over(self._client, self._named(model), model)

    @override
    async def serve(self, model: EmbeddingModel) -> None:
        await self._change([_set(self._name, self._named(model))])

    @override
    async def mark(self, mark: Mark | None, *instead_of: Mark) -> None:
        changes: list[models.AliasOperations] = []
        if mark is not None:  # first, so that a server that dies in between leaves one
            changes.append(_set(self._of(mark), f"{self._name}-{mark.to}"))
        changes += [
            models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=self._of(each)))
            for each in instead_of
        ]
        await self._change(changes)

    @override
    def where(self, model: EmbeddingModel) -> str:
        return f"the collection {self._named(model)!r}"

    @override
    async def close(self) -> None:
        close, self._close = self._close, None
        if close is not None:
            await close()

    async def _change(self, changes: list[models.AliasOperations]) -> None:
        await self._ask(self._client.update_collection_aliases, changes)

    async def _model(self, collection: str) -> EmbeddingModel:
        if collection not in self._models:
            info = await self._ask(self._client.get_collection, collection)
            model = model_of(collection, info.config)
            if self._named(model) != collection:
                raise SetupError(
                    f"The alias {self._name!r} names the collection {collection!r}, and that of "
                    f"{model.name} is {self._named(model)!r}: give it that name."
                )
            self._models[collection] = model
        return self._models[collection]

    def _named(self, model: EmbeddingModel) -> str:
        return f"{self._name}-{model.key}"

    def _of(self, mark: Mark) -> str:
        return f"{self._name}-to-{mark.to}-{mark.token}"


def _set(alias: str, collection: str) -> models.AliasOperations:
    """Makes an alias, or moves it."""
    made = models.CreateAlias(collection_name=collection, alias_name=alias)
    return models.CreateAliasOperation(create_alias=made)
