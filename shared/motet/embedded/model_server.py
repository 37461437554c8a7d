"""The local chat model as a process: llama.cpp's own OpenAI-compatible server.

    python -m motet.embedded.model_server --model qwen2.5-coder-1.5b --port-file FILE

It listens on loopback, unless `--host` says otherwise, as in a container of its own.

Invariants:

- The port file appears, complete, only when the model answers, and is gone when the server ends.
- The process ends on SIGTERM and SIGINT, and when the process that started it is gone.
- What the user can mend ends it with one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from motet.errors import SetupError
from motet.models import weights
from motet.settings import load_settings

__all__ = ["main"]

DEFAULT_CONTEXT = 8192
"""Tokens of context: 235 MB of keys and values for the 1.5B model."""
_SLOTS = 1
"""Requests worked on at once. Two would share the same cores and end no sooner, but a slot starts
out without the other's prompt: the beginning that requests share would be read twice."""
_PROMPT_CACHE_MIB = 256
"""Memory for prompts of earlier requests, some 9,000 tokens of the 1.5B model, so that a shared
beginning is not read again. llama.cpp's own default is 8 GiB."""
_STATES_KEPT = 48
"""Files of read beginnings, some 10 MB each; see `motet.models.beginnings`."""
_LOG_ERRORS_ONLY = 1
_SETUP_ERROR = 2
_PARENT_CHECK_S = 1.0


def main(arguments: list[str] | None = None) -> None:
    """Serves until it is told to end."""
    parent = os.getppid()
    options = _parser().parse_args(arguments)
    try:
        model = _model_file(options.model)
        _serve(options, model, parent)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_SETUP_ERROR)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="motet.embedded.model_server", description=__doc__)
    parser.add_argument("--model", required=True, help="name of a pulled model, or a GGUF file")
    parser.add_argument("--port-file", type=Path, help="where the port is written")
    parser.add_argument("--host", default="127.0.0.1", help="address that it listens on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--context", type=int, default=DEFAULT_CONTEXT)
    return parser


def _model_file(model: str) -> Path:
    if not model.endswith(".gguf"):
        return weights.path(model, *load_settings().weights_dirs)
    if not (path := Path(model)).is_file():
        raise SetupError(f"There is no model file {model}.")
    return path


def _serve(options: argparse.Namespace, model: Path, parent: int) -> NoReturn:
    llama_cpp = _llama_cpp()
    parameters = _parameters(llama_cpp, options, model)
    try:
        server = llama_cpp.Server(parameters)
    except RuntimeError as error:
        raise SetupError(f"llama.cpp cannot serve {model}: {error}") from error
    port_file: Path | None = options.port_file
    if port_file is not None:
        _write_atomically(port_file, f"{urlsplit(server.listening_address).port}\n")

    def end(*_: object) -> NoReturn:
        if port_file is not None:
            port_file.unlink(missing_ok=True)
        os._exit(0)  # destroying the C++ server would wait for answers that nobody will read

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    end()


def _llama_cpp() -> Any:
    # Read by GNU's OpenMP library when it is loaded: how long threads that wait for each other
    # spin before they sleep. Sleeping at once took 1.7 times as long for a token on two idle
    # cores; spinning without such a limit up to ten times as long on two that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    try:
        return import_module("xllamacpp")
    except ImportError as error:
        raise SetupError(
            f"The local model needs xllamacpp, which does not load ({error}): "
            "install `motet[local]`."
        ) from error


def _parameters(llama_cpp: Any, options: argparse.Namespace, model: Path) -> Any:
    parameters = llama_cpp.CommonParams()
    parameters.model.path = str(model)
    parameters.model_alias = {options.model}
    parameters.hostnames = [options.host]
    parameters.port = options.port
    parameters.n_ctx = options.context
    parameters.n_parallel = _SLOTS
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.cache_ram_mib = _PROMPT_CACHE_MIB
    parameters.slot_save_path = f"{_states_folder(model)}/"
    parameters.verbosity = _LOG_ERRORS_ONLY
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.offline = True
    return parameters


def _states_folder(model: Path) -> Path:
    """Where the server keeps what it read of prompts; the oldest files are dropped."""
    folder = load_settings().cache_dir / "beginnings" / model.stem
    folder.mkdir(parents=True, exist_ok=True)
    newest_first = sorted(folder.glob("*.bin"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in newest_first[_STATES_KEPT:]:
        file.unlink(missing_ok=True)
    return folder


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


if __name__ == "__main__":
    main()
