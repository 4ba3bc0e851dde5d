"""`Substitution`: text that is only known when the launch file runs, and how such text is put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

# What the API takes wherever it takes text: a string, a substitution, or several of them to be joined.
SomeText: TypeAlias = Union[str, "Substitution", Iterable[Union[str, "Substitution"]]]


class SubstitutionFailure(RuntimeError):  # noqa: N818 - the real name
    """A substitution has no value here; the message says why."""


class Substitution:
    """Base of everything that becomes text when the launch file runs."""

    def perform(self, context: LaunchContext) -> str:
        """The text."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its text is")


class Text(Substitution):
    """Text that is known from the start."""

    def __init__(self, text: str) -> None:
        self._text = text

    def perform(self, context: LaunchContext) -> str:
        return self._text


def as_substitutions(text: SomeText) -> list[Substitution]:
    """The same text as substitutions to be joined, the form in which the real package keeps it."""
    parts = [text] if isinstance(text, str | Substitution) else list(text)
    return [Text(part) if isinstance(part, str) else part for part in parts]


def text_of(context: LaunchContext, text: SomeText) -> str:
    """The text of a string, of a substitution, or of several joined."""
    if isinstance(text, str):
        return text
    if isinstance(text, Substitution):
        return text.perform(context)
    if not isinstance(text, Iterable):
        raise TypeError(f"{text!r} is a {type(text).__name__}; here the launch file must give text or a substitution")
    return "".join(text_of(context, part) for part in text)
