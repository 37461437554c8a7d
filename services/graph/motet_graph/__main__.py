"""`python -m motet_graph` runs the agent until it is stopped."""

from motet_graph.app import agent

if __name__ == "__main__":
    agent.run()
