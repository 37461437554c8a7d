"""`motet documents`: what is findable, what has failed, and taking documents back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.principals import Access, Tenant, principal
from motet.cli.terminal import AsJson, Status, client_settings, fail, out, run, write_json

if TYPE_CHECKING:
    from motet.client import Motet
    from motet.messages import DeleteResult, DocumentInfo, Principal

__all__ = ["app"]

app = typer.Typer(
    rich_markup_mode=None,
    help="List documents and what failed, or delete some.",
    invoke_without_command=True,
)

_PAGE = 500


@app.callback()
def documents(  # noqa: PLR0917 - Typer passes options by name
    context: typer.Context,
    source: Annotated[
        list[str] | None, typer.Option(help="Only this document; may be repeated.")
    ] = None,
    under: Annotated[
        str, typer.Option(metavar="PREFIX", help="Only those whose names begin so.")
    ] = "",
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those whose last attempt has failed.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 100,
    tenant: Tenant = "default",
    access: Access = None,
    as_json: AsJson = False,
) -> None:
    """List documents with their status."""
    from contextlib import aclosing

    from motet.client import Motet

    if context.invoked_subcommand is not None:
        return
    who = principal(tenant, access or ())

    async def main() -> tuple[list[DocumentInfo], bool]:
        found: list[DocumentInfo] = []
        async with (
            Motet.open(client_settings()) as motet,
            aclosing(_listed(motet, who, tuple(source or ()), failed=failed)) as listed,
        ):
            async for info in listed:
                if not info.source.startswith(under):
                    continue
                if len(found) == limit:
                    return found, True
                found.append(info)
        return found, False

    found, more = run(main())
    if as_json:
        write_json([info.model_dump(mode="json") for info in found])
        return
    for info in found:
        _show(info)
    if not found:
        out().print("No such documents." if source or under or failed else "No documents.")
    elif more:
        out().print(f"and more: --limit shows more than {limit}", style="dim")


@app.command()
def delete(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="As `motet documents` shows them.")
    ],
    tenant: Tenant = "default",
    access: Access = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents, with all that can be found of them."""
    from motet.cli.layout import plural
    from motet.cli.sending import Sender, Wanted
    from motet.client import Motet

    who = principal(tenant, access or ())

    async def main() -> list[DeleteResult.Item]:
        async with (
            Motet.open(client_settings()) as motet,
            motet.together("delete", principal=who) as calls,
        ):
            return await Sender(motet, calls, Wanted(principal=who)).delete(sources)

    items = run(main())
    unknown = [item.source for item in items if item.status == "unknown"]
    if as_json:
        write_json([item.model_dump(mode="json") for item in items])
    else:
        out().print(f"{plural(len(items) - len(unknown), 'document')} deleted")
    if unknown:
        fail(f"There is no document {', '.join(map(repr, unknown))}.", Status.FAILED)


async def _listed(
    motet: Motet, who: Principal, sources: tuple[str, ...], *, failed: bool
) -> AsyncGenerator[DocumentInfo]:
    """The documents that the principal sees, in the order of the store."""
    from motet.cli.sending import DOCUMENTS
    from motet.messages import DocumentsRequest, DocumentsResult

    after: str | None = None
    while True:
        request = DocumentsRequest(sources=sources, failed=failed, limit=_PAGE, after=after)
        page = await motet.call(DOCUMENTS, request, DocumentsResult, principal=who)
        for info in page.documents:
            yield info
        after = page.next
        if after is None:
            return


def _show(info: DocumentInfo) -> None:
    from motet.cli.layout import plural

    said = [plural(info.passages, "passage"), info.media_type]
    if info.labels:
        said.append(f"for {', '.join(info.labels)}")
    if info.fields:
        said.append(" ".join(f"{name}={value}" for name, value in info.fields.items()))
    out().print(f"[bold]{info.ingested_at:%Y-%m-%d %H:%M}[/] ", end="")
    out().print(info.source, markup=False, soft_wrap=True, end="  ")
    out().print(", ".join(said), style="dim", markup=False, soft_wrap=True)
    if info.failure is not None:
        still = "; the version before is found" if info.passages else ""
        line = f"  failed {info.failure.at:%Y-%m-%d %H:%M}: {info.failure.reason}{still}"
        out().print(line, style="red", markup=False, soft_wrap=True)
