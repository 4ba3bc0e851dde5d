"""tf2's exception classes: all of them are `TransformException`."""


class TransformException(Exception):  # noqa: N818 - the real name
    """Base of everything a lookup raises."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms joins them."""


class LookupException(TransformException):
    """A frame is not known at all."""


class ExtrapolationException(TransformException):
    """The chain exists, but not at the requested time."""


class InvalidArgumentException(TransformException):
    """A frame name is empty or starts with a slash."""


class TimeoutException(TransformException):
    """Part of tf2's interface; a lookup that times out raises the reason instead, as tf2 does."""
