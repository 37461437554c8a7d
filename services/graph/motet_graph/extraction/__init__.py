"""Extraction: from a passage to names and statements. One port, and a way of doing it a module."""
