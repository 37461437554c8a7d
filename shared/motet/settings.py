"""Settings: every `MOTET_...` variable that more than one service reads.

A setting has one name, one default and one meaning, all stated here. A service's own settings
derive from `ServiceSettings` in that service. Values come from the environment, or from files of
the same names in MOTET_SECRETS_DIR; a wrong one stops the process with a sentence that names it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from motet.errors import SetupError

__all__ = ["ServiceSettings", "Settings", "load_settings"]

S = TypeVar("S", bound=BaseSettings)


class ServiceSettings(BaseSettings):
    """The base of a service's own settings; the subclass sets its prefix."""

    model_config = SettingsConfigDict(
        env_prefix="MOTET_",
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        # What a compose file passes on that nobody has set is an empty string.
        env_ignore_empty=True,
    )


class Settings(ServiceSettings):
    """What every process of the mesh, and every client, reads."""

    nats_url: str = "nats://127.0.0.1:4222"
    """Address of the NATS server, `tls://` for TLS; several are separated by commas."""
    nats_user: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Whom to sign on to NATS as, and whose inbox replies come to. The default is the agent's own
    name, `provision` or `client`."""
    nats_password: SecretStr | None = None
    """That user's password."""
    nats_nkey: Path | None = None
    """A file with that user's nkey seed, in the password's place."""
    nats_credentials: Path | None = None
    """A NATS credentials file (JWT and nkey), in the password's place. It is read again whenever
    the connection is made again."""
    nats_ca: Path | None = None
    """A file with the certificates, in PEM, that the NATS server's own is checked by. The default
    is the machine's."""
    nats_cert: Path | None = None
    """A file with the certificate, in PEM, that is shown to a NATS server which asks for one."""
    nats_cert_key: Path | None = None
    """A file with that certificate's private key, where it is in a file of its own."""
    namespace: str = Field(default="motet", pattern=r"^[a-z][a-z0-9_]{0,31}$")
    """First token of every subject, and prefix of every stream and bucket but in its default:
    meshes with different namespaces share a server without meeting."""
    replicas: int = Field(default=1, ge=1, le=5)
    """Copies of each stream and bucket, each on a server of its own: 1, or 3 on a cluster of three,
    which then goes on without one of them. The provisioner brings streams to a changed number."""
    tenants: str = "default"
    """Tenants whose queues of tasks always stand, separated by commas, so that an autoscaler can
    read them. Another tenant's is made with its first task, and gone an hour after its last."""

    model: str = "auto"
    """The chat model as `provider:name`, such as `openai:gpt-4.1-mini`, `local:qwen2.5-coder-1.5b`.
    `auto` takes the first provider whose key is in the environment, else the local model; with
    `none`, a task that needs one fails and says so."""
    model_url: str | None = None
    """Base URL of an OpenAI-style server, such as `http://127.0.0.1:8000/v1` for vLLM."""
    model_fallbacks: str = ""
    """Models to try when `model` fails, `provider:name` separated by commas."""
    model_profile: Literal["auto", "small", "capable"] = "auto"
    """How far the chat model is left to itself: a `capable` one calls tools, and what it says is
    checked and marked but never overruled; a `small` one is asked one thing at a time. `auto`
    takes the model's card, and asks a model that has none for one tool call."""
    model_tools: bool | None = None
    """Whether the models call tools in their provider's own form. None takes the card's word, or
    the probe's. A model that does not is asked for its calls as JSON."""
    model_sees: bool | None = None
    """Whether the models take pictures, which tasks may have as inputs. None takes what LangChain
    knows of them, and ones of a server of your own for ones that do not."""
    model_timeout_s: float = Field(default=120, gt=0)
    """Seconds that one request to a model may take."""
    model_cache: bool = True
    """Whether answers of models are kept and reused for equal requests."""
    embedding_model: str = "local:bge-small-en-v1.5"
    """The embedding model as `provider:name`, such as `openai:text-embedding-3-small`. After a
    change, what is stored is embedded anew: docs/how-to/change-the-embedding-model.md."""

    data_dir: Path = Path("~/.local/share/motet")
    """Folder of everything that must survive a restart: streams, stores, spans."""
    cache_dir: Path = Path("~/.cache/motet")
    """Folder of what can be fetched or computed again: weights, cached answers."""
    weights_dir: Path | None = None
    """Folder of weights that is looked through before `cache_dir`, laid out like it and never
    written to; the images carry one."""
    secrets_dir: Path | None = None
    """Folder of files that each hold a setting, and are named as its variable in small letters,
    such as `motet_graph_password`; the environment goes before it."""
    spans_dir: Path | None = None
    """Folder of the local span store, where `motet trace` looks; None writes none."""

    task_deadline_s: float = Field(default=600, gt=0)
    """Seconds after which a task expires that sets no deadline."""
    task_tokens: int | None = Field(default=200_000, ge=1)
    """Tokens that a task may spend that sets no limit."""
    task_cost_usd: float | None = Field(default=1.0, ge=0)
    """US dollars that a task may spend that sets no limit."""
    task_calls: int | None = Field(default=200, ge=1)
    """Calls that a task may delegate, over its whole tree, that sets no limit."""
    task_depth: int = Field(default=8, ge=1, le=64)
    """Levels of delegation below a task that sets no limit."""
    task_input_bytes: int = Field(default=256 << 20, ge=1)
    """Bytes that the inputs of a task may have together; a task with more is refused."""
    max_body_bytes: int = Field(default=256 * 1024, ge=1024, le=1_000_000)
    """Bytes of a body over which it travels through the object store."""
    ack_wait_s: float = Field(default=30, gt=0.2, le=3600)
    """Seconds without a sign of life after which a handler counts as dead and its message is
    delivered again."""
    max_attempts: int = Field(default=4, ge=1, le=100)
    """Deliveries of a call before it becomes a dead letter."""
    retry_delay_s: float = Field(default=0.5, ge=0, le=3600)
    """Seconds before the second attempt; each further one waits twice as long, with jitter."""
    retry_delay_max_s: float = Field(default=60, gt=0)
    """The longest wait between attempts."""
    card_ttl_s: float = Field(default=15, ge=0.5)
    """Seconds after which an agent that gave no sign of life is no longer used."""
    concurrency: int = Field(default=32, ge=1, le=10_000)
    """Calls of one skill that one process works on at once."""
    events_max_age_s: float = Field(default=7 * 24 * 3600, gt=0)
    """Seconds that events are kept."""
    tasks_max_age_s: float = Field(default=30 * 24 * 3600, ge=1)
    """Seconds that the record of a task is kept after its end."""
    results_max_age_s: float = Field(default=7 * 24 * 3600, gt=0)
    """Seconds that outcomes of calls are kept."""
    stream_max_bytes: int = Field(default=1 << 30, ge=1 << 20)
    """Bytes that a stream may take on disk; past that, publishing is refused."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe log line that is written."""
    log_format: Literal["text", "json"] = "text"
    """`json` for machines, `text` for people."""
    metrics_tenants: int = Field(default=50, ge=1)
    """Tenants that metrics tell apart, the first that a process meets; the others are `other`."""
    record_content: bool = False
    """Whether spans carry prompts and answers."""
    start_within_s: float = Field(default=30, ge=0)
    """Seconds that a service, or the provisioner, waits when it starts for each thing that it needs
    and that is not there yet: the NATS server and its user there, the streams, the server of its
    store. After that it ends."""
    health_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the probes `/health` and `/ready` over HTTP; None serves none."""

    @field_validator(
        "data_dir",
        "cache_dir",
        "weights_dir",
        "spans_dir",
        "nats_nkey",
        "nats_credentials",
        "nats_ca",
        "nats_cert",
        "nats_cert_key",
        "secrets_dir",
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @property
    def weights_dirs(self) -> tuple[Path, ...]:
        """Where weights are looked for, first to last."""
        return (self.cache_dir,) if self.weights_dir is None else (self.weights_dir, self.cache_dir)

    @field_validator("model", "embedding_model")
    @classmethod
    def _provider_and_name(cls, value: str) -> str:
        provider, colon, name = value.partition(":")
        if value not in ("auto", "none") and not (provider and colon and name):
            raise ValueError(
                f"{value!r} is not of the form provider:name, such as openai:gpt-4.1-mini"
            )
        return value


def load_settings(kind: type[S] = Settings, **overrides: Any) -> S:
    """Reads settings from the environment.

    Raises:
        SetupError: A value is wrong; the message names the variable and says what would be right.
    """
    secrets = os.environ.get("MOTET_SECRETS_DIR") or None
    if secrets is not None and not Path(secrets).is_dir():
        raise SetupError(f"MOTET_SECRETS_DIR={secrets!r} is wrong: there is no such folder.")
    try:
        return kind(_secrets_dir=secrets, **overrides)
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        lines = [
            f"{prefix}{'_'.join(str(part) for part in problem['loc'])}".upper()
            + f"={problem['input']!r} is wrong: {problem['msg']}."
            for problem in error.errors()
        ]
        raise SetupError(" ".join(lines)) from None
