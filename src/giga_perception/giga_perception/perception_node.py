"""perception_node: depth images and tf in, ranked grasps and a scene mesh out.

A lifecycle node. While it is not active, its services answer with the reason. Subscriptions exist while it is active;
publishers from configuring on, by rclpy's lifecycle. All waiting is on wall time, so that a halted clock hangs nobody.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from diagnostic_msgs.msg import DiagnosticArray
from giga_msgs.srv import DetectGrasps, ReconstructScene
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from rclpy.time import Time
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import Header

from giga_perception.detection import Detection, GraspDetector
from giga_perception.diagnostic_messages import NodeState, perception_diagnostics
from giga_perception.grasp_messages import grasp_array_message
from giga_perception.grasp_request import GraspRequestError, limit_of, region_of, select, threshold_of
from giga_perception.input_health import InputHealth
from giga_perception.mesh_messages import mesh_message
from giga_perception.node_process import run_node
from giga_perception.observed_scene import ObservedScene, SceneUnavailableError
from giga_perception.parameter_messages import NodeParameters
from giga_perception.perception_inputs import PerceptionInputs
from giga_perception.perception_outputs import PerceptionOutputs
from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.scene_memory import DetectionSettings, SceneMemory, detection_settings
from giga_perception.told_errors import telling_transition, told
from giga_perception.weights import ModelFileError

# A service that waits for an image holds a thread. With fewer answering than there are threads, images and transforms
# still come in while every one of them waits.
EXECUTOR_THREADS = 36
SERVICE_SLOTS = 32

# rclpy's own depth of 10 drops the eleventh of a burst of requests without a word.
SERVICE_QOS = QoSProfile(depth=200)

UNLIMITED_TRIANGLES = 2**31 - 1
DIAGNOSTICS_PERIOD_S = 1.0

_UNCONFIGURED = "perception_node is not configured: configure it by its change_state service"

Part = TypeVar("Part")


class PerceptionNode(LifecycleNode):
    """Parameters and messages in, messages out; what is computed lies in `SceneMemory` and the library behind it."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("perception_node", **node_options)
        self._node_parameters = NodeParameters(self)
        self._group = ReentrantCallbackGroup()
        self._slots = threading.BoundedSemaphore(SERVICE_SLOTS)
        self._continuous = threading.Lock()
        self._why_not_active = _UNCONFIGURED
        self._memory: SceneMemory | None = None
        self._outputs: PerceptionOutputs | None = None
        self._inputs: PerceptionInputs | None = None
        self._health: InputHealth | None = None
        self._published: tuple[Detection, int] | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._on_diagnostics_timer, self._group, Clock(clock_type=ClockType.STEADY_TIME)
        )
        for kind, name, answer in (
            (DetectGrasps, "~/detect_grasps", self._on_detect_grasps),
            (ReconstructScene, "~/reconstruct_scene", self._on_reconstruct_scene),
        ):
            self.create_service(kind, name, answer, qos_profile=SERVICE_QOS, callback_group=self._group)

    # The lifecycle.

    @telling_transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the network, and advertise the topics."""
        settings = self._settings()
        if settings.threads > 0:
            torch.set_num_threads(settings.threads)
        model = Path(settings.model).expanduser() if settings.model else None
        try:
            detector = GraspDetector.from_file(model, mode=settings.mode, device=settings.device)
        except (ModelFileError, ValueError) as error:
            self._why_not_active = f"perception_node is not configured: {error}"
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self._node_parameters.hold(configured=True)
        self._memory = SceneMemory(detector)
        self._outputs = PerceptionOutputs(self)
        self._why_not_active = "perception_node is configured but not active: activate it by its change_state service"
        self.get_logger().info(f"model '{detector.model_name}' loaded")
        return super().on_configure(state)

    @telling_transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras, to tf and to the robot's description."""
        inputs = PerceptionInputs(self, self._group, self._settings, self._on_frame)
        self._inputs, self._health = inputs, InputHealth(self, inputs)
        self._why_not_active = ""
        self.get_logger().info(f"active: looks at {', '.join(each.image_topic for each in inputs.source.topics)}")
        return super().on_activate(state)

    @telling_transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe."""
        self._stop_listening("perception_node is not active: activate it by its change_state service")
        return super().on_deactivate(state)

    @telling_transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the network and take the topics back."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As `on_cleanup`, for good."""
        return self.on_cleanup(state)

    def destroy_node(self) -> None:
        """Let go of everything, in whatever state the node is."""
        self.release()
        super().destroy_node()

    def release(self, why: str = _UNCONFIGURED) -> None:
        """Let go of everything that was opened; from now on services answer ``why``."""
        self._stop_listening(why)
        if self._outputs is not None:
            self._outputs.close()
        self._memory = self._outputs = self._published = None
        self._node_parameters.hold(configured=False)

    def _stop_listening(self, why: str) -> None:
        self._why_not_active = why
        if self._inputs is not None:
            self._inputs.close()
        self._inputs = self._health = None

    # Services.

    def _on_detect_grasps(
        self, request: DetectGrasps.Request, response: DetectGrasps.Response
    ) -> DetectGrasps.Response:
        arrived_ns = self.get_clock().now().nanoseconds
        return self._answer(lambda: self._detect_grasps(request, response, arrived_ns), response)

    def _detect_grasps(self, request: DetectGrasps.Request, response: DetectGrasps.Response, arrived_ns: int) -> None:
        settings, inputs = self._settings(), self._require(self._inputs)
        threshold = threshold_of(request, settings.quality_threshold)
        scene = inputs.source.newest(arrived_ns if request.fresh_image else 0)

        def T_to(frame_id: str, from_frame_id: str) -> RigidTransform:
            return inputs.transforms.at(frame_id, from_frame_id, scene.stamp_ns, settings.transform_timeout_s)

        workspace = settings.workspace_frame
        frame_id = request.frame_id or workspace
        region = region_of(request, T_to(workspace, request.region_frame_id or workspace))
        T_frame_workspace = T_to(frame_id, workspace)

        detection = self._detect(scene, detection_settings(settings, threshold), settings.max_grasps)
        grasps, report = select(detection, region, limit_of(request, settings.max_grasps))
        header = Header(frame_id=frame_id, stamp=Time(nanoseconds=scene.stamp_ns).to_msg())
        response.grasps = grasp_array_message(grasps, report, T_frame_workspace, header)
        response.message = report.message or f"{len(grasps)} grasps"

    def _on_reconstruct_scene(
        self, request: ReconstructScene.Request, response: ReconstructScene.Response
    ) -> ReconstructScene.Response:
        return self._answer(lambda: self._reconstruct_scene(request, response), response)

    def _reconstruct_scene(self, request: ReconstructScene.Request, response: ReconstructScene.Response) -> None:
        settings = self._settings()
        scene = self._require(self._inputs).source.newest(0)
        memory = self._require(self._memory)
        wanted = (request.resolution or settings.mesh_resolution, request.max_triangles or UNLIMITED_TRIANGLES)
        try:
            mesh, is_new = memory.mesh(scene, detection_settings(settings, settings.quality_threshold), *wanted)
        except ValueError as error:
            raise GraspRequestError(str(error)) from error
        response.header = Header(frame_id=settings.workspace_frame, stamp=Time(nanoseconds=scene.stamp_ns).to_msg())
        response.mesh = mesh_message(mesh)
        response.message = f"{len(mesh.faces)} triangles" if len(mesh.faces) else "nothing is occupied in the workspace"
        if is_new:
            self._require(self._outputs).publish_mesh(mesh, settings.workspace_frame, scene.stamp_ns)

    def _answer(self, work: Callable[[], None], response: Any) -> Any:
        """Fill the response by ``work``, or with the sentence that says why it could not be done."""
        if not self._slots.acquire(blocking=False):
            response.success = False
            response.message = f"perception_node is answering {SERVICE_SLOTS} other calls: call again in a moment"
            return response
        try:
            work()
            response.success = True
        except (SceneUnavailableError, GraspRequestError) as error:
            response.success = False
            response.message = str(error)
            self.get_logger().warning(response.message)
        except Exception as error:  # noqa: BLE001 (it would end the node)
            response.success = False
            response.message = told(self, "a call", error)
        finally:
            self._slots.release()
        return response

    # Detection.

    def _on_frame(self) -> None:
        """Detect in the newest images, when asked to; images that come meanwhile are passed over."""
        settings, inputs = self._settings(), self._inputs
        if not settings.detect_continuously or inputs is None or not self._continuous.acquire(blocking=False):
            return
        try:
            scene = inputs.source.at_hand()
            self._detect(scene, detection_settings(settings, settings.quality_threshold), settings.max_grasps)
        except (SceneUnavailableError, GraspRequestError) as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
        except Exception as error:  # noqa: BLE001 (it would end the node)
            told(self, "a detection", error)
        finally:
            self._continuous.release()

    def _detect(self, scene: ObservedScene, settings: DetectionSettings, limit: int) -> Detection:
        """The detection, published when it is news: at most ``limit`` of its grasps (0 = all)."""
        memory = self._require(self._memory)
        try:
            detection, is_new = memory.detection(scene, settings)
        except ValueError as error:
            raise GraspRequestError(str(error)) from error
        # A still scene gives the same image under a new stamp: nothing to compute, but to publish.
        if is_new or self._published is None or self._published[1] != scene.stamp_ns:
            self._published = detection, scene.stamp_ns
            frame = self._settings().workspace_frame
            outputs = self._require(self._outputs)
            outputs.publish_detection(detection, detection.grasps[: limit or None], frame, scene.stamp_ns)
        return detection

    def _settings(self) -> PerceptionParameters:
        return self._node_parameters.current

    def _require(self, part: Part | None) -> Part:
        """A part that exists while the node is active; raises `SceneUnavailableError` when it is not."""
        if part is None:
            raise SceneUnavailableError(self._why_not_active)
        return part

    def _on_diagnostics_timer(self) -> None:
        try:
            self._publish_diagnostics()
        except Exception as error:  # noqa: BLE001 (it would end the node)
            told(self, "diagnostics", error)

    def _publish_diagnostics(self) -> None:
        memory, health, published = self._memory, self._health, self._published
        state = NodeState(self._why_not_active)
        if memory is not None and health is not None:
            state = health.state(self._settings(), memory, None if published is None else published[0].report)
        array = perception_diagnostics(self.get_fully_qualified_name(), state)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main() -> int:
    """Run the node until it is told to end."""

    def start(node: PerceptionNode) -> None:
        if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()

    return run_node(PerceptionNode, EXECUTOR_THREADS, start, PerceptionNode.release)


if __name__ == "__main__":
    sys.exit(main())
