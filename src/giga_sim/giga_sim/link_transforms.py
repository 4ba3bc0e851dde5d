"""Where the links are, relative to their parents, for given joint positions: what robot_state_publisher computes.

The arithmetic is plain Python on purpose: it runs a hundred times a second of simulated time for a dozen joints, where
building transform objects would cost more than everything else in the simulation.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.spatial.transform import Rotation

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class LinkJoint:
    """A joint of the tree: child frame relative to parent frame at position 0, and how it moves.

    `axis` is the axis in the child's frame, `axis_in_parent` the same in the parent's.
    """

    name: str
    kind: str
    parent_frame: str
    child_frame: str
    translation_m: Vector
    rotation_xyzw: Quaternion
    axis: Vector
    axis_in_parent: Vector

    def child_pose(self, position: float) -> tuple[Vector, Quaternion]:
        """Translation and rotation of the child in the parent at `position` (rad or m)."""
        if self.kind in ("revolute", "continuous"):
            half = 0.5 * position
            sine = math.sin(half)
            turn = (self.axis[0] * sine, self.axis[1] * sine, self.axis[2] * sine, math.cos(half))
            return self.translation_m, _product(self.rotation_xyzw, turn)
        if self.kind == "prismatic":
            shift = self.axis_in_parent
            x, y, z = self.translation_m
            moved = (x + position * shift[0], y + position * shift[1], z + position * shift[2])
            return moved, self.rotation_xyzw
        return self.translation_m, self.rotation_xyzw


def read_link_joints(urdf_text: str) -> tuple[LinkJoint, ...]:
    """The joints of a URDF, fixed ones included, in the order of the file."""
    joints = []
    for element in ElementTree.fromstring(urdf_text).findall("joint"):
        origin = element.find("origin")
        attributes: Mapping[str, str] = origin.attrib if origin is not None else {}
        rotation = Rotation.from_euler("xyz", _vector(attributes.get("rpy", "0 0 0")))
        x, y, z, w = rotation.as_quat().tolist()
        axis_element = element.find("axis")
        axis = _vector(axis_element.get("xyz", "1 0 0") if axis_element is not None else "1 0 0")
        axis_x, axis_y, axis_z = rotation.apply(axis).tolist()
        joints.append(
            LinkJoint(
                name=_required(element, "name"),
                kind=_required(element, "type"),
                parent_frame=_link(element, "parent"),
                child_frame=_link(element, "child"),
                translation_m=_vector(attributes.get("xyz", "0 0 0")),
                rotation_xyzw=(x, y, z, w),
                axis=axis,
                axis_in_parent=(axis_x, axis_y, axis_z),
            )
        )
    return tuple(joints)


def _required(element: ElementTree.Element, attribute: str) -> str:
    value = element.get(attribute)
    if value is None:
        raise ValueError(f"the URDF has a <{element.tag}> without {attribute}")
    return value


def _link(element: ElementTree.Element, role: str) -> str:
    link = element.find(role)
    if link is None:
        raise ValueError(f"the URDF's joint {element.get('name')} has no {role}")
    return _required(link, "link")


def _vector(text: str) -> Vector:
    x, y, z = (float(part) for part in text.split())
    return x, y, z


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )
