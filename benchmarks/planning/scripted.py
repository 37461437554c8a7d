"""A capable model by script: one that is always right from what it is shown, and one always wrong.

`scripted_server.ScriptedServer` speaks OpenAI's API over HTTP, so that the whole path to a model is
used. What is answered comes from a `Reader`, which knows each question's answer and the quotes that
it stands on,
but not where these are: it calls what searches until the messages have a quote, and cites the
passage that it stands in. A form that it does not know is filled by the names and types of its
fields; `Reader.field` is where a form's own meaning goes.

Invariants:

- `Right` gives the answer only with quotes that stand in the messages; what it has not been shown
  it searches for, and where it cannot, it says that the documents do not tell.
- `Wrong` gives an answer that `checking.check` refuses, with a quote that no document has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.planning.world import Question

__all__ = ["SCRIPTS", "Reader", "Right", "Said", "Wrong", "text_of"]

UNKNOWN = "The documents do not say this."
"""What is answered where nothing was found."""
NOBODY = "Zebulon Quark"
"""A wrong name."""
SEARCHES = re.compile(r"search", re.IGNORECASE)
"""Tools that look for passages, by their names."""
MARK = re.compile(r"\[(\d+)\]|<passage[^>]*\b(?:number|id|n)=\"?(\d+)")
"""How passages are numbered in a prompt."""
QUERIES = ("query", "question", "what", "text")
"""What the input of a search may call its question."""
SPACES = re.compile(r"[\s|]+")


@dataclass(frozen=True)
class Said:
    """One reply: a text, or calls of tools."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True)
class _Shown:
    """What the messages of one request show."""

    text: str
    quotes: tuple[str, ...]
    """Those of the question's quotes that they have, as they have them."""
    marks: tuple[int, ...]
    """The numbers of the passages with these, in the same order; 0 where none has a number."""


class Reader:
    """Replies to requests about known questions."""

    def __init__(self, questions: Iterable[Question]) -> None:
        self._questions = sorted(questions, key=lambda each: -len(each.text))

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
        said = "\n".join(text_of(each) for each in messages)
        question = self.asked(said)
        if question is None:
            return Said(json.dumps(self.fill(schema or {}, None, None)) if schema else UNKNOWN)
        shown = _shown(question, said)
        if tools and (calls := self.searches(question, shown, messages, tools)):
            return Said(calls=calls)
        if schema is not None:
            return Said(json.dumps(self.fill(schema, question, shown), ensure_ascii=False))
        return Said(self.answer(question, shown))

    def asked(self, said: str) -> Question | None:
        """The question that messages are about: the one that they name last."""
        found = [(said.rfind(each.text), each) for each in self._questions if each.text in said]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def searches(
        self,
        question: Question,
        shown: _Shown,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
    ) -> tuple[tuple[str, dict[str, Any]], ...]:
        """The calls that look for what is not shown yet, at once, each made once."""
        tool = next((each["function"] for each in tools if SEARCHES.search(_name(each))), None)
        if tool is None:
            return ()
        called = {
            str(call["function"]["arguments"])
            for each in messages
            for call in each.get("tool_calls") or ()
        }
        missing = [quote for quote in question.quotes if _plain(quote) not in _plain(shown.text)]
        wanted = missing if called else [question.text]
        properties = tool.get("parameters", {}).get("properties", {})
        key = next((name for name in QUERIES if name in properties), QUERIES[0])
        calls = [{key: each} for each in wanted]
        return tuple((tool["name"], each) for each in calls if json.dumps(each) not in called)

    def answer(self, question: Question, shown: _Shown) -> str:
        """The answer in text, with a mark for each passage that it stands on."""
        raise NotImplementedError

    def field(self, name: str, question: Question | None, shown: _Shown | None) -> Any:
        """The value of a field of a form by its name; None leaves it to its type."""
        raise NotImplementedError

    def fill(
        self, schema: Mapping[str, Any], question: Question | None, shown: _Shown | None
    ) -> Any:
        """A value that fits a form."""
        return self._filled(schema, schema, "", question, shown)

    def _filled(
        self,
        schema: Mapping[str, Any],
        root: Mapping[str, Any],
        name: str,
        question: Question | None,
        shown: _Shown | None,
    ) -> Any:
        schema = _resolved(schema, root)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = kind[0]
        value = self.field(name, question, shown) if name else None
        if kind == "object" or "properties" in schema:
            return {
                each: self._filled(of, root, each, question, shown)
                for each, of in schema.get("properties", {}).items()
            }
        if kind == "array":
            items = _resolved(schema.get("items", {}), root)
            given = value if isinstance(value, list) else []
            if items.get("type") not in ("object", None):
                return given
            parts = [_only(shown, place) for place in range(len(given))]
            return [self._filled(items, root, "", question, part) for part in parts]
        if isinstance(value, list):
            value = value[0] if value else None
        options = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
        if options and value not in options:
            return options[0]
        return _typed(value, kind, schema)


class Right(Reader):
    """Always right from what it is shown."""

    def answer(self, question: Question, shown: _Shown) -> str:
        """See `Reader.answer`."""
        if question.expected.elements is None or len(shown.quotes) < len(question.quotes):
            return UNKNOWN
        marks = "".join(f" [{mark}]" for mark in dict.fromkeys(shown.marks) if mark)
        return f"{self.told(question)}{marks}."

    def told(self, question: Question) -> str:
        """What is right, in words."""
        return ", ".join(forms[0] for forms in question.expected.elements or ())

    def field(self, name: str, question: Question | None, shown: _Shown | None) -> Any:
        """See `Reader.field`."""
        if question is None or shown is None:
            return None
        knows = question.expected.elements is not None and bool(shown.quotes)
        values: dict[str, Any] = {
            "answer": self.answer(question, shown),
            "text": self.answer(question, shown),
            "answered": knows,
            "quotes": list(shown.quotes),
            "citations": list(shown.quotes),
            "evidence": list(shown.quotes),
            "quote": shown.quotes[0] if shown.quotes else "",
            "passages": list(shown.marks),
            "passage": shown.marks[0] if shown.marks else 0,
            "number": shown.marks[0] if shown.marks else 0,
            "query": question.text,
            "goal": question.text,
            "what": question.text,
        }
        return values.get(name)


class Wrong(Right):
    """Always wrong, and sure of it."""

    def answer(self, question: Question, shown: _Shown) -> str:
        """See `Reader.answer`."""
        mark = next((mark for mark in shown.marks if mark), 1)
        return f"{self.told(question)} [{mark}]."

    def told(self, question: Question) -> str:
        """Something that is not right, and not in any document."""
        forms = (question.expected.elements or (("9,173",),))[0]
        numbers = re.fullmatch(r"\D{0,3}[\d.,:]+.*", forms[0]) is not None
        return (
            "It is 73,519" if numbers or question.expected.elements is None else f"It is {NOBODY}"
        )

    def field(self, name: str, question: Question | None, shown: _Shown | None) -> Any:
        """See `Reader.field`."""
        value = super().field(name, question, shown)
        if question is None or shown is None:
            return value
        if name == "answered":
            return True
        if name in ("quotes", "citations", "evidence"):
            return [self.told(question)]
        return self.told(question) if name == "quote" else value


SCRIPTS: dict[str, Callable[[Iterable[Question]], Reader]] = {
    "scripted-right": Right,
    "scripted-wrong": Wrong,
}


def _only(shown: _Shown | None, place: int) -> _Shown | None:
    """What is shown of one of the quotes."""
    if shown is None or place >= len(shown.quotes):
        return shown
    return _Shown(shown.text, shown.quotes[place : place + 1], shown.marks[place : place + 1])


def _shown(question: Question, said: str) -> _Shown:
    quotes: list[str] = []
    marks: list[int] = []
    for quote in question.quotes:
        pattern = r"[\s|]+".join(re.escape(part) for part in SPACES.split(quote) if part)
        # A row of a CSV file is a row of a table in its passage.
        rows = r"[\s|]+".join(re.escape(part) for part in re.split(r",|\s", quote) if part)
        match = re.search(pattern, said) or re.search(rows, said)
        if match is None:
            continue
        before = list(MARK.finditer(said, 0, match.start()))
        quotes.append(match[0])
        marks.append(int(before[-1][1] or before[-1][2]) if before else 0)
    return _Shown(said, tuple(quotes), tuple(marks))


def _plain(text: str) -> str:
    return SPACES.sub(" ", text.replace(",", " ")).strip()


def _name(tool: Mapping[str, Any]) -> str:
    return str(tool["function"]["name"])


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message of OpenAI's API."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without references and with the first of its alternatives that is not null."""
    while True:
        if "$ref" in schema:
            target: Any = root
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                target = target[part]
            schema = target
        elif options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            schema = next((each for each in options if each.get("type") != "null"), options[0])
        else:
            return schema


def _typed(value: Any, kind: str | None, schema: Mapping[str, Any]) -> Any:
    if kind == "boolean":
        return value if isinstance(value, bool) else False
    if kind in ("integer", "number"):
        least = schema.get("minimum", 0)
        return value if isinstance(value, int | float) else least
    if kind == "null":
        return None
    return value if isinstance(value, str) else ("" if value is None else json.dumps(value))
