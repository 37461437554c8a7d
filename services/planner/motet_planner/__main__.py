"""Runs the planner as a process."""

from motet_planner.app import agent

agent.run()
