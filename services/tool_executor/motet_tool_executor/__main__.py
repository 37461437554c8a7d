"""`python -m motet_tool_executor` runs the agent until it is stopped."""

import sys

from motet.errors import SetupError

if __name__ == "__main__":
    try:
        from motet_tool_executor.app import agent
    except SetupError as error:  # of a tool, or of a setting that says which tools there are
        print(f"tool_executor: {error}", file=sys.stderr)  # noqa: T201 - the last word
        sys.exit(2)
    agent.run()
