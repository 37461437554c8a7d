"""Prompt files; see `motet_graph.extraction.prompting`."""
