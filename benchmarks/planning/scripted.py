"""A capable model by script: one that is always right from what it is shown, and one always wrong.

`scripted_server.ScriptedServer` speaks OpenAI's API over HTTP, so that the whole path to a model is
used. What is answered comes from a `Reader`, which knows each question's answer and the quotes that
it stands on, but not where these are: it calls what searches until the messages have a quote, and
cites the passage that it stands in. A form of an answer is filled by the names of its fields, which
`Reader.field` knows, and else by their types.

Invariants:

- `Right` gives the answer only with quotes that stand in the messages; what it has not been shown
  it searches for, and where it cannot, it says that the documents do not tell.
- `Wrong` gives an answer that `checking.check` refuses, marked with a passage that does not hold
  it, and with a quote that no document has; `Misquoting` gives the same with a quote that one has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.planning.world import Question

__all__ = ["SCRIPTS", "Misquoting", "Reader", "Right", "Said", "Shown", "Wrong", "text_of"]

UNKNOWN = "The documents do not say this."
"""What is answered where nothing was found."""
UNANSWERED = "[unanswered] "
"""What a model that calls tools begins an answer with that is none."""
NOBODY = "Zebulon Quark"
"""A wrong name."""
MARK = re.compile(r"\[(p[0-9a-f]{6}|\d{1,3})\]")
"""How passages are marked in a prompt."""
GAP = re.compile(r"[\s|,]+")
"""What a passage may have otherwise than its document: a row of a CSV file is a table's there."""


@dataclass(frozen=True)
class Said:
    """One reply: a text, or calls of tools."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True)
class Shown:
    """What the messages of one request show about a question."""

    quotes: tuple[str, ...]
    """Those of the question's quotes that they have, as they have them."""
    marks: tuple[str, ...]
    """The marks of the passages with these, in the same order; empty where one has none."""
    missing: tuple[str, ...]
    """The quotes that they lack."""
    seen: tuple[str, ...]
    """All marks."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


class Reader:
    """Replies to requests about known questions."""

    def __init__(self, questions: Iterable[Question]) -> None:
        self._questions = tuple(questions)

    def reply(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        schema: Mapping[str, Any] | None = None,
    ) -> Said:
        """Replies as a model would.

        Args:
            messages: As OpenAI's API has them.
            tools: What may be called, each as OpenAI describes a function.
            schema: The form of the answer, a JSON Schema; None is text.
        """
        question = self.asked("\n".join(text_of(each) for each in messages))
        shown = None if question is None else _shown(question, messages)
        if schema is not None:
            filling = _Filling(self, schema, question, shown, _history(messages))
            return Said(json.dumps(filling.value(), ensure_ascii=False))
        if question is None or shown is None:
            return self.about_nothing(tools)
        if calls := searches(question, shown, _history(messages), tools):
            return Said(calls=calls)
        return Said(self.answer(question, shown, acting=bool(tools)))

    def asked(self, said: str) -> Question | None:
        """The question that messages are about: the one that they name last."""
        found = [(said.rfind(each.text), each) for each in self._questions if each.text in said]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def about_nothing(self, tools: Sequence[Mapping[str, Any]]) -> Said:
        """The reply where no question is known, such as to a probe: a search, once."""
        found = _search_tool(tools)
        return Said(UNKNOWN) if found is None else Said(calls=((found, {"query": "it"}),))

    def answer(self, question: Question, shown: Shown, *, acting: bool = False) -> str:
        """The answer in text, with a mark for each passage that it stands on."""
        raise NotImplementedError

    def quoted(self, question: Question, shown: Shown) -> list[tuple[str, str]]:
        """Pairs of a passage's mark and a quote, for forms that ask for them."""
        raise NotImplementedError

    def knows(self, question: Question, shown: Shown) -> bool:
        """Whether it says that it answers."""
        raise NotImplementedError

    def field(self, name: str, question: Question, shown: Shown) -> Any:
        """The value of a form's field; None leaves it to its type."""
        knows = self.knows(question, shown)
        values: dict[str, Any] = {
            "answer": self.answer(question, shown),
            "status": "answered" if knows else "unanswered",
            "quotes": [
                {"passage": mark, "text": quote} for mark, quote in self.quoted(question, shown)
            ],
            "how": "stated" if shown.complete else "missing",
            "query": shown.missing[0] if shown.missing and shown.seen else question.text,
            "steps": [
                {"what": each, "needs": []}
                for each in (question.text, *dict.fromkeys(shown.missing))
            ],
        }
        return values.get(name)


class Right(Reader):
    """Always right from what it is shown."""

    def answer(self, question: Question, shown: Shown, *, acting: bool = False) -> str:
        """See `Reader.answer`."""
        if not self.knows(question, shown):
            return f"{UNANSWERED if acting else ''}{UNKNOWN}"
        marks = "".join(f" [{mark}]" for mark in dict.fromkeys(shown.marks) if mark)
        told = ", ".join(forms[0] for forms in question.expected.elements or ())
        return f"{told}{marks}"

    def quoted(self, question: Question, shown: Shown) -> list[tuple[str, str]]:
        """See `Reader.quoted`."""
        if not self.knows(question, shown):
            return []
        return list(zip(shown.marks, shown.quotes, strict=True))

    def knows(self, question: Question, shown: Shown) -> bool:
        """See `Reader.knows`."""
        return question.expected.elements is not None and shown.complete


class Wrong(Reader):
    """Always wrong, and sure of it."""

    def answer(self, question: Question, shown: Shown, *, acting: bool = False) -> str:
        """See `Reader.answer`."""
        del acting
        mark = next((mark for mark in (*shown.marks, *shown.seen) if mark), "1")
        return f"{self.told(question)} [{mark}]."

    def told(self, question: Question) -> str:
        """Something that is not right, and in no document."""
        forms = (question.expected.elements or (("9",),))[0]
        counted = re.match(r"\W{0,2}\d", forms[0]) is not None
        return "It is 73,519" if counted else f"It is {NOBODY}"

    def quoted(self, question: Question, shown: Shown) -> list[tuple[str, str]]:
        """See `Reader.quoted`."""
        return [(mark, self.told(question)) for mark in (*shown.marks, *shown.seen)[:1]]

    def knows(self, question: Question, shown: Shown) -> bool:
        """See `Reader.knows`."""
        del question, shown
        return True


class Misquoting(Wrong):
    """Always wrong, with quotes that the passages have, but that say something else."""

    def quoted(self, question: Question, shown: Shown) -> list[tuple[str, str]]:
        """See `Reader.quoted`."""
        del question
        return list(zip(shown.marks, shown.quotes, strict=True))


SCRIPTS: dict[str, Callable[[Iterable[Question]], Reader]] = {
    "scripted-right": Right,
    "scripted-wrong": Wrong,
    "scripted-misquoting": Misquoting,
}


# What is asked


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message of OpenAI's API."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def searches(
    question: Question,
    shown: Shown,
    history: str,
    tools: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The calls that look for what is not shown yet, at once, each made once.

    Args:
        question: What is asked.
        shown: What is there.
        history: What was called, as JSON.
        tools: What can be called.
    """
    tool = _search_tool(tools)
    if tool is None:
        return ()
    first = json.dumps(question.text, ensure_ascii=False)
    wanted = shown.missing if first in history else (question.text,)
    return tuple(
        (tool, {"query": each})
        for each in dict.fromkeys(wanted)
        if json.dumps(each, ensure_ascii=False) not in history
    )


def _search_tool(tools: Sequence[Mapping[str, Any]]) -> str | None:
    """The first tool that is named for searching and takes a query."""
    for tool in tools:
        function = tool["function"]
        properties = function.get("parameters", {}).get("properties", {})
        if "search" in function["name"] and "query" in properties:
            return str(function["name"])
    return None


def _history(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the model itself has said and called, as JSON."""
    said: list[str] = []
    for each in messages:
        if each.get("role") == "assistant":
            said.append(text_of(each))
            for call in each.get("tool_calls") or ():
                arguments = json.loads(call["function"]["arguments"])
                said.append(json.dumps(arguments, ensure_ascii=False))
    return "\n".join(said)


def _shown(question: Question, messages: Sequence[Mapping[str, Any]]) -> Shown:
    """Reads the messages of others than the model and whoever instructs it."""
    told = "\n".join(text_of(each) for each in messages if each.get("role") in ("user", "tool"))
    quotes: list[str] = []
    marks: list[str] = []
    missing: list[str] = []
    for quote in question.quotes:
        parts = (re.escape(part) for part in GAP.split(quote) if part)
        match = re.search(r"[\s|,]+".join(parts), told)
        if match is None:
            missing.append(quote)
            continue
        before = [found[1] for found in MARK.finditer(told, 0, match.start())]
        quotes.append(match[0])
        marks.append(before[-1] if before else "")
    seen = tuple(dict.fromkeys(found[1] for found in MARK.finditer(told)))
    return Shown(tuple(quotes), tuple(marks), tuple(missing), seen)


# Forms


@dataclass(frozen=True)
class _Filling:
    """Fills a form."""

    reader: Reader
    root: Mapping[str, Any]
    question: Question | None
    shown: Shown | None
    history: str

    def value(self) -> Any:
        return self._filled(self.root, None)

    def _filled(self, schema: Mapping[str, Any], given: Any) -> Any:
        """A value that fits a schema, from what is given as far as it does."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if (options := schema.get("enum")) is not None:
            return given if given in options else self._option(options)
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            known: dict[str, Any] = given if isinstance(given, dict) else {}
            return {
                name: self._named(name, of, known.get(name))
                for name, of in schema.get("properties", {}).items()
                if name in schema.get("required", ()) or name in known
            }
        if kind == "array":
            items = cast("list[Any]", given) if isinstance(given, list) else []
            return [self._filled(schema.get("items", {}), each) for each in items]
        return _plain(kind, given, schema)

    def _named(self, name: str, schema: Mapping[str, Any], given: Any) -> Any:
        if given is None and self.question is not None and self.shown is not None:
            if name == "next":
                return self._next(schema)
            given = self.reader.field(name, self.question, self.shown)
        return self._filled(schema, given)

    def _next(self, schema: Mapping[str, Any]) -> Any:
        """Calls of tools, or the answer, where a form stands for both."""
        assert self.question is not None
        assert self.shown is not None
        calls = next(each for each in schema["anyOf"] if each.get("type") == "array")
        tools = [
            {
                "function": {
                    "name": each["properties"]["tool"]["const"],
                    "parameters": each["properties"]["input"],
                }
            }
            for each in calls["items"]["anyOf"]
        ]
        if wanted := searches(self.question, self.shown, self.history, tools):
            return [{"tool": name, "input": given} for name, given in wanted]
        return self.reader.answer(self.question, self.shown, acting=True)

    def _option(self, options: Sequence[Any]) -> Any:
        """What searches, where a skill is chosen; else the first."""
        return next((each for each in options if str(each).endswith("search")), options[0])

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema without references, and of alternatives the first that is not null."""
        while True:
            if "$ref" in schema:
                target: Any = self.root
                for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                    target = target[part]
                schema = target
            elif options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
                schema = next((each for each in options if each.get("type") != "null"), options[0])
            else:
                return schema


def _plain(kind: str | None, given: Any, schema: Mapping[str, Any]) -> Any:
    match kind:
        case "boolean":
            return given is True
        case "integer" | "number":
            return given if isinstance(given, int | float) else schema.get("minimum", 0)
        case "null":
            return None
        case _:
            least = int(schema.get("minLength", 0))
            return given if isinstance(given, str) else "-" * least
