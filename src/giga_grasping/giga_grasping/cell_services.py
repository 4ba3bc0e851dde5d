"""The planner and perception behind their services, as a pick and the clearing of a table see them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from giga_msgs.srv import DetectGrasps, PlanGrasp, PlanMotion, ReconstructScene, SetScene
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from sensor_msgs.msg import JointState

from giga_grasping.clear_table import DetectedGrasps
from giga_grasping.executor_parameters import ExecutorParameters
from giga_grasping.grasp_messages import candidates_from_message, grasp_array_message, pose_from_transform
from giga_grasping.interruption import Interruption
from giga_grasping.pick_outcome import Candidate, PickError, PickOutcome
from giga_grasping.pick_sequence import GraspPlan, MotionPlan, PoseGoal
from giga_grasping.ros_calls import RosCalls


class CellServices:
    """Clients of the planner's and perception's services. Made once; the classes below bind it to one piece of work."""

    def __init__(self, node: Node) -> None:
        group = ReentrantCallbackGroup()
        self.calls = RosCalls(node)
        self.plan_grasp = node.create_client(PlanGrasp, "plan_grasp", callback_group=group)
        self.plan_motion = node.create_client(PlanMotion, "plan_motion", callback_group=group)
        self.set_scene = node.create_client(SetScene, "set_scene", callback_group=group)
        self.detect = node.create_client(DetectGrasps, "perception_node/detect_grasps", callback_group=group)
        reconstruct = "perception_node/reconstruct_scene"
        self.reconstruct = node.create_client(ReconstructScene, reconstruct, callback_group=group)

    def missing(self, with_perception: bool) -> list[str]:
        """What is not there, in words."""
        wanted: list[Client] = [self.plan_grasp, self.plan_motion, self.set_scene]
        wanted += [self.detect, self.reconstruct] if with_perception else []
        return [f"service {client.service_name}" for client in wanted if not self.calls.is_ready(client)]


class PlanningServices:
    """pick_sequence.Planner over the planner's services."""

    def __init__(self, services: CellServices, parameters: ExecutorParameters, interruption: Interruption) -> None:
        self._services = services
        self._parameters = parameters
        self._interruption = interruption

    def plan_grasp(
        self, candidates: Sequence[Candidate], frame_id: str, scene_id: str, start: Mapping[str, float]
    ) -> GraspPlan:
        request = PlanGrasp.Request(
            scene_id=scene_id,
            start_joints=_joint_state(start),
            grasps=grasp_array_message(candidates, frame_id),
            approach_distance_m=self._parameters.approach_distance_m,
            retreat_distance_m=self._parameters.retreat_distance_m,
            velocity_scaling=self._parameters.velocity_scaling,
            acceleration_scaling=self._parameters.acceleration_scaling,
        )
        answer = self._call(self._services.plan_grasp, request)
        if not 0 <= answer.grasp_index < len(candidates):
            message = f"the planner answered with candidate {answer.grasp_index} of {len(candidates)}"
            raise PickError(PickOutcome.PLANNING_FAILED, message)
        return GraspPlan(answer.grasp_index, answer.reach, answer.approach, answer.retreat, answer.planning_ms)

    def plan_motion(
        self, goal: str | PoseGoal, scene_id: str, start: Mapping[str, float], carrying: bool = False
    ) -> MotionPlan:
        carrying_scaling = self._parameters.carrying_scaling if carrying else 0.0
        request = PlanMotion.Request(
            scene_id=scene_id,
            start_joints=_joint_state(start),
            velocity_scaling=carrying_scaling or self._parameters.velocity_scaling,
            acceleration_scaling=carrying_scaling or self._parameters.acceleration_scaling,
        )
        if isinstance(goal, PoseGoal):
            request.goal_pose.header.frame_id = goal.frame_id
            request.goal_pose.pose = pose_from_transform(goal.T_frame_tcp)
        else:
            request.goal_name = goal
        answer = self._call(self._services.plan_motion, request)
        return MotionPlan(answer.trajectory, answer.planning_ms)

    def _call(self, client: Client, request: PlanGrasp.Request | PlanMotion.Request) -> PlanGrasp.Response:
        timeout_s = self._parameters.planning_timeout_s
        answer = self._services.calls.call(client, request, timeout_s, self._interruption)
        if answer.outcome == PickOutcome.SUCCESS:
            return answer
        known = answer.outcome in iter(PickOutcome)
        outcome = PickOutcome(answer.outcome) if known else PickOutcome.PLANNING_FAILED
        raise PickError(outcome, f"{client.service_name}: {answer.message or outcome.name}")


class PerceptionServices:
    """Detection, and the scene on its way from perception to the planner."""

    def __init__(
        self, services: CellServices, frame_id: str, parameters: ExecutorParameters, interruption: Interruption
    ) -> None:
        self._services = services
        self._frame_id = frame_id
        self._parameters = parameters
        self._interruption = interruption

    def detect(self) -> DetectedGrasps:
        """Grasps in a depth image taken from now on, in the robot's base frame."""
        request = DetectGrasps.Request(
            min_quality=self._parameters.min_quality, frame_id=self._frame_id, fresh_image=True
        )
        started_s = time.monotonic()
        answer = self._call(self._services.detect, request)
        return DetectedGrasps(
            candidates=candidates_from_message(answer.grasps),
            frame_id=answer.grasps.header.frame_id,
            message=answer.grasps.report.message,
            detection_ms=1000.0 * (time.monotonic() - started_s),
        )

    def set_scene(self) -> str:
        """Reconstruct what stands there and hand it to the planner; returns the scene_id."""
        reconstruction = self._call(
            self._services.reconstruct,
            ReconstructScene.Request(
                resolution=self._parameters.scene_resolution, max_triangles=self._parameters.scene_max_triangles
            ),
        )
        request = SetScene.Request(header=reconstruction.header, mesh=reconstruction.mesh)
        return str(self._call(self._services.set_scene, request).scene_id)

    def _call(self, client: Client, request: Any) -> Any:
        timeout_s = self._parameters.detection_timeout_s
        answer = self._services.calls.call(client, request, timeout_s, self._interruption)
        if not answer.success:
            raise PickError(PickOutcome.NOT_READY, f"{client.service_name}: {answer.message}")
        return answer


def _joint_state(positions: Mapping[str, float]) -> JointState:
    return JointState(name=list(positions), position=[float(value) for value in positions.values()])
