"""The folder of an embedded store: whose it is, and what is in it.

Invariants:

- At most one process has the folder claimed; the claim ends with the process, however it ends.
- `store.json` says by what the contents were made. It is written before there are any, and contents
  made otherwise are refused, never mixed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from motet.errors import SetupError

__all__ = ["CATALOGUE", "QDRANT", "StoreFolder"]

QDRANT = "qdrant"
"""The store of a folder that does not say."""
CATALOGUE = "catalogue"
KINDS = {QDRANT: "qdrant", CATALOGUE: "faiss, chroma or milvus"}
"""The settings that work with a folder, by what it says of its store."""


class StoreFolder:
    """A claimed folder."""

    def __init__(self, path: Path, made_by: Mapping[str, str | int] | None = None) -> None:
        """Claims `path`, which is made if need be.

        Raises:
            SetupError: The folder cannot be written, another process has it, or its contents were
                made by something else than `made_by`.
        """
        self.path = path
        self._file = path / "store.json"
        try:
            path.mkdir(parents=True, exist_ok=True)
            # Not bound to a thread: the claim is the process's.
            self._lock = FileLock(path / "lock", timeout=0, thread_local=False)
            self._lock.acquire()
        except Timeout:
            raise SetupError(
                f"The passage store {path} is open in another process. Stop that one, or set "
                "MOTET_RETRIEVER_STORE_DIR to a folder of its own for this one."
            ) from None
        except OSError as error:
            raise SetupError(
                f"The passage store {path} cannot be written: {error.strerror or error}. Make the "
                "folder writable, or set MOTET_RETRIEVER_STORE_DIR to another."
            ) from error
        if made_by is not None:
            try:
                self._check(made_by)
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        """Ends the claim."""
        self._lock.release()

    def write(self, made_by: Mapping[str, str | int]) -> None:
        """Says by what the contents are made: once this returns also after loss of power."""
        new = self._file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(json.dumps(made_by, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, format: int, store: str = QDRANT) -> dict[str, str | int] | None:
        """What was written; None if nothing was.

        Raises:
            SetupError: It is damaged, or of another kind of store or format.
        """
        if not self._file.exists():
            return None
        try:
            there: dict[str, str | int] = json.loads(self._file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SetupError(
                f"{self._file} is damaged ({error}). Restore it, or remove the folder {self.path} "
                "and ingest the documents again."
            ) from None
        kind = str(there.get("store", QDRANT))
        if kind != store:
            raise SetupError(
                f"{self.path} holds a passage store made with MOTET_RETRIEVER_STORE="
                f"{KINDS.get(kind, kind)}, and this process is set to {KINDS[store]}. Set it back, "
                "or set MOTET_RETRIEVER_STORE_DIR to a new folder and ingest the documents again."
            )
        if there.get("format") != format:
            raise SetupError(
                f"The passage store {self.path} has format {there.get('format')!r}, and this "
                f"version of the retriever works with {format!r}. Remove the folder and ingest the "
                "documents again."
            )
        return there

    def _check(self, made_by: Mapping[str, str | int]) -> None:
        there = self.read(int(made_by["format"]), str(made_by.get("store", QDRANT)))
        if there is None:
            self.write(made_by)
            return
        different = [
            f"{name} {there.get(name)!r}, and this process works with {value!r}"
            for name, value in made_by.items()
            if there.get(name) != value
        ]
        if different:
            raise SetupError(
                f"The passage store {self.path} was made with {'; '.join(different)}. Set it back "
                "(MOTET_EMBEDDING_MODEL says which embedding model is used), or set "
                "MOTET_RETRIEVER_STORE_DIR to a new folder and ingest the documents again."
            )
