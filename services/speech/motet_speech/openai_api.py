"""The audio part of OpenAI's API, which other servers speak as well.

Invariants:

- Requests go to the configured base URL only, and the key with them only.
- Blocking, for a worker's thread; each request has a time limit.
- A fault says whether trying again may help: it may when the server is not reached, is too busy
  (429) or failed (5xx).
"""

from __future__ import annotations

from typing import Any

import httpx

from motet.errors import FaultError, SetupError
from motet.messages import FaultType

__all__ = ["BASE_URL", "AudioApi"]

BASE_URL = "https://api.openai.com/v1"
"""Where OpenAI itself is."""
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


class AudioApi:
    """Sends requests, and tells what went wrong."""

    def __init__(
        self,
        base_url: str | None,
        key: str | None,
        *,
        timeout_s: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`transport` stands in for the network in tests.

        Raises:
            SetupError: OpenAI itself is meant, and there is no key.
        """
        if base_url is None and not key:
            raise SetupError(
                "The OpenAI audio API needs a key: set MOTET_SPEECH_API_KEY or OPENAI_API_KEY, "
                "or MOTET_SPEECH_URL to a server that needs none."
            )
        self._client = httpx.Client(
            base_url=(base_url or BASE_URL).rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=10),
            transport=transport,
        )

    def post(self, path: str, **request: Any) -> httpx.Response:
        """The answer to a request.

        Raises:
            FaultError: `model_failed`.
        """
        try:
            answer = self._client.post(path, **request)
        except httpx.HTTPError as error:
            raise FaultError.of(
                FaultType.MODEL_FAILED,
                f"The audio API did not answer: {error or type(error).__name__}.",
                retryable=True,
            ) from error
        if answer.is_success:
            return answer
        status = answer.status_code
        raise FaultError.of(
            FaultType.MODEL_FAILED,
            f"The audio API refused with {status}: {_message(answer)}",
            retryable=status == TOO_MANY_REQUESTS or status >= SERVER_ERROR,
            status=status,
        )


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])[:500]
    except (KeyError, TypeError, ValueError):
        return answer.text[:500] or answer.reason_phrase
