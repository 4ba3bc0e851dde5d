"""Stand-in for `cv_bridge`: `CvBridge` and `CvBridgeError`.

The names, signatures and behaviour of the real module for the calls that this stack makes; anything else raises.
"""

from cv_bridge.core import CvBridge, CvBridgeError

__all__ = ["CvBridge", "CvBridgeError"]


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"cv_bridge here is a stand-in and has no `{name}`; it offers {', '.join(__all__)}")
