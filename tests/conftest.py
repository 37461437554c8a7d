"""What every test shares."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["motet.testing.plugin"]

# No deadline an example: a machine that is busy with other tests is not a failure.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
