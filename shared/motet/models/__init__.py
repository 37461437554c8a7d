"""Models: chat and embeddings behind one factory each, and the weights of local ones.

    model = chat_model(settings)
    plan = await model.structured([("user", goal)], Plan, name="plan", max_tokens=400)
    vectors = await embedder(settings).embed(["a text", "another"])

Invariants:

- Every request to a model is asked of the current `meter` before and told to it after; what comes
  from the response cache costs nothing.
- What goes wrong is a `SetupError` where a model is made, and a `FaultError` where it is asked:
  `model_failed` when it cannot be reached or refuses, `model_output_invalid` when its answer does
  not fit.
- Importing this package imports no model library: LangChain, ONNX Runtime and the price table come
  with the first model that needs them. Nothing here sends traces to anybody's service.
"""

from motet.models.chat import ChatModel, chat_model, optional_chat_model
from motet.models.choice import ModelChoice, choose
from motet.models.embeddings import Embedder, embedder

__all__ = [
    "ChatModel",
    "Embedder",
    "ModelChoice",
    "chat_model",
    "choose",
    "embedder",
    "optional_chat_model",
]
