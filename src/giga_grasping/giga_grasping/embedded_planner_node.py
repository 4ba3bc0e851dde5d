"""The planner as a node: plan_grasp, plan_motion, set_scene, by Pinocchio, OMPL and ruckig in this process."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import rclpy
from giga_msgs.srv import PlanGrasp, PlanMotion, SetScene
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import String

from giga_grasping.arm_model import ArmModel, RobotDescriptionError
from giga_grasping.cell import load_cell
from giga_grasping.collision_scene import Clearances
from giga_grasping.configuration import ConfigurationError, find_configuration
from giga_grasping.grasp_planner import plan_grasp
from giga_grasping.motion_planner import goals_of_joints, goals_of_name, goals_of_pose, plan_motion
from giga_grasping.planning_context import PlannerSettings, PlanningContext
from giga_grasping.planning_messages import (
    held_points_from_message,
    joints_from_message,
    pose_from_transform,
    scene_from_request,
    trajectory_message,
    transform_from_pose,
)
from giga_grasping.planning_outcome import PlanningError, PlanningOutcome
from giga_grasping.robot_profile import load_robot_profile
from giga_grasping.scene_store import PerceivedScene, SceneError, SceneStore

_SETTINGS = {
    "approach_distance_m": "Straight way before a grasp when the request says 0.",
    "retreat_distance_m": "Straight way after a grasp when the request says 0.",
    "shortest_distance_m": "How short those two may become where there is no room.",
    "velocity_scaling": "Fraction of the velocity limits when the request says 0.",
    "acceleration_scaling": "Fraction of the acceleration and jerk limits when the request says 0.",
    "straight_speed_m_s": "Speed of the TCP on the straight ways.",
    "lift_limit_m": "A grasp that would push the fingers into the table is lifted by at most this.",
    "seed": "Of the random search.",
    "max_checks": "Configurations that one search for a free motion may check.",
    "time_limit_s": "Wall time of one request.",
}
_CLEARANCES = {
    "links_fixed_m": "Clearance of arm and hand to table, bin, stand.",
    "fingers_fixed_m": "Clearance of the fingers to table, bin, stand.",
    "links_scene_m": "Clearance of arm and hand to the perceived scene, in the open.",
    "fingers_scene_m": "Clearance of the fingers to the perceived scene, in the open.",
    "hand_grasp_m": "Clearance of the hand to the perceived scene at the grasp; below zero: depth tolerated.",
    "fingers_rest_m": "Clearance of the fingers to what is not the target at the grasp; below zero: depth tolerated.",
    "held_fixed_m": "Clearance of the held object to table, bin, stand.",
    "held_scene_m": "Clearance of the held object to the perceived scene.",
    "roomy_m": "Distance that the arm without its hand keeps from everything where there is a choice.",
}


class EmbeddedPlannerNode(Node):
    """Answers planning requests one after the other."""

    def __init__(self) -> None:
        super().__init__("embedded_planner_node")
        profile_path = self._text_parameter(
            "robot_file", "Path of the robot profile; empty = config/robots/panda.yaml."
        )
        cell_path = self._text_parameter("cell_file", "Path of the cell's description; empty = config/cell.yaml.")
        urdf_path = self._text_parameter("urdf_path", "URDF file to use instead of the topic robot_description.")
        self._workspace_frame = self._text_parameter("workspace_frame", "Name of the workspace's frame.", "workspace")
        self._profile = load_robot_profile(
            Path(profile_path) if profile_path else find_configuration("robots/panda.yaml")
        )
        self._cell = load_cell(Path(cell_path) if cell_path else find_configuration("cell.yaml"))
        self._settings = self._planner_settings()
        self._planning: PlanningContext | None = None
        self._why_not_ready = (
            "The planner has no robot yet: nothing came on the topic "
            f"{self.resolve_topic_name('robot_description')}; start the simulator or the robot's driver."
        )
        self._scenes = SceneStore()
        if urdf_path:
            path = Path(urdf_path)
            try:
                self._planning = self._build_context(path.read_text(encoding="utf-8"), path.parent)
            except OSError as error:
                raise ConfigurationError(
                    f"The parameter urdf_path names a file that cannot be read: {error}"
                ) from error
        else:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self.create_subscription(String, "robot_description", self._on_robot_description, latched)
        self.create_service(SetScene, "set_scene", self._on_set_scene)
        self.create_service(PlanGrasp, "plan_grasp", self._on_plan_grasp)
        self.create_service(PlanMotion, "plan_motion", self._on_plan_motion)

    def _text_parameter(self, name: str, description: str, default: str = "") -> str:
        descriptor = ParameterDescriptor(description=description, read_only=True)
        return str(self.declare_parameter(name, default, descriptor).value)

    def _planner_settings(self) -> PlannerSettings:
        settings, clearances = PlannerSettings(), Clearances()
        values: dict[str, Any] = {name: self._number_parameter(name, getattr(settings, name)) for name in _SETTINGS}
        depths = {name: self._number_parameter(name, getattr(clearances, name)) for name in _CLEARANCES}
        return replace(settings, **values, clearances=replace(clearances, **depths))

    def _number_parameter(self, name: str, default: float) -> float:
        """A parameter that is a whole number where the default is; 2 may stand for 2.0."""
        descriptor = ParameterDescriptor(
            description={**_SETTINGS, **_CLEARANCES}[name], read_only=True, dynamic_typing=True
        )
        value = self.declare_parameter(name, default, descriptor).value
        whole = isinstance(default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "whole number" if whole else "number"
            raise ConfigurationError(f"The parameter {name} is {value!r}; it should be a {kind}.")
        return type(default)(value)

    def _build_context(self, urdf: str, mesh_folder: Path | None) -> PlanningContext:
        began = time.monotonic()
        context = PlanningContext(ArmModel(urdf, self._profile, mesh_folder), self._cell, self._settings)
        self.get_logger().info(
            f"Ready to plan for '{self._profile.name}' ({time.monotonic() - began:.1f} s to set up)."
        )
        return context

    def _on_robot_description(self, message: String) -> None:
        try:
            self._planning = self._build_context(message.data, None)
        except (RobotDescriptionError, ConfigurationError) as error:
            self._planning = None
            self._why_not_ready = str(error)
            self.get_logger().error(str(error))

    def _T_base(self, frame: str, what: str) -> RigidTransform:
        """The pose in the base frame of a frame that the planner knows."""
        if frame == self._profile.base_frame:
            return RigidTransform.identity()
        if frame == self._workspace_frame:
            return self._cell.T_base_workspace
        named = f"frame '{frame}'" if frame else "no frame"
        raise PlanningError(
            PlanningOutcome.UNKNOWN_FRAME,
            f"{what} is given in {named}; the planner knows '{self._profile.base_frame}' "
            f"and '{self._workspace_frame}'.",
        )

    def _ready(self) -> PlanningContext:
        if self._planning is None:
            raise PlanningError(PlanningOutcome.PLANNING_FAILED, self._why_not_ready)
        return self._planning

    def _scene(self, scene_id: str) -> PerceivedScene:
        scene = self._scenes.get(scene_id)
        if scene is None:
            known = ", ".join(self._scenes.known_ids()) or "none"
            raise PlanningError(
                PlanningOutcome.UNKNOWN_SCENE,
                f"No scene '{scene_id}' is known (known: {known}); set it again with set_scene.",
            )
        return scene

    def _on_set_scene(self, request: SetScene.Request, response: SetScene.Response) -> SetScene.Response:
        try:
            scene = scene_from_request(request, self._T_base(request.header.frame_id, "The scene"))
        except (SceneError, PlanningError) as error:
            response.message = str(error)
            return response
        response.scene_id = self._scenes.add(scene)
        response.success = True
        response.message = f"{len(request.mesh.triangles)} triangles and {len(scene.unseen)} unseen boxes."
        return response

    def _on_plan_grasp(self, request: PlanGrasp.Request, response: PlanGrasp.Response) -> PlanGrasp.Response:
        began = time.monotonic()
        response.grasp_index = -1
        try:
            self._plan_grasp(request, response)
        except PlanningError as error:
            response.outcome, response.message = int(error.outcome), str(error)
        response.planning_ms = 1e3 * (time.monotonic() - began)
        return response

    def _plan_grasp(self, request: PlanGrasp.Request, response: PlanGrasp.Response) -> None:
        context = self._ready()
        scene = self._scene(request.scene_id)
        T_base_request = RigidTransform.identity()
        if request.grasps.grasps:
            T_base_request = self._T_base(request.grasps.header.frame_id, "The array of grasps")
        candidates = [
            T_base_request * transform_from_pose(grasp.pose, f"Grasp {index}")
            for index, grasp in enumerate(request.grasps.grasps)
        ]
        plan = plan_grasp(
            context,
            scene,
            joints_from_message(request.start_joints, self._profile.arm_joints, "start_joints"),
            candidates,
            request.approach_distance_m,
            request.retreat_distance_m,
            request.velocity_scaling,
            request.acceleration_scaling,
        )
        response.outcome = int(PlanningOutcome.SUCCESS)
        response.grasp_index = plan.index
        response.grasp_pose = pose_from_transform(T_base_request.inv() * plan.T_base_tcp)
        lifted = f", lifted by {1e3 * plan.lift_m:.1f} mm to clear the table" if plan.lift_m > 0.0 else ""
        response.message = f"Grasp {plan.index} of {len(candidates)} is planned{lifted}."
        joints = self._profile.arm_joints
        response.reach = trajectory_message(plan.reach, joints)
        response.approach = trajectory_message(plan.approach, joints)
        response.retreat = trajectory_message(plan.retreat, joints)

    def _on_plan_motion(self, request: PlanMotion.Request, response: PlanMotion.Response) -> PlanMotion.Response:
        began = time.monotonic()
        try:
            self._plan_motion(request, response)
        except PlanningError as error:
            response.outcome, response.message = int(error.outcome), str(error)
        response.planning_ms = 1e3 * (time.monotonic() - began)
        return response

    def _plan_motion(self, request: PlanMotion.Request, response: PlanMotion.Response) -> None:
        context = self._ready()
        scene = self._scene(request.scene_id)
        given = [bool(request.goal_joints.name), bool(request.goal_name), bool(request.goal_pose.header.frame_id)]
        if sum(given) != 1:
            raise PlanningError(
                PlanningOutcome.INVALID_REQUEST,
                f"Exactly one of goal_joints, goal_name and goal_pose is to be given; {sum(given)} are.",
            )
        if given[0]:
            joints = joints_from_message(request.goal_joints, self._profile.arm_joints, "goal_joints")
            goals = goals_of_joints(context, joints)
        elif given[1]:
            goals = goals_of_name(context, request.goal_name)
        else:
            T_base_request = self._T_base(request.goal_pose.header.frame_id, "goal_pose")
            goals = goals_of_pose(context, T_base_request * transform_from_pose(request.goal_pose.pose, "goal_pose"))
        trajectory = plan_motion(
            context,
            scene,
            joints_from_message(request.start_joints, self._profile.arm_joints, "start_joints"),
            goals,
            held_points_from_message(request.attached_object),
            request.velocity_scaling,
            request.acceleration_scaling,
        )
        response.outcome = int(PlanningOutcome.SUCCESS)
        response.message = f"A motion of {trajectory.duration_s:.1f} s is planned."
        response.trajectory = trajectory_message(trajectory, self._profile.arm_joints)


def main(args: list[str] | None = None) -> None:
    """Run the node until interrupted; a configuration that cannot be used ends it with a sentence and status 2."""
    rclpy.init(args=args)
    try:
        node = EmbeddedPlannerNode()
    except (ConfigurationError, RobotDescriptionError) as error:
        print(f"embedded_planner_node: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        sys.exit(2)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
