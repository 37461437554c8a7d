# ruff: noqa: INP001 - a script, copied into the images
"""Exits with 0 while the agent in this container takes work: it has started, and NATS answers.

`healthy.py /health` asks another server, on another path.

It stands in for curl, which the image does not have, and imports as little as it can.
"""

import os
import socket
import sys

WITHIN_S = 4.0


def status(path: str) -> str:
    """The status line that a path answers with."""
    address = ("127.0.0.1", int(os.environ["MOTET_HEALTH_PORT"]))
    with socket.create_connection(address, WITHIN_S) as connection:
        connection.settimeout(WITHIN_S)
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return connection.recv(64).split(b"\r\n", 1)[0].decode("ascii", "replace")


if __name__ == "__main__":
    try:
        line = status(sys.argv[1] if len(sys.argv) > 1 else "/ready")
    except OSError as error:
        sys.exit(f"the health check does not answer: {error}")
    if line.split(" ", 1)[-1][:1] != "2":
        sys.exit(f"not healthy: {line}")
