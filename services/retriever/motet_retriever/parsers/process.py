"""The process that parses: files come in by its standard input, what they say goes out.

Started by `motet_retriever.parsing` as a program of its own, so that it has neither the service's
secrets nor its connections. It bounds its own memory and processor time, writes to no file, and
ends when its input does.

A request is a line of JSON, `{"media_type", "size", "limit"}`, and `size` bytes; an answer is
a line of JSON, `{"read": true, "size"}` and `size` bytes of a `Parsed` in JSON, or
`{"read": false, "reason"}`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from motet_retriever.parsers.parsed import Parsed, UnreadableError
from motet_retriever.parsers.reading import parse

__all__ = ["PARSED", "main"]

PARSED: TypeAdapter[Parsed] = TypeAdapter(Parsed)


def main() -> None:
    """Answers requests until there are no more. Arguments: bytes of memory, seconds a file."""
    memory, seconds = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = os.devnull  # nobody needs one, and to look for one is to write into it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    requests = sys.stdin.buffer
    while line := requests.readline():
        request = json.loads(line)
        _allow(seconds)
        _answer(request, requests.read(request["size"]), answers)


def _allow(seconds: int) -> None:
    """Gives the next file so much processor time; the system ends who takes more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _answer(request: dict[str, Any], data: bytes, answers: BinaryIO) -> None:
    try:
        parsed = PARSED.dump_json(parse(data, request["media_type"], request["limit"]))
    except UnreadableError as error:
        _write(answers, {"read": False, "reason": str(error)})
    except MemoryError:
        _write(answers, {"read": False, "reason": "It takes more memory to read than is allowed."})
    else:
        _write(answers, {"read": True, "size": len(parsed)}, parsed)


def _write(answers: BinaryIO, head: dict[str, Any], body: bytes = b"") -> None:
    answers.write(json.dumps(head).encode() + b"\n" + body)
    answers.flush()


if __name__ == "__main__":
    main()
