"""The one error of everything that reads a depth camera's messages."""

from __future__ import annotations


class DepthMessageError(ValueError):
    """An image or camera info that cannot be used; the message says what is wrong with it, and what to do."""
