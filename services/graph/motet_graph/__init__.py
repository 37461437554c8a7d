"""Motet's graph: entities and statements from passages, and what connects them."""
