"""From the name of a kind to a network."""

from __future__ import annotations

from giga_perception.model_kinds import MODEL_KINDS, VGN
from giga_perception.network import Giga
from giga_perception.vgn import Vgn

GraspModel = Giga | Vgn
"""Every network that can be trained and stored."""


def new_network(kind: str) -> GraspModel:
    """A network of this kind (a name of MODEL_KINDS) with random weights. Raises ValueError for an unknown name."""
    if kind not in MODEL_KINDS:
        raise ValueError(f"no model is of kind {kind!r}: say one of {', '.join(MODEL_KINDS)}")
    return Vgn() if kind == VGN.name else Giga(MODEL_KINDS[kind])
