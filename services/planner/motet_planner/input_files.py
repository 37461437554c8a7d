"""Files of a task, as they were taken in: what each gave, for models and for checkpoints."""

from __future__ import annotations

from typing import Any, cast

from motet.messages import BlobRef, Value
from motet.text.fencing import fence
from motet_planner.evidence import PassageData

__all__ = ["InputDocument", "InputFile", "InputTranscript", "Inputs"]


class InputFile(Value):
    """A file of the task."""

    name: str
    """What its user calls it; no two of a task are called the same."""
    blob: BlobRef
    """Where its bytes are."""


class InputTranscript(InputFile):
    """What is said in a recording."""

    text: str
    language: str | None = None
    passages: tuple[dict[str, Any], ...] = ()
    """The text in passages with their times (`PassageData`), by which it can be cited; none of one
    that is too long to be given whole, which searches find."""


class InputDocument(InputFile):
    """A document, which the task's searches find."""

    source: str
    """Its source, in the passages of searches and in citations."""
    characters: int
    """Length of its text."""
    text: str | None = None
    """All of it, where it is short."""
    passages: tuple[dict[str, Any], ...] = ()
    """The same in passages (`PassageData`)."""


class Inputs(Value):
    """What a task came with, taken in."""

    transcripts: tuple[InputTranscript, ...] = ()
    documents: tuple[InputDocument, ...] = ()
    """Tables among them."""
    tables: tuple[InputFile, ...] = ()
    """Files that are tables as a whole, for tools that take files."""
    pictures: tuple[InputFile, ...] = ()

    @property
    def passages(self) -> list[PassageData]:
        """What is given whole, in passages: evidence that nobody needs to search for."""
        whole = (*self.transcripts, *self.documents)
        return [cast("PassageData", passage) for each in whole for passage in each.passages]

    @property
    def searchable(self) -> bool:
        """Whether there is anything that has to be searched for."""
        whole = (*self.transcripts, *self.documents)
        return any(not each.passages for each in whole)

    def shown(self, *, texts: bool = True) -> str:
        """What the task came with, for a model: names, and with `texts` what is given whole."""
        parts: list[str] = []
        for each in (*self.transcripts, *self.documents):
            kind = "recording" if isinstance(each, InputTranscript) else "document"
            if each.passages and texts:
                parts.append(fence(each.text or "", label=kind, name=each.name))
            else:
                length = len(each.text or "") if kind == "recording" else _length(each)
                parts.append(fence("", label=kind, name=each.name, characters=length))
        parts += [fence("", label="picture", name=each.name) for each in self.pictures]
        return "\n".join(parts)


def _length(file: InputFile) -> int:
    return file.characters if isinstance(file, InputDocument) else 0
