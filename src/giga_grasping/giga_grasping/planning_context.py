"""What every planning request shares: the arm, its kinematics, the cell, the settings; and how a motion starts."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from giga_grasping.arm_model import ArmModel
from giga_grasping.cell import Cell
from giga_grasping.collision_scene import Clearances, CollisionRule, CollisionScene, self_collision_pairs
from giga_grasping.configuration import ConfigurationError
from giga_grasping.free_motion import plan_free_motion
from giga_grasping.inverse_kinematics import InverseKinematics
from giga_grasping.planning_outcome import PlanningError, PlanningOutcome
from giga_grasping.scene_store import EMPTY_SCENE, PerceivedScene
from giga_grasping.straight_motion import FEWEST_STEPS, line_steps, straight_line
from giga_grasping.timing import MotionLimits, Trajectory, join_trajectories, scaled_limits, time_corners, time_line

FloatArray = NDArray[np.float64]

_START_TOLERANCE_RAD = 0.01
_DEPARTURE_M = 0.12


_RANGES: dict[str, tuple[float, float]] = {
    "approach_distance_m": (0.01, 0.5),
    "retreat_distance_m": (0.01, 0.5),
    "shortest_distance_m": (0.01, 0.5),
    "velocity_scaling": (0.01, 1.0),
    "acceleration_scaling": (0.01, 1.0),
    "straight_speed_m_s": (0.001, 2.0),
    "lift_limit_m": (0.0, 0.1),
    "seed": (0, 2**31 - 8),
    "max_checks": (1, 10_000_000),
    "time_limit_s": (0.01, 3600.0),
}


@dataclass(frozen=True)
class PlannerSettings:
    """What a user may want to change."""

    approach_distance_m: float = 0.08
    retreat_distance_m: float = 0.10
    shortest_distance_m: float = 0.05
    """Where those two find no room they may be as short as this; a distance that a request gives is kept."""
    velocity_scaling: float = 0.6
    acceleration_scaling: float = 0.6
    straight_speed_m_s: float = 0.10
    """Speed of the TCP on the straight ways; the hand trials that label the data approach at this speed."""
    lift_limit_m: float = 0.010
    """A grasp that would push the finger ends into the table is lifted by at most this."""
    clearances: Clearances = field(default_factory=Clearances)
    seed: int = 1
    max_checks: int = 4000
    """Configurations that one search for a free motion may check."""
    time_limit_s: float = 5.0
    """Wall time of one request."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigurationError: names the setting.
        """
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise ConfigurationError(f"{name} is {value}; it should lie between {lowest:g} and {highest:g}.")


class PlanningContext:
    """One robot in one cell. Not thread-safe."""

    def __init__(self, arm: ArmModel, cell: Cell, settings: PlannerSettings | None = None) -> None:
        """Set up once; takes a tenth of a second.

        Raises:
            RobotDescriptionError: the arm is not built like a Panda.
            ConfigurationError: a clearance is deeper below zero than a finger or the hand is thick.
        """
        self.arm = arm
        self.cell = cell
        self.settings = settings or PlannerSettings()
        self.kinematics = InverseKinematics(arm)
        self.limits = arm.profile.limits
        self._self_pairs = self_collision_pairs(arm)
        self._collision_scenes: OrderedDict[int, tuple[PerceivedScene, CollisionScene]] = OrderedDict()
        try:
            self.collision_scene(EMPTY_SCENE)
        except ValueError as error:
            raise ConfigurationError(f"The clearances cannot be kept: {error}") from error

    def collision_scene(self, scene: PerceivedScene) -> CollisionScene:
        """The collision scene of a perceived scene; the last few are kept, because building takes some 20 ms."""
        # Keyed by identity; the entry holds the scene, so its identity is not given away to another meanwhile.
        if id(scene) not in self._collision_scenes:
            built = CollisionScene(self.arm, self.cell.obstacles, scene, self.settings.clearances, self._self_pairs)
            self._collision_scenes[id(scene)] = (scene, built)
            while len(self._collision_scenes) > 4:
                self._collision_scenes.popitem(last=False)
        return self._collision_scenes[id(scene)][1]

    def motion_limits(self, velocity_scaling: float, acceleration_scaling: float) -> MotionLimits:
        """The joints' limits times the request's fractions; 0 stands for the settings' own.

        Raises:
            PlanningError: a fraction outside 0 to 1.
        """
        for name, value in (("velocity_scaling", velocity_scaling), ("acceleration_scaling", acceleration_scaling)):
            if not 0.0 <= value <= 1.0:
                raise PlanningError(
                    PlanningOutcome.INVALID_REQUEST, f"{name} is {value}; it should lie between 0 and 1."
                )
        return scaled_limits(
            self.limits,
            velocity_scaling or self.settings.velocity_scaling,
            acceleration_scaling or self.settings.acceleration_scaling,
        )

    def travel_time_s(self, start_rad: FloatArray, goals_rad: FloatArray) -> FloatArray:
        """A lower bound of the time from a configuration [7] to others [N, 7] at full speed, [N]."""
        return np.asarray((np.abs(goals_rad - start_rad) / self.limits.velocity_rad_s).max(axis=1))

    def preference(self, start_rad: FloatArray, goals_rad: FloatArray, scene: CollisionScene) -> FloatArray:
        """Cost [N] of ending in configurations [N, 7]: far away, near a joint's limit, near an obstacle."""
        near_limit = np.clip(1.0 - self.limits.margin_rad(goals_rad) / 0.25, 0.0, 1.0)
        cost = self.travel_time_s(start_rad, goals_rad) + 1.5 * near_limit
        # Room is worth asking for only where the choice will fall.
        for index in np.argsort(cost, kind="stable")[:16]:
            cost[index] += 0.0 if scene.with_room.is_free(goals_rad[index]) else 1.0
        return np.asarray(cost)

    def start_of_motion(
        self, start_rad: FloatArray, rule: CollisionRule, limits: MotionLimits
    ) -> tuple[FloatArray, list[Trajectory]]:
        """Where a free motion can start from.

        A start that touches nothing is its own answer. One that touches perceived matter only (which may be wrong by a
        voxel, or be the object just held) is first left along a straight line, back along the tool or upwards.

        Returns:
            A free configuration [7] and the trajectories (none or one) that lead there.

        Raises:
            PlanningError: START_INVALID.
        """
        margin = float(self.limits.margin_rad(start_rad))
        if margin < -_START_TOLERANCE_RAD:
            joint = int(np.argmin(np.minimum(start_rad - self.limits.lower_rad, self.limits.upper_rad - start_rad)))
            raise PlanningError(
                PlanningOutcome.START_INVALID,
                f"The start is outside the joint limits: {self.arm.profile.arm_joints[joint]} is at "
                f"{start_rad[joint]:.3f} rad, its range is {self.limits.lower_rad[joint]:.3f} to "
                f"{self.limits.upper_rad[joint]:.3f}.",
            )
        start_rad = np.clip(start_rad, self.limits.lower_rad, self.limits.upper_rad)
        contacts = rule.contacts(start_rad)
        if not contacts:
            return start_rad, []
        names = "; ".join(sorted({f"{contact.first} with {contact.second}" for contact in contacts}))
        if all(contact.is_perceived for contact in contacts):
            departure = self._departure(start_rad, rule, limits)
            if departure is not None:
                return departure.positions_rad[-1], [departure]
        raise PlanningError(
            PlanningOutcome.START_INVALID, f"The arm starts in collision, and there is no straight way out: {names}."
        )

    def _departure(self, start_rad: FloatArray, rule: CollisionRule, limits: MotionLimits) -> Trajectory | None:
        T_base_tcp = self.arm.T_base_tcp(start_rad)
        allowed = {(contact.first, contact.second) for contact in rule.contacts(start_rad)}
        for direction in (-T_base_tcp.rotation.as_matrix()[:, 2], np.array([0.0, 0.0, 1.0])):
            line = straight_line(self.kinematics, start_rad, T_base_tcp, direction, _DEPARTURE_M)
            for index, configuration in enumerate(line):
                contacts = {(contact.first, contact.second) for contact in rule.contacts(configuration)}
                if not contacts <= allowed:
                    break
                if not contacts and index >= FEWEST_STEPS:
                    length_m = _DEPARTURE_M * index / line_steps(_DEPARTURE_M)
                    return time_line(line[: index + 1], length_m, self.settings.straight_speed_m_s, limits)
        return None

    def reach(
        self,
        start_rad: FloatArray,
        goal_rad: FloatArray,
        rule: CollisionRule,
        limits: MotionLimits,
        departure: list[Trajectory],
        deadline_s: float,
    ) -> Trajectory | None:
        """A timed free motion that follows `departure`; None when none was found."""
        corners = plan_free_motion(
            rule.is_free, self.limits, start_rad, goal_rad, self.settings.seed, self.settings.max_checks, deadline_s
        )
        if corners is None:
            return None
        return join_trajectories([*departure, time_corners(corners, limits, rule.is_free)])

    def deadline_s(self) -> float:
        """When a request that starts now has to end, as a reading of time.monotonic()."""
        return time.monotonic() + self.settings.time_limit_s
