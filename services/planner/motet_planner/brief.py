"""Brief: a task as its strategy takes it up: the goal, and everything that the task brings along.

The conversation that a task goes on with, its files and the form of its answer are prepared here
once, whatever the strategy; the answer is completed here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from motet.agent import Call
from motet.messages import Answer, Task
from motet.text.languages import language_name
from motet_planner import inputs as task_inputs
from motet_planner.answer_schema import check_schema, fulfil
from motet_planner.evidence import PassageData, heading_of
from motet_planner.inputs import Inputs
from motet_planner.run import Run
from motet_planner.sessions import Sessions, Turn, recalled, shown_turns

__all__ = ["Brief", "brief_of", "form_of", "leave"]

_CONVERSATION = {"small": 2_000, "capable": 40_000}
"""Characters of a conversation that the model is shown, by its profile."""
_EVIDENCE = 20_000
"""Characters of evidence that an answer's form is filled in from."""
_SHORT = "Use one to three sentences, unless a list is asked for."
_REPORT = (
    "Write a report: a summary, then sections under Markdown headings, with every figure cited."
)


@dataclass(frozen=True)
class Brief:
    """A task that is ready to be done."""

    run: Run
    goal: str
    inputs: Inputs
    conversation: str
    """What was said before, as data for a model; empty for a task without a session."""

    @property
    def context(self) -> str:
        """What the task brings along, but for the texts that are among its passages."""
        shown = self.inputs.shown(texts=False)
        return "\n".join(part for part in (self.conversation, shown) if part)

    @property
    def spoken(self) -> str:
        """What is said in the task's recordings: what to look for may be in there."""
        return " ".join(each.text for each in self.inputs.transcripts)

    @property
    def passages(self) -> list[PassageData]:
        """What is evidence before anything is looked up."""
        return self.inputs.passages


async def brief_of(task: Task, run: Run, call: Call) -> Brief:
    """Prepares a task.

    Raises:
        FaultError: A form that cannot be one, a session of somebody else's, an input that cannot be
            taken in.
    """
    if task.answer_schema is not None:
        check_schema(task.answer_schema)
    run = replace(run, form=form_of(task), report=task.length == "report")
    conversation = ""
    sessions = _sessions(run, call)
    if task.session is not None:
        turns = await sessions.turns(task.session)
        conversation = shown_turns(turns, _CONVERSATION[run.capability.profile])
        if remembered := await recalled(task.session, task.goal, call):
            memories = "\n".join(remembered)
            conversation = f"{conversation}\n{memories}" if conversation else memories
    inputs = await task_inputs.take_in(task.inputs, run)

    async def finish(answer: Answer, passages: Sequence[PassageData]) -> Answer:
        if task.answer_schema is not None:
            told = "\n\n".join(f"{heading_of(each)}\n{each['text']}" for each in passages)
            data = await fulfil(
                task.answer_schema, answer.text, told[:_EVIDENCE], run, goal=task.goal
            )
            answer = answer.model_copy(update={"data": data})
        if task.session is not None:
            await sessions.add(task.session, Turn.of(call.task, task.goal, answer))
        return answer

    return Brief(replace(run, finish=finish), task.goal, inputs, conversation)


def form_of(task: Task) -> str:
    """How the answer is to look, as sentences for a model; empty where the task does not say."""
    parts: list[str] = []
    if task.language is not None:
        parts.append(f"Answer in {language_name(task.language)} ({task.language}).")
    if task.length is not None:
        parts.append(_SHORT if task.length == "short" else _REPORT)
    return " ".join(parts)


async def leave(brief: Brief) -> None:
    """Has erased what the mesh kept for the task alone."""
    spoken = any(not each.passages for each in brief.inputs.transcripts)
    if brief.inputs.documents or spoken:
        await task_inputs.erase(brief.run)


def _sessions(run: Run, call: Call) -> Sessions:
    return Sessions(
        call.bucket("sessions"),
        principal=call.principal,
        task=call.task,
        max_age_s=run.settings.session_max_age_s,
    )
