"""Datasets for `motet eval`: questions, each with what is known of its answer.

JSONL has an object a line, JSON a list of objects (or an object with the list under `items`), CSV a
header. The fields are `goal` (or `question`), and what is known: `reference`, a right answer;
`relevant`, the ids of passages or the sources of documents that hold it, as a list, as an object
with grades, or in CSV separated by semicolons; `id`, the item's own name.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

__all__ = ["DatasetError", "EvalItem", "read_dataset"]


class DatasetError(Exception):
    """A dataset that cannot be read, in a sentence."""


class EvalItem(BaseModel):
    """One question."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    goal: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)
    ] = Field(validation_alias=AliasChoices("goal", "question"))
    """What is asked of the mesh."""
    id: str | None = None
    """Its own name."""
    reference: str | None = None
    """A right answer."""
    relevant: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """What holds the answer, with grades."""

    @field_validator("reference", "id", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("relevant", mode="before")
    @classmethod
    def _graded(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, str):
            value = [part.strip() for part in value.split(";") if part.strip()]
        if isinstance(value, list):
            return {str(each): 1.0 for each in cast("list[Any]", value)}
        return value

    @classmethod
    def read(cls, value: Any, where: str) -> Self:
        """An item of a dataset.

        Raises:
            DatasetError: It does not fit.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problem = error.errors()[0]
            field = ".".join(map(str, problem["loc"])) or "the item"
            raise DatasetError(f"{where}: {field}: {problem['msg']}.") from None


def read_dataset(path: Path, limit: int | None = None) -> list[EvalItem]:
    """The items of a dataset, in order.

    Args:
        path: A `.jsonl`, `.json` or `.csv` file.
        limit: Only the first so many.

    Raises:
        DatasetError: The file or an item cannot be read; it says which.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{str(path)!r} is not UTF-8 text (byte {error.start}).") from None
    readers = {".json": _json, ".csv": _csv}
    found = readers.get(path.suffix.lower(), _lines)(text, str(path))
    items = [EvalItem.read(value, where) for where, value in found]
    if not items:
        raise DatasetError(f"{str(path)!r} has no items.")
    return items[:limit]


def _lines(text: str, path: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}, line {number}"
        if line.strip():
            yield where, _parsed(line, where)


def _json(text: str, path: str) -> Iterator[tuple[str, Any]]:
    value = _parsed(text, path)
    if isinstance(value, dict):
        value = cast("Mapping[str, Any]", value).get("items")
    if not isinstance(value, list):
        raise DatasetError(f"{path}: it is no list, and has none under 'items'.")
    for number, each in enumerate(cast("list[Any]", value), start=1):
        yield f"{path}, item {number}", each


def _csv(text: str, path: str) -> Iterable[tuple[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        yield (
            f"{path}, line {reader.line_num}",
            {name: value for name, value in row.items() if value is not None},
        )


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: this is no JSON: {error}.") from None
