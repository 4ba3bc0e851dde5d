"""Every network that this program knows, described: which heads it has, and what geometry may teach it.

Knows no torch, so that a command line can offer the names at no cost.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelKind:
    """One model of the paper.

    name: as in a model file and on a command line. title: as in the paper. has_grasps: quality, orientation and width
    heads. has_geometry: an occupancy head. detached: what the occupancy head learns does not reach the encoder.
    """

    name: str
    title: str
    has_grasps: bool = True
    has_geometry: bool = True
    detached: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """What it predicts, in words."""
        return ("grasp quality", "orientation", "width") * self.has_grasps + ("occupancy",) * self.has_geometry


# GIGA (HR) is GIGA asked at more points, so it is no kind of its own.
GIGA = ModelKind("giga", "GIGA")
GIGA_AFF = ModelKind("giga-aff", "GIGA-Aff", has_geometry=False)
GIGA_GEO = ModelKind("giga-geo", "GIGA-Geo", has_grasps=False)
GIGA_DETACH = ModelKind("giga-detach", "GIGA-Detach", detached=True)
VGN = ModelKind("vgn", "VGN", has_geometry=False)

GIGA_FAMILY = (GIGA, GIGA_AFF, GIGA_GEO, GIGA_DETACH)

MODEL_KINDS = {kind.name: kind for kind in (*GIGA_FAMILY, VGN)}
