"""Agents: tasks done by a model that calls the mesh's skills as tools."""
