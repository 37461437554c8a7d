"""`python -m motet_speech` runs the agent until it is stopped."""

from motet_speech.app import agent

if __name__ == "__main__":
    agent.run()
