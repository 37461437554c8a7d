"""Motet: independent agents that work on one task, over NATS, in one trace."""
