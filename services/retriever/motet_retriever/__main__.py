"""`python -m motet_retriever` runs the agent until it is stopped."""

from motet_retriever.app import agent

if __name__ == "__main__":
    agent.run()
