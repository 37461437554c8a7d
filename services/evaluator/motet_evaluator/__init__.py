"""Motet's evaluator: how good an answer is, and why."""
