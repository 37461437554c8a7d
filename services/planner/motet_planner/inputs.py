"""Inputs: the files that a task comes with, each taken in by its kind.

- Recordings are transcribed. What is said is data beside the goal; it never becomes the goal.
- Documents and tables are parsed by the retriever, which keeps them for this task alone: its
  searches find them. Those that are short together are also given whole, in passages.
- Pictures go to a model that sees, as they are.

Invariants:

- Every input is taken in, or the task fails with a fault that names the input and says what to do:
  an answer without it would be a guess.
- What was taken in is JSON, so that it can be kept in a checkpoint; the bytes of files never are.
- Each piece of work is a step of its own name, so a task that is delivered again does none twice.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any, Protocol, cast

from motet.errors import FaultError
from motet.media import TABLE_TYPES, input_media_type, is_picture, is_recording
from motet.messages import (
    BlobRef,
    Document,
    FaultType,
    IngestRequest,
    IngestResult,
    ReadRequest,
    TranscriptSegment,
)
from motet.text.fencing import fence
from motet_planner.catalogue import transcriber_of
from motet_planner.evidence import passages_of
from motet_planner.input_files import InputDocument, InputFile, Inputs, InputTranscript
from motet_planner.run import Run

__all__ = [
    "Blobs",
    "InputDocument",
    "InputFile",
    "InputTranscript",
    "Inputs",
    "erase",
    "pictures",
    "take_in",
]

INGEST = "retriever.ingest"
READ = "retriever.read"
ERASE = "retriever.erase"

SOURCE = "input:"
"""Begins the source of a task's own document, so that nobody takes it for one of the tenant's."""
UNKNOWN = "application/octet-stream"
SHOWN_PICTURES = ("image/gif", "image/jpeg", "image/png", "image/webp")
"""What all providers take that take pictures."""
GUESSED = -1.0
"""Mean log probability of its words below which a recording was not understood: that at which
Whisper gives an attempt up (`logprob_threshold`, Radford et al., 2022, section 4.5)."""
SPOKEN = 800
"""Characters of a transcript that become one passage."""

_MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+_-]{1,100}")


class Blobs(Protocol):
    """The object store; `motet.bus.Blobs` is it."""

    async def get(self, ref: BlobRef, *, max_bytes: int = ...) -> bytes:
        """The bytes of a blob."""
        ...


async def take_in(task_inputs: Sequence[BlobRef], run: Run) -> Inputs:
    """Takes the files of a task in.

    Raises:
        FaultError: `invalid_input` for one that cannot be read, understood or seen; `too_large` for
            pictures; `unavailable` where no agent does it now.
    """
    if not task_inputs:
        return Inputs()
    files = _named(task_inputs)
    seen = [each for each in files if is_picture(each.blob.media_type)]
    heard = [each for each in files if is_recording(each.blob.media_type)]
    read = [each for each in files if each not in seen and each not in heard]
    _check_pictures(seen, run)
    limit = _whole_characters(run)
    transcripts, documents = await asyncio.gather(
        _transcripts(heard, run, limit), _documents(read, run, limit)
    )
    tables = tuple(each for each in read if each.blob.media_type in TABLE_TYPES)
    return Inputs(transcripts=transcripts, documents=documents, tables=tables, pictures=tuple(seen))


async def pictures(inputs: Inputs, blobs: Blobs) -> list[dict[str, Any]]:
    """The pictures as LangChain's content blocks, each after its name, for a message to a model.

    Raises:
        FaultError: `not_found`, `unavailable`, or `invalid_input` when a blob has changed.
    """
    blocks: list[dict[str, Any]] = []
    for each in inputs.pictures:
        data = await blobs.get(each.blob, max_bytes=each.blob.size)
        blocks.append({"type": "text", "text": fence("", label="picture", name=each.name)})
        blocks.append(
            {
                "type": "image",
                "base64": base64.b64encode(data).decode(),
                "mime_type": each.blob.media_type,
            }
        )
    return blocks


async def erase(run: Run) -> None:
    """Has the retriever erase what it keeps for the task; to be done once a task with inputs ends.

    The retriever sweeps up what it is not told to erase, so that no fault of this is the task's.
    """
    if ERASE not in _skills(run):
        return
    with suppress(FaultError):
        await run.call.delegate(ERASE, {}, step="inputs.erase")


def _skills(run: Run) -> set[str]:
    return {f"{card.name}.{skill.name}" for card in run.call.cards() for skill in card.skills}


def _named(task_inputs: Iterable[BlobRef]) -> list[InputFile]:
    """The files, with names that differ and media types that are as exact as can be told."""
    files: list[InputFile] = []
    taken: set[str] = set()
    for blob in task_inputs:
        given = PurePath((blob.filename or blob.name).replace("\\", "/")).name or "file"
        name, number = given, 1
        while name in taken:
            number += 1
            path = PurePath(given)
            name = f"{path.stem} ({number}){path.suffix}"
        taken.add(name)
        kind = blob.media_type.partition(";")[0].strip().lower()
        if kind == UNKNOWN or not _MEDIA_TYPE.fullmatch(kind):
            kind = input_media_type(PurePath(given))
        files.append(InputFile(name=name, blob=blob.model_copy(update={"media_type": kind})))
    return files


def _whole_characters(run: Run) -> int:
    """How long what is given whole may be together."""
    settings = run.settings
    small = run.capability.profile == "small"
    return settings.input_characters if small else settings.input_characters_capable


def _check_pictures(files: Sequence[InputFile], run: Run) -> None:
    if not files:
        return
    names = ", ".join(repr(each.name) for each in files)
    if not run.model.sees:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The task has pictures ({names}), and the model does not see: set MOTET_MODEL to one "
            "that does, or MOTET_MODEL_SEES=true where the model of your own server does.",
        )
    for each in files:
        if each.blob.media_type not in SHOWN_PICTURES:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"The picture {each.name!r} is {each.blob.media_type}, which models do not take: "
                "convert it to PNG, JPEG, GIF or WebP.",
            )
    size, limit = sum(each.blob.size for each in files), run.settings.picture_bytes
    if size > limit:
        raise FaultError.of(
            FaultType.TOO_LARGE,
            f"The task's pictures ({names}) have {size:,} bytes together, and the limit is "
            f"{limit:,} (MOTET_PLANNER_PICTURE_BYTES): make them smaller, or leave some out.",
            size=size,
            limit=limit,
        )


async def _transcripts(
    files: Sequence[InputFile], run: Run, limit: int
) -> tuple[InputTranscript, ...]:
    if not files:
        return ()
    skill = transcriber_of(run.call.cards())
    if skill is None:
        raise FaultError.of(
            FaultType.UNAVAILABLE,
            f"The task has a recording, {files[0].name!r}, and no agent that transcribes is "
            "running: start `speech`.",
            retryable=True,
        )
    heard = await asyncio.gather(
        *(_transcript(number, each, skill, run) for number, each in enumerate(files, 1))
    )
    if sum(len(each.text) for each in heard) <= limit:
        return tuple(heard)
    documents = [
        Document(source=SOURCE + each.name, title=each.name, text=each.text, language=each.language)
        for each in heard
    ]
    await _ingest([each.name for each in heard], documents, run, step="inputs.ingest.spoken")
    return tuple(each.model_copy(update={"passages": ()}) for each in heard)


async def _transcript(number: int, file: InputFile, skill: str, run: Run) -> InputTranscript:
    audio = file.blob.model_dump(mode="json", exclude_none=True)
    output = await run.call.delegate(skill, {"audio": audio}, step=f"inputs.hear.{number}")
    segments = [TranscriptSegment.model_validate(each) for each in output.get("segments") or ()]
    text = str(output.get("text", "")).strip()
    if not text:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"Nobody speaks in the recording {file.name!r}: leave it out, or give another.",
        )
    if (sure := _certainty(segments)) is not None and sure < GUESSED:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The recording {file.name!r} was not understood: what was heard is a guess. Give a "
            "clearer one, or a larger model of speech (MOTET_SPEECH_MODEL).",
            average_log_probability=round(sure, 3),
        )
    passages = _spoken(file, text, segments)
    language = output.get("language")
    return InputTranscript(
        name=file.name,
        blob=file.blob,
        text=text,
        language=language if isinstance(language, str) else None,
        passages=passages,
    )


def _certainty(segments: Iterable[TranscriptSegment]) -> float | None:
    """The mean log probability of what was heard, by its length; None where that is not told."""
    told = [each for each in segments if each.average_log_probability is not None]
    length = sum(len(each.text) for each in told)
    if not length:
        return None
    return sum((each.average_log_probability or 0.0) * len(each.text) for each in told) / length


def _spoken(
    file: InputFile, text: str, segments: Sequence[TranscriptSegment]
) -> tuple[dict[str, Any], ...]:
    """A transcript in passages with their times."""
    groups: list[list[TranscriptSegment]] = []
    size = SPOKEN + 1
    for each in segments:
        if size + len(each.text) > SPOKEN:
            groups.append([])
            size = 0
        groups[-1].append(each)
        size += len(each.text) + 1
    source = SOURCE + file.name
    common = {"source": source, "title": file.name}
    if not groups:
        whole = {"id": f"{source}#0", "text": text, "start": 0, "end": len(text)}
        return ({**whole, **common},)
    passages: list[dict[str, Any]] = []
    start = 0
    for number, group in enumerate(groups):
        said = " ".join(each.text.strip() for each in group)
        end = start + len(said)
        passages.append(
            {
                "id": f"{source}#{number}",
                "text": said,
                "start": start,
                "end": end,
                "start_s": group[0].start_s,
                "end_s": group[-1].end_s,
                **common,
            }
        )
        start = end + 1
    return tuple(passages)


async def _documents(files: Sequence[InputFile], run: Run, limit: int) -> tuple[InputDocument, ...]:
    if not files:
        return ()
    documents = [
        Document(
            source=SOURCE + each.name,
            title=each.name,
            media_type=each.blob.media_type,
            blob=each.blob,
        )
        for each in files
    ]
    result = await _ingest([each.name for each in files], documents, run, step="inputs.ingest")
    taken = [
        InputDocument(
            name=file.name, blob=file.blob, source=item.source, characters=item.characters
        )
        for file, item in zip(files, result.items, strict=True)
    ]
    short = _short(taken, limit)
    return tuple(
        await asyncio.gather(
            *(
                _whole(number, each, run) if each.name in short else _as_it_is(each)
                for number, each in enumerate(taken, 1)
            )
        )
    )


async def _ingest(
    names: Sequence[str], documents: Sequence[Document], run: Run, *, step: str
) -> IngestResult:
    if INGEST not in _skills(run):
        raise FaultError.of(
            FaultType.UNAVAILABLE,
            f"The task has a document, {names[0]!r}, and no agent that reads documents is running: "
            "start `retriever`.",
            retryable=True,
        )
    request = IngestRequest(documents=tuple(documents), scope="task")
    output = await run.call.delegate(INGEST, request.model_dump(mode="json"), step=step)
    result = IngestResult.model_validate(output)
    failed = [
        f"{name!r}: {item.reason or 'no reason is given'}"
        for name, item in zip(names, result.items, strict=True)
        if item.status == "failed"
    ]
    if failed:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"Inputs of the task cannot be read. {' '.join(failed)}",
            inputs=failed,
        )
    return result


def _short(documents: Sequence[InputDocument], limit: int) -> set[str]:
    """The names of those that are given whole: the shortest ones that fit together."""
    chosen: set[str] = set()
    for each in sorted(documents, key=lambda each: each.characters):
        limit -= each.characters
        if limit < 0:
            break
        chosen.add(each.name)
    return chosen


async def _whole(number: int, document: InputDocument, run: Run) -> InputDocument:
    """A document with its text; as it was where that is longer than it was said to be."""
    request = ReadRequest(source=document.source, characters=max(document.characters, 1))
    output = await run.call.delegate(
        READ, request.model_dump(mode="json"), step=f"inputs.read.{number}"
    )
    if output.get("next") is not None:
        return document
    passages = tuple(cast("dict[str, Any]", each) for each in passages_of(output) or ())
    return document.model_copy(update={"text": str(output.get("text", "")), "passages": passages})


async def _as_it_is(document: InputDocument) -> InputDocument:
    return document
