"""`python -m motet_evaluator` runs the agent until it is stopped."""

from motet_evaluator.app import agent

if __name__ == "__main__":
    agent.run()
