"""The Panda's URDF as everyone reads it: from pybullet_data, with absolute mesh paths and the profile's soft limits.

pybullet_data's limits are the widened ones; a planner that believed them would ask for what the real arm refuses.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from giga_sim.robot_profile import RobotProfile

_MESH_PREFIX = "package://"


class RobotDescriptionError(ValueError):
    """There is no URDF for this robot, or it does not fit the profile; the message is for the user."""


def panda_urdf_file() -> Path:
    """Path of pybullet_data's Panda."""
    import pybullet_data

    return Path(pybullet_data.getDataPath()) / "franka_panda" / "panda.urdf"


def robot_description(profile: RobotProfile, urdf_file: Path | None = None) -> str:
    """The URDF text for the robot of `profile`, meshes named as absolute `file://` paths.

    Raises RobotDescriptionError when the URDF lacks a joint or a frame of the profile.
    """
    if urdf_file is None:
        if profile.name != "panda":
            raise RobotDescriptionError(
                f"there is no simulated {profile.name}: pybullet_data has a URDF of the Panda only; use robot:=panda"
            )
        urdf_file = panda_urdf_file()
    root = ElementTree.parse(urdf_file).getroot()
    joints = {joint.get("name"): joint for joint in root.findall("joint")}
    missing = [name for name in profile.joint_names if name not in joints]
    links = {link.get("name") for link in root.findall("link")}
    missing += [name for name in (profile.base_frame, profile.hand_frame) if name not in links]
    if missing:
        raise RobotDescriptionError(f"{urdf_file} has no joint or link called {', '.join(missing)}")
    for index, name in enumerate(profile.arm_joints):
        limit = joints[name].find("limit")
        if limit is None:
            raise RobotDescriptionError(f"{urdf_file}: joint {name} has no limit")
        limit.set("lower", repr(float(profile.limits.lower_rad[index])))
        limit.set("upper", repr(float(profile.limits.upper_rad[index])))
        limit.set("velocity", repr(float(profile.limits.velocity_rad_s[index])))
        limit.set("effort", repr(float(profile.limits.torque_nm[index])))
    for mesh in root.iter("mesh"):
        filename = mesh.get("filename", "")
        mesh.set("filename", (urdf_file.parent / filename.removeprefix(_MESH_PREFIX)).as_uri())
    return ElementTree.tostring(root, encoding="unicode")
