"""`motet up`: the mesh on this machine, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from motet.cli.terminal import AsJson, err, out, run, write_json

if TYPE_CHECKING:
    from motet.embedded import EmbeddedMesh

__all__ = ["up"]


def up(
    nats_port: Annotated[
        int | None,
        typer.Option(help="Port of NATS; a free one unless given.", min=1, max=65535),
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(help="Run only this agent; repeat it for more. All that are installed."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a mesh on this machine until Ctrl-C.

    NATS, the local model and every agent run as processes of their own. One that dies is started
    again, and that is said. Other `motet` commands find the mesh by themselves.
    """
    from motet.embedded import EmbeddedMesh
    from motet.settings import load_settings

    async def main() -> None:
        starting = err().status("starting the mesh")
        starting.start()
        try:
            async with EmbeddedMesh(
                load_settings(), agents=agent, nats_port=nats_port, notice=_notice
            ) as mesh:
                starting.stop()
                if as_json:
                    state = mesh.state.model_dump(mode="json")
                    write_json({**state, "timings": mesh.timings}, line=True)
                else:
                    _describe(mesh)
                await _until_interrupted(mesh)
        finally:
            starting.stop()

    run(main())


async def _until_interrupted(mesh: EmbeddedMesh) -> None:
    from asyncio import CancelledError

    try:
        await mesh.wait()
    except CancelledError:
        err().print(
            "Stopping: work in progress is finished or handed back. Ctrl-C ends it at once."
        )
        raise


def _describe(mesh: EmbeddedMesh) -> None:
    state = mesh.state
    agents = ", ".join(mesh.agents)
    out().print(f"[bold]The mesh is up[/] after {mesh.timings['all']:.1f} s.")
    model = f"{state.model}" + (f" at {state.model_url}" if state.model_url else "")
    for name, value in {
        "nats": state.nats_url,
        "model": model,
        "agents": agents,
        "logs": str(mesh.logs),
    }.items():
        out().print(f"  [dim]{name:<7}[/] {value}", soft_wrap=True)
    out().print('Submit a task from another terminal: [bold]motet submit --follow "..."[/]')
    out().print("Ctrl-C ends the mesh.", style="dim")


def _notice(text: str) -> None:
    err().print(text, style="yellow", markup=False, soft_wrap=True)
