"""Prompt files; see `motet_planner.prompting`."""
