"""`IfCondition`, `UnlessCondition`: when an action is carried out."""

from __future__ import annotations

from launch.launch_context import LaunchContext
from launch.substitution import SomeText, text_of

TRUE = ("true", "1")
FALSE = ("false", "0")


class InvalidConditionExpressionError(Exception):
    """A condition's text is neither true nor false."""


class Condition:
    """Base of the conditions."""

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether it holds now."""
        raise NotImplementedError(f"{type(self).__name__} does not say when it holds")


class IfCondition(Condition):
    """Holds when the text is "true" or "1" (in any case), not when it is "false" or "0"; else it raises."""

    def __init__(self, predicate_expression: SomeText) -> None:
        self._predicate = predicate_expression

    def evaluate(self, context: LaunchContext) -> bool:
        text = text_of(context, self._predicate)
        if text.strip().lower() not in TRUE + FALSE:
            raise InvalidConditionExpressionError(
                f"a condition of the launch file is '{text}'; it must be one of {', '.join(TRUE + FALSE)}"
            )
        return text.strip().lower() in TRUE


class UnlessCondition(IfCondition):
    """Holds when `IfCondition` would not."""

    def evaluate(self, context: LaunchContext) -> bool:
        return not super().evaluate(context)


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"launch here is a stand-in: of conditions it has IfCondition and UnlessCondition, not `{name}`")
