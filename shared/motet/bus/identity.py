"""Identity: who a connection signs on to NATS as, and how it knows the server.

Invariants:

- What is wrong with a file of keys or certificates is a sentence before anything is sent.
- A seed is read once, so that a running process keeps the key that it signed on with while the file
  is replaced; a credentials file is read again at each connection, so that it can be renewed.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.settings import Settings

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs on, and how."""

    user: str
    """The user's name, which its inboxes carry."""
    password: str | None = None
    seed: str | None = None
    """An nkey's seed."""
    credentials: str | None = None
    """A file with a JWT and the seed of its nkey."""
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, settings: Settings, role: str) -> Identity:
        """The identity that settings give to a process.

        Args:
            settings: What the process was given.
            role: What it is in the mesh; its user's name unless the settings say otherwise.

        Raises:
            SetupError: They contradict each other, or a file of theirs cannot be used.
        """
        ways = {
            "MOTET_NATS_PASSWORD": settings.nats_password,
            "MOTET_NATS_NKEY": settings.nats_nkey,
            "MOTET_NATS_CREDENTIALS": settings.nats_credentials,
        }
        chosen = [name for name, value in ways.items() if value is not None]
        if len(chosen) > 1:
            raise SetupError(f"{' and '.join(chosen)} are set: set one of them.")
        password, credentials = settings.nats_password, settings.nats_credentials
        if credentials is not None:
            _check_credentials(credentials)
        return cls(
            user=settings.nats_user or Topology(settings).user(role),
            password=None if password is None else password.get_secret_value(),
            seed=None if settings.nats_nkey is None else _seed(settings.nats_nkey),
            credentials=None if credentials is None else str(credentials),
            tls=_tls(settings),
        )


def _seed(file: Path) -> str:
    text = _read(file, "MOTET_NATS_NKEY").strip()
    if not text.startswith("SU"):
        raise SetupError(
            f"MOTET_NATS_NKEY={str(file)!r} holds no seed of a user's nkey, which begins with SU: "
            "`motet nats keys` makes one."
        )
    import nkeys

    try:
        nkeys.from_seed(bytearray(text.encode()))
    except (nkeys.NkeysError, ValueError) as error:
        raise SetupError(
            f"MOTET_NATS_NKEY={str(file)!r} holds a seed that is not whole "
            f"({error or type(error).__name__}): copy it again."
        ) from None
    return text


def _check_credentials(file: Path) -> None:
    text = _read(file, "MOTET_NATS_CREDENTIALS")
    if "BEGIN NATS USER JWT" not in text or "BEGIN USER NKEY SEED" not in text:
        raise SetupError(
            f"MOTET_NATS_CREDENTIALS={str(file)!r} is no credentials file: it needs a user's JWT "
            "and the seed of its nkey, as `nsc generate creds` writes them."
        )


def _read(file: Path, variable: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SetupError(f"{variable}={str(file)!r} cannot be read: {reason}.") from None


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """How the server is known; None where the URL and the settings ask for no TLS."""
    ca, cert, key = settings.nats_ca, settings.nats_cert, settings.nats_cert_key
    if key is not None and cert is None:
        raise SetupError("MOTET_NATS_CERT_KEY is set, and MOTET_NATS_CERT is not: set both.")
    if ca is None and cert is None and "tls://" not in settings.nats_url:
        return None
    for variable, file in (
        ("MOTET_NATS_CA", ca),
        ("MOTET_NATS_CERT", cert),
        ("MOTET_NATS_CERT_KEY", key),
    ):
        if file is not None:
            _read(file, variable)
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError:
        raise SetupError(f"MOTET_NATS_CA={str(ca)!r} holds no certificate in PEM.") from None
    if cert is not None:
        try:
            context.load_cert_chain(cert, key)
        except ssl.SSLError as error:
            raise SetupError(
                f"MOTET_NATS_CERT={str(cert)!r} cannot be used ({error.reason or error}): it needs "
                "a certificate in PEM, and its private key there or in MOTET_NATS_CERT_KEY."
            ) from None
    return context
