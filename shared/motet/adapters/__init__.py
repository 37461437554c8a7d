"""Agents of other frameworks as members of the mesh, and the mesh's skills as their tools.

| framework | a member | skills as tools | extra |
|---|---|---|---|
| functions | `functions.from_functions` | | `adapters` |
| LangChain, LangGraph, deepagents | `langchain.from_langchain` | `langchain.tools_for_langchain` | `adapters-langchain`, `adapters-deepagents` |
| LlamaIndex | `llamaindex.from_llamaindex` | `llamaindex.tools_for_llamaindex` | `adapters-llamaindex` |
| Pydantic AI | `pydantic_ai.from_pydantic_ai` | `pydantic_ai.tools_for_pydantic_ai` | `adapters-pydantic-ai` |
| OpenAI Agents SDK | `openai_agents.from_openai_agents` | `openai_agents.tools_for_openai_agents` | `adapters-openai-agents` |

Each module imports its framework, and nothing here does. How-to:
docs/how-to/bring-an-agent-of-another-framework.md.
"""  # noqa: E501  # a table's row is a line

from motet.adapters.member import MemberAnswer, MemberRequest

__all__ = ["MemberAnswer", "MemberRequest"]
