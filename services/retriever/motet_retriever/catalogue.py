"""The catalogue: which documents are there and which have failed, and their removal."""

from __future__ import annotations

from collections.abc import Iterable

from motet.errors import FaultError
from motet.messages import (
    DeleteRequest,
    DeleteResult,
    DocumentInfo,
    DocumentsRequest,
    DocumentsResult,
    FaultType,
    Principal,
)
from motet_retriever.stores.port import PassageStore

__all__ = ["delete_documents", "list_documents"]


async def list_documents(
    store: PassageStore, principal: Principal, request: DocumentsRequest
) -> DocumentsResult:
    """A page of all documents that the principal sees, or of those that the request names.

    The latter come in the order of the request.

    Raises:
        FaultError: `invalid_input` when `after` does not come from a page.
    """
    if request.sources:
        found = await store.find(principal, request.sources)
        named = dict.fromkeys(request.sources)
        there = [found[each] for each in named if each in found]
        return DocumentsResult(documents=_wanted(there, request))
    try:
        documents, following = await store.page(principal, request.limit, request.after)
        while not _wanted(documents, request) and following is not None:
            documents, following = await store.page(principal, request.limit, following)
    except ValueError:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"{request.after!r} is not the 'next' of a page of documents: leave 'after' out to "
            "begin anew.",
        ) from None
    return DocumentsResult(documents=_wanted(documents, request), next=following)


def _wanted(
    documents: Iterable[DocumentInfo], request: DocumentsRequest
) -> tuple[DocumentInfo, ...]:
    return tuple(each for each in documents if each.failure is not None or not request.failed)


async def delete_documents(
    store: PassageStore, principal: Principal, request: DeleteRequest
) -> DeleteResult:
    """Removes the documents for good: what is reported as deleted stays so after loss of power."""
    removed = await store.delete(principal, request.sources)
    await store.flush()
    return DeleteResult(
        items=tuple(
            DeleteResult.Item(
                source=source,
                status="deleted" if source in removed else "unknown",
                passages=removed.get(source, 0),
            )
            for source in request.sources
        )
    )
