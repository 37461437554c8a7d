"""Prompts: files of the package, each with a name and a version; and how data stands in them.

A file is named `<name>.v<version>.md` and has sections headed `# system`, `# user` and
`# assistant`; `$name` stands for a value, which is never searched for further names. What is under
test stands between marks that it cannot contain.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from string import Template

__all__ = ["VERSIONS", "fenced", "messages"]

VERSIONS = {"supported": 1, "answers": 1, "helps": 1}
"""The version of each prompt that is used."""

_SECTION = re.compile(r"^# (system|user|assistant)\n", re.MULTILINE)


def messages(name: str, **values: str) -> list[tuple[str, str]]:
    """The messages of a prompt, as pairs of role and text.

    Raises:
        KeyError: The prompt has a name for which no value is given.
    """
    return [(role, Template(text).substitute(values)) for role, text in _sections(name)]


def fenced(text: str) -> str:
    """A text as data: between marks made from the text itself, which it cannot foresee."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"<<{mark}\n{' '.join(text.split())}\n{mark}>>"


@cache
def _sections(name: str) -> tuple[tuple[str, str], ...]:
    file = files("motet_evaluator.prompts").joinpath(f"{name}.v{VERSIONS[name]}.md")
    parts = _SECTION.split(file.read_text(encoding="utf-8").strip() + "\n")[1:]
    return tuple(
        (role, content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True)
    )
