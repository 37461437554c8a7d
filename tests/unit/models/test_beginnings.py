"""Beginnings of prompts are read once, and restored after."""

from __future__ import annotations

import json

import httpx
import pytest

from motet.models.beginnings import SHORTEST, Beginnings

LONG = "You plan. " * SHORTEST


class LlamaServer:
    """What llama.cpp's server does with one slot and a folder, as far as it is asked here."""

    def __init__(self, *, keeps: bool = True, loading: int = 0) -> None:
        self.files: set[str] = set()
        self.done: list[str] = []
        self._keeps = keeps
        self._loading = loading

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self._loading:  # so many requests come too early
            self._loading -= 1
            return httpx.Response(503)
        if request.url.path == "/health":
            return httpx.Response(200)
        body = json.loads(request.content)
        if request.url.path == "/v1/chat/completions":
            self.done.append(f"read {len(body['messages'])}")
            return httpx.Response(200, json={})
        action = request.url.params["action"]
        self.done.append(action)
        if not self._keeps:
            return httpx.Response(501)
        if action == "save":
            self.files.add(body["filename"])
        return httpx.Response(200 if body["filename"] in self.files else 400)

    def beginnings(self, model: str = "m") -> Beginnings:
        client = httpx.AsyncClient(
            base_url="http://model", transport=httpx.MockTransport(self.__call__)
        )
        return Beginnings("http://model/v1", model, client)


def prompt(system: str, question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


async def use(beginnings: Beginnings, *prompts: list[dict[str, str]]) -> None:
    for messages in prompts:
        async with beginnings.ready(messages):
            pass


async def test_a_new_beginning_is_read_without_the_last_message_and_saved() -> None:
    server = LlamaServer()
    await use(server.beginnings(), prompt(LONG, "a"), prompt(LONG, "b"))
    assert server.done == ["restore", "read 1", "save"]


async def test_a_known_beginning_is_restored_also_by_a_later_run() -> None:
    server = LlamaServer()
    await use(server.beginnings(), prompt(LONG, "a"))
    server.done.clear()
    await use(server.beginnings(), prompt(LONG, "b"))
    assert server.done == ["restore"]


async def test_another_beginning_is_restored_after_the_slot_was_put_into_memory() -> None:
    server = LlamaServer()
    await use(server.beginnings(), prompt(LONG, "a"), prompt(f"{LONG}!", "a"))
    assert server.done == ["restore", "read 1", "save", "read 1", "restore", "read 1", "save"]


async def test_beginnings_that_alternate_are_left_to_the_servers_memory() -> None:
    server = LlamaServer()
    beginnings = server.beginnings()
    await use(beginnings, prompt(LONG, "a"), prompt(f"{LONG}!", "a"))
    server.done.clear()
    await use(beginnings, prompt(LONG, "b"), prompt(f"{LONG}!", "b"))
    assert server.done == []


async def test_another_model_has_files_of_its_own() -> None:
    server = LlamaServer()
    await use(server.beginnings("m"), prompt(LONG, "a"))
    await use(server.beginnings("n"), prompt(LONG, "a"))
    assert len(server.files) == 2


async def test_a_short_beginning_is_left_to_the_server() -> None:
    server = LlamaServer()
    await use(server.beginnings(), prompt("You plan.", "a"))
    assert server.done == []


async def test_a_server_that_keeps_nothing_is_asked_once() -> None:
    server = LlamaServer(keeps=False)
    await use(server.beginnings(), prompt(LONG, "a"), prompt(f"{LONG}!", "a"))
    assert server.done == ["restore"]


async def test_a_server_that_cannot_be_reached_does_no_harm() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = httpx.AsyncClient(base_url="http://model", transport=httpx.MockTransport(refuse))
    await use(Beginnings("http://model/v1", "m", client), prompt(LONG, "a"))


async def test_a_server_that_is_still_loading_is_asked_again() -> None:
    server = LlamaServer(loading=1)
    await use(server.beginnings(), prompt(LONG, "a"), prompt(LONG, "b"))
    assert server.done == ["restore", "read 1", "save"]


async def test_who_prepares_waits_until_the_model_is_loaded() -> None:
    server = LlamaServer(loading=2)
    beginnings = server.beginnings()
    await beginnings.loaded()
    await use(beginnings, prompt(LONG, "a"))
    assert server.done == ["restore", "read 1", "save"]


async def test_a_model_that_never_loads_is_waited_for_in_bounded_time() -> None:
    server = LlamaServer(loading=1_000)
    await server.beginnings().loaded(within_s=0.01)


@pytest.mark.parametrize("url", ["http://model", "http://model/v1", "http://model/v1/"])
async def test_the_root_of_the_server_is_found(url: str) -> None:
    assert Beginnings(url, "m")._root == "http://model"
