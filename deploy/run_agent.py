# ruff: noqa: INP001 - a script, copied into the images
"""Runs the one agent that is installed in an image, as `python -m motet_<service>` would."""

from importlib.metadata import entry_points

# A process that the agent spawns imports this file again.
if __name__ == "__main__":
    (entry,) = entry_points(group="motet.agents")
    entry.load().run()
