"""The prompts of the evaluator; their form is told in `motet.models.prompts`."""

from motet.models.prompts import Prompts

__all__ = ["PROMPTS"]

PROMPTS = Prompts(__name__)
