"""Prompts: files, each with a name and a version."""
