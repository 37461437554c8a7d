"""All six agents in one mesh: a task that was asked aloud passes through every one of them."""

from __future__ import annotations

import re

from motet.bus import Blobs
from motet.messages import (
    Document,
    IngestRequest,
    IngestResult,
    SearchRequest,
    SearchResult,
    Task,
    TranscriptSegment,
)
from motet.testing import Asked, ScriptedModel, TestMesh, assert_tree
from motet_evaluator.app import agent as evaluator
from motet_graph.app import agent as graph
from motet_planner.app import agent as planner
from motet_retriever.app import agent as retriever
from motet_speech.app import agent as speech
from motet_tool_executor.app import agent as tool_executor
from tests.embedder import LetterEmbedder
from tests.unit.speech.fakes import FakeTranscriber, FakeVoice
from tests.unit.speech.sounds import loud, tone, wav

TOWER = "The Harbour Tower was designed by Ada Brown. The Harbour Tower is 38 metres high."
QUESTION = "How is Ada Brown connected with the Harbour Tower, and what is twice its height?"


def filled(asked: Asked) -> dict[str, object]:
    """The input of the step that is asked for."""
    if "graph.paths" in asked.last:
        return {"start": "Ada Brown", "end": "Harbour Tower"}
    return {"expression": "height * 2", "variables": {"height": "38"}}


def answered(asked: Asked) -> dict[str, object]:
    """The answer, citing the last passage that is shown."""
    mark = re.findall(r"\[(p[0-9a-f]{6})\]", asked.last)[-1]
    text = f"Ada Brown designed the Harbour Tower [{mark}]. It is 38 metres high, and twice is 76."
    return {"answer": text, "quotes": [], "status": "answered", "open": []}


SCRIPT = {
    "plan": {
        "steps": [
            {"skill": "retriever.search", "what": "height of the Harbour Tower", "needs": []},
            {
                "skill": "graph.paths",
                "what": "connection between Ada Brown and the Harbour Tower",
                "needs": [],
            },
            {
                "skill": "tool_executor.calculate",
                "what": "twice the height of the Harbour Tower",
                "needs": [1],
            },
        ]
    },
    "arguments": filled,
    "answer": answered,
}


async def test_one_task_passes_through_all_six(mesh: TestMesh) -> None:
    model, embedder = ScriptedModel(SCRIPT), LetterEmbedder()
    heard = TranscriptSegment(start_s=0, end_s=2, text=QUESTION)
    ears = {"transcriber": FakeTranscriber(heard), "speech_detector": loud, "voice": FakeVoice()}
    await mesh.join(speech, context=ears)
    await mesh.join(graph, context={"embedder": embedder})
    await mesh.join(retriever, context={"embedder": embedder})
    await mesh.join(tool_executor)
    await mesh.join(evaluator, context={"embedder": embedder})
    await mesh.join(planner, context={"model": model})
    ingested = await mesh.motet.call(
        "retriever.ingest",
        IngestRequest(documents=(Document(source="tower.md", text=TOWER),)),
        IngestResult,
    )
    assert [(item.status, item.reason) for item in ingested.items] == [("added", None)]
    connected = await mesh.motet.call(
        "retriever.search",
        SearchRequest(query="Who designed the Harbour Tower?", strategy="graph"),
        SearchResult,
    )
    assert {each.source for each in connected.passages} == {"tower.md"}
    assert connected.passages[0].reason == "1st by connections"
    question = await Blobs(mesh.bus).put("question", wav(tone(2)), media_type="audio/wav")

    task = await mesh.motet.submit(
        Task(goal="Answer the recording.", inputs=(question,), strategy="plan")
    )
    record = await task.result(30)
    evaluation = await task.evaluation(30)

    assert record.state == "succeeded", record.fault
    assert record.answer is not None
    assert record.answer.answered
    assert "76" in record.answer.text
    assert {citation.source for citation in record.answer.citations} == {"tower.md"}
    assert evaluation.scores["citation_accuracy"].status == "scored"
    assert_tree(
        await mesh.trace(task.id),
        """
        send motet.task.submit
          process motet.task.submit [attempt=1 link=none]
            invoke_agent planner
              send motet.call.speech.transcribe [step=inputs.hear.1]
                process motet.call.speech.transcribe [attempt=1]
                  invoke_agent speech
                    transcribe ears
              chat scripted
              chat scripted
              * send motet.call.retriever.search [step=s1]
                process motet.call.retriever.search
                  invoke_agent retriever
                    retrieval hybrid
                      retrieval documents
              * send motet.call.graph.paths [step=s2]
                process motet.call.graph.paths
                  invoke_agent graph
              chat scripted
              send motet.call.tool_executor.calculate [step=s3]
                process motet.call.tool_executor.calculate
                  invoke_agent tool_executor
                    execute_tool calculate
              chat scripted
            process motet.event.*.state [agent=evaluator skill=finished]
              invoke_agent evaluator
        """,
    )
