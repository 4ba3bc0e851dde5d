"""The simulated cell: table, bin, stand, camera, arm and a scene in one PyBullet world, advanced step by step. No ROS.

Not thread-safe: whoever steps it owns it (see simulation_loop).
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import cast

import numpy as np
import pybullet
import trimesh
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import PinholeCamera
from giga_sim.arm_surfaces import read_link_surfaces
from giga_sim.cell import Box, Cell
from giga_sim.faults import ARM_STUCK, GRIPPER_JAMMED
from giga_sim.mock_panda import JointReadings, MockPanda
from giga_sim.object_sets import SPLITS, ObjectSet, ObjectSetError, Split
from giga_sim.physics_world import STEP_RATE_HZ, PhysicsWorld
from giga_sim.robot_description import panda_urdf_file
from giga_sim.robot_profile import RobotProfile
from giga_sim.scenes import SceneKind, make_scene, scene_kind
from giga_sim.side_view_camera import PlacedMesh, look_at, render_depth
from giga_sim.simulated_gripper import FingerTarget, SimulatedGripper
from giga_sim.surface_mesh import SurfaceMesh
from giga_sim.trajectory_following import TrajectoryFollower, TrajectoryOutcome, hold_at

_LOGGER = logging.getLogger(__name__)

# The clock starts here: 0 means "no time yet" in ROS, and people look some seconds back.
START_TIME_S = 10
NANOSECONDS = 1_000_000_000
# After a goal has ended or a scene was set, time goes on until everything rests, between these bounds.
SETTLE_AT_LEAST_S = 0.1
SETTLE_AT_MOST_S = 2.0
REST_CHECK_STEPS = 12
ARM_RESTING_RAD_S = 1e-3
FINGERS_RESTING_M_S = 1e-3
# What lies this far below the table plane has fallen off and is taken away.
FALLEN_BELOW_TABLE_M = 0.05


# Every object of a set, whatever its split.
ALL_OBJECTS = "all"


class SceneError(ValueError):
    """A scene cannot be set; the message says why, for the user."""


@dataclass(frozen=True)
class SceneRequest:
    """Which scene to set: `scene` (pile, packed), the object set's name or folder, how many objects, the seed.

    `split` leaves only a part of the object set (train, val, test; see object_sets); "all" takes every object.
    """

    scene: str
    object_set: str
    count: int
    seed: int
    split: str = ALL_OBJECTS


@dataclass(frozen=True)
class StandingObject:
    """An object in the workspace and the pose of its link frame."""

    name: str
    T_workspace_object: RigidTransform


@dataclass
class Settling:
    """Things coming to rest after a reset; `finished` once they have."""

    finished: bool = False
    interrupted: bool = False


class SimulatedCell:
    """Everything that is simulated; `step` advances it by 1/240 s."""

    arm: MockPanda
    arm_follower: TrajectoryFollower
    gripper: SimulatedGripper
    readings: JointReadings

    def __init__(self, profile: RobotProfile, cell: Cell, *, gui: bool = False) -> None:
        """Set up an empty cell with the arm at home.

        Raises SceneError when a window is asked for and there is no display.
        """
        self.profile = profile
        self.cell = cell
        self.faults: set[str] = set()
        self.camera = PinholeCamera(
            cell.camera.width,
            cell.camera.height,
            cell.camera.focal_length_px,
            cell.camera.focal_length_px,
            *cell.camera.centre_px,
        )
        view = cell.camera
        self.T_camera_workspace = look_at(view.target_m, view.distance_m, view.theta_rad, view.phi_rad)
        self._object_sets: dict[tuple[str, str], ObjectSet] = {}
        self._link_surfaces = read_link_surfaces(panda_urdf_file())
        self._T_world_base = cell.T_base_workspace.inv()
        if gui and not os.environ.get("DISPLAY"):
            # PyBullet would end the whole process.
            raise SceneError("PyBullet's window needs a display, and DISPLAY is not set: set it, or use gui:=false")
        try:
            self.world = PhysicsWorld(gui=gui)
        except pybullet.error as error:
            raise SceneError(f"PyBullet cannot open its window ({error}): set DISPLAY, or use gui:=false") from error
        self._background_m = self._render_background()
        self.step_count = 0  # control steps since the start; it only ever rises
        self._settling: Settling | None = None
        self._settle_from_step = 0
        self._had_active_goal = False
        self._populate(None)

    @property
    def time_ns(self) -> int:
        """Simulated time: it only ever rises, also over resets."""
        return START_TIME_S * NANOSECONDS + self.step_count * NANOSECONDS // STEP_RATE_HZ

    @property
    def time_s(self) -> float:
        """Simulated time in seconds."""
        return START_TIME_S + self.step_count / STEP_RATE_HZ

    def step_at(self, time_ns: int) -> int:
        """The control step in which the clock reaches `time_ns`."""
        return -((START_TIME_S * NANOSECONDS - time_ns) * STEP_RATE_HZ // NANOSECONDS)

    @property
    def has_active_goal(self) -> bool:
        """Whether the arm or the gripper carries something out."""
        return self.arm_follower.goal is not None or self.gripper.command is not None

    @property
    def is_busy(self) -> bool:
        """Whether time has a reason to go on: an active goal, or things coming to rest."""
        return self.has_active_goal or self._settling is not None

    def step(self) -> None:
        """Advance by one step: drives, physics, sensors, and what they mean for the goals."""
        step_s = self.world.time_step_s
        before = self.readings
        if ARM_STUCK not in self.faults:
            self.arm.drive_arm(self.arm_follower.advance(self.step_count + 1, before.arm_positions).positions)
        target = self.gripper.advance(step_s)
        if GRIPPER_JAMMED not in self.faults:
            self.arm.drive_fingers(target)
        self.world.step()
        self.step_count += 1
        self.readings = self.arm.read()
        if ARM_STUCK not in self.faults:
            self.arm_follower.check(self.step_count, self.readings.arm_positions, self.readings.arm_velocities)
        self.gripper.check(step_s, self.readings.width_m, self.readings.width_rate_m_s)
        self._watch_settling()

    def reset_scene(self, request: SceneRequest) -> Settling:
        """Clear everything, put the arm at home with the gripper open, and build the scene; goals in progress end.

        The scene is built before the arm is there, so that it is the one the free hand meets with the same seed. Raises
        SceneError, with a sentence, when there is no such scene or object set; then nothing has changed.
        """
        kind, objects = self._check_scene(request)
        self.arm_follower.end(TrajectoryOutcome.PREEMPTED, "The scene was reset.")
        self.gripper.interrupt("the scene was reset", self.readings.width_m)
        self._populate((kind, objects, request.count, request.seed))
        return self._settle()

    def standing(self) -> list[StandingObject]:
        """The objects in the world and where they are."""
        return [
            StandingObject(simulated.model.name, self.world.pose(body_id))
            for body_id, simulated in self.world.objects.items()
        ]

    def remove_delivered_and_fallen(self) -> None:
        """Take away what fell off the table, and what lies in the bin: a full one would shed onto the table."""
        floor_m = self.cell.table.centre_m[2] + self.cell.table.size_m[2] / 2.0 - FALLEN_BELOW_TABLE_M
        for body_id, simulated in list(self.world.objects.items()):
            position_m = self.world.pose(body_id).translation
            fell = position_m[2] < floor_m
            if fell or self.cell.bin.holds(position_m):
                _LOGGER.info(
                    "%s %s and was removed", simulated.model.name, "fell off the table" if fell else "is binned"
                )
                self.world.remove(body_id)

    def stop_arm(self, outcome: TrajectoryOutcome, message: str) -> None:
        """Hold the arm where it is and end its goal, if it has one."""
        self.arm_follower.hold(self.readings.arm_positions)
        self.arm_follower.end(outcome, message)

    def stop_gripper(self, reason: str) -> None:
        """Hold the fingers where they are and end their command, if there is one."""
        self.gripper.stop(reason, self.readings.width_m)

    def set_fault(self, name: str, enable: bool) -> None:
        """Switch a fault (see faults) on or off."""
        if not enable:
            self.faults.discard(name)
            return
        self.faults.add(name)
        # A drive that is told nothing new keeps its last target; the first call brings it there, the second stops it.
        if name == ARM_STUCK:
            self.arm.drive_arm(self.readings.arm_positions)
            self.arm.drive_arm(self.readings.arm_positions)
        if name == GRIPPER_JAMMED:
            jammed = FingerTarget(self.readings.width_m, 0.0, self.profile.gripper_force_n)
            self.arm.drive_fingers(jammed)
            self.arm.drive_fingers(jammed)

    def render_depth(self) -> np.ndarray:
        """The camera's exact depth image now, float32 [H, W], metres, 0 = nothing between near and far."""
        moving = self.world.placed_meshes() + self._arm_meshes()
        nearer = self._render(moving, table=None)
        return np.where(
            (nearer > 0.0) & ((self._background_m == 0.0) | (nearer < self._background_m)), nearer, self._background_m
        )

    def _populate(self, scene: tuple[SceneKind, ObjectSet, int, int] | None) -> None:
        """Empty the world and fill it: table, objects, then what is the cell's, then the arm at home."""
        self.world.reset()
        self.world.add_table(self.cell.table)
        if scene is not None:
            kind, objects, count, seed = scene
            make_scene(self.world, kind, objects, count, np.random.default_rng(seed))
        for box in (*self.cell.bin.parts(), self.cell.camera_stand):
            self.world.add_box(box)
        profile = self.profile
        self.arm = MockPanda(self.world.client, profile, self._T_world_base, self.world.time_step_s)
        opened = FingerTarget(profile.gripper_max_width_m, 0.0, profile.gripper_force_n)
        self.arm.drive_arm(profile.home_rad)
        self.arm.drive_fingers(opened)
        self.arm_follower = TrajectoryFollower(profile.arm_joints, self.world.time_step_s, hold_at(profile.home_rad))
        self.gripper = SimulatedGripper(profile.gripper_max_width_m, profile.gripper_force_n, opened)
        self.readings = self.arm.read()

    def _check_scene(self, request: SceneRequest) -> tuple[SceneKind, ObjectSet]:
        if request.seed < 0:
            raise SceneError(f"the seed must not be negative, but it is {request.seed}")
        try:
            kind = scene_kind(request.scene)
            if request.split not in (ALL_OBJECTS, *SPLITS):
                raise SceneError(f"unknown split {request.split!r}: say one of {', '.join((ALL_OBJECTS, *SPLITS))}")
            key = (request.object_set, request.split)
            if key not in self._object_sets:
                objects = ObjectSet.named(request.object_set)
                self._object_sets[key] = (
                    objects if request.split == ALL_OBJECTS else objects.split(cast(Split, request.split))
                )
            return kind, self._object_sets[key]
        except (ValueError, ObjectSetError) as error:
            raise SceneError(str(error)) from error

    def _settle(self) -> Settling:
        self._settle_from_step = self.step_count
        if self._settling is None:
            self._settling = Settling()
        return self._settling

    def _watch_settling(self) -> None:
        active = self.has_active_goal
        if self._had_active_goal and not active:
            self._settle()
        self._had_active_goal = active
        settling_steps = self.step_count - self._settle_from_step
        if self._settling is None or active or settling_steps % REST_CHECK_STEPS:
            return
        settled_s = settling_steps / STEP_RATE_HZ
        if settled_s >= SETTLE_AT_MOST_S or (settled_s >= SETTLE_AT_LEAST_S and self._at_rest()):
            self._settling.finished = True
            self._settling = None

    def _at_rest(self) -> bool:
        return (
            float(np.abs(self.readings.arm_velocities).max()) < ARM_RESTING_RAD_S
            and abs(self.readings.width_rate_m_s) < FINGERS_RESTING_M_S
            and self.world.at_rest()
        )

    def _arm_meshes(self) -> list[PlacedMesh]:
        poses = self.arm.link_poses()
        return [PlacedMesh(surface.mesh, poses[surface.link] * surface.T_link_mesh) for surface in self._link_surfaces]

    def _render_background(self) -> np.ndarray:
        """What never moves, rendered once: table, bin, camera stand."""
        boxes = [_box_mesh(box) for box in (*self.cell.bin.parts(), self.cell.camera_stand)]
        return self._render(boxes, table=self.cell.table)

    def _render(self, meshes: list[PlacedMesh], table: Box | None) -> np.ndarray:
        view = self.cell.camera
        return render_depth(
            meshes, self.camera, self.T_camera_workspace, table=table, near_m=view.near_m, far_m=view.far_m
        )


def _box_mesh(box: Box) -> PlacedMesh:
    mesh = trimesh.creation.box(extents=box.size_m)
    surface = SurfaceMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    return PlacedMesh(surface, RigidTransform.from_translation(box.centre_m))
