"""perception_node: depth images and tf in, ranked grasps and a scene mesh out.

A lifecycle node. While it is not active, its services answer with the reason. Subscriptions exist while it is active;
publishers from configuring on, by rclpy's lifecycle. All waiting is on wall time, so that a halted clock hangs nobody.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
import torch
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from giga_msgs.srv import DetectGrasps, ReconstructScene
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile
from scipy.spatial.transform import RigidTransform
from std_msgs.msg import Header

from giga_perception.depth_topics import DepthFrame, DepthTopics
from giga_perception.detection import Detection, GraspDetector
from giga_perception.diagnostic_messages import perception_diagnostics
from giga_perception.grasp_messages import grasp_array_message
from giga_perception.grasp_request import GraspRequestError, region_of, select, threshold_of
from giga_perception.mesh_messages import mesh_message
from giga_perception.parameter_messages import declare_parameters, read_parameters
from giga_perception.perception_outputs import PerceptionOutputs
from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.scene_memory import SceneMemory
from giga_perception.scene_source import ObservedScene, SceneSource, SceneUnavailableError
from giga_perception.weights import ModelFileError
from tf2_ros import Buffer, TransformListener

# A service that waits for an image holds a thread. With fewer answering than there are threads, images and transforms
# still come in while every one of them waits.
EXECUTOR_THREADS = 36
SERVICE_SLOTS = 32

# rclpy's own depth of 10 drops the eleventh of a burst of requests without a word.
SERVICE_QOS = QoSProfile(depth=200)

UNLIMITED_TRIANGLES = 2**31 - 1
DIAGNOSTICS_PERIOD_S = 1.0


class PerceptionNode(LifecycleNode):
    """Parameters and messages in, messages out; what is computed lies in `SceneMemory` and the library behind it."""

    def __init__(self) -> None:
        super().__init__("perception_node")
        declare_parameters(self)
        self._group = ReentrantCallbackGroup()
        self._slots = threading.BoundedSemaphore(SERVICE_SLOTS)
        self._continuous = threading.Lock()
        self._why_not_active = "perception_node is not configured: call its change_state service, or set autostart"
        self._memory: SceneMemory | None = None
        self._outputs: PerceptionOutputs | None = None
        self._topics: DepthTopics | None = None
        self._source: SceneSource | None = None
        self._transform_listener: TransformListener | None = None
        self._last_detection: Detection | None = None
        self._last_stamp: Time | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, self._group, Clock(clock_type=ClockType.STEADY_TIME)
        )
        for kind, name, answer in (
            (DetectGrasps, "~/detect_grasps", self._on_detect_grasps),
            (ReconstructScene, "~/reconstruct_scene", self._on_reconstruct_scene),
        ):
            self.create_service(kind, name, answer, qos_profile=SERVICE_QOS, callback_group=self._group)

    # The lifecycle. rclpy swallows what a transition raises, so what can go wrong is caught and logged here.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and load the network."""
        parameters = self._settings()
        if parameters.threads > 0:
            torch.set_num_threads(parameters.threads)
        try:
            detector = GraspDetector.from_file(
                Path(parameters.model).expanduser() if parameters.model else None,
                resolution=parameters.resolution,
                threshold=parameters.quality_threshold,
                out_threshold=parameters.out_threshold,
            )
        except ModelFileError as error:
            self._why_not_active = f"perception_node is not configured: {error}"
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        self._memory = SceneMemory(detector)
        self._outputs = PerceptionOutputs(self)
        self._why_not_active = "perception_node is configured but not active: activate it by its change_state service"
        self.get_logger().info(f"model '{detector.model_name}' loaded")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera and to tf."""
        transforms = Buffer()
        self._transform_listener = TransformListener(transforms, self)
        self._topics = DepthTopics(self, self._group, self._on_frame)
        self._source = SceneSource(self._topics, transforms, self._settings().workspace_frame)
        self._why_not_active = ""
        self.get_logger().info(f"active: looks at {self._topics.image_topic}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe."""
        self._stop_listening()
        self._why_not_active = "perception_node is not active: activate it by its change_state service"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the network and take the topics back."""
        self._stop_listening()
        if self._outputs is not None:
            self._outputs.close()
        self._memory = self._outputs = self._last_detection = None
        self._why_not_active = "perception_node is not configured: configure it by its change_state service"
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As `on_cleanup`, for good."""
        return self.on_cleanup(state)

    def _stop_listening(self) -> None:
        if self._topics is not None:
            self._topics.close()
        if self._transform_listener is not None:
            self._transform_listener.unregister()
        self._topics = self._source = self._transform_listener = None

    # Services.

    def _on_detect_grasps(
        self, request: DetectGrasps.Request, response: DetectGrasps.Response
    ) -> DetectGrasps.Response:
        arrived_ns = self.get_clock().now().nanoseconds
        return self._answer(lambda: self._detect_grasps(request, response, arrived_ns), response)

    def _detect_grasps(self, request: DetectGrasps.Request, response: DetectGrasps.Response, arrived_ns: int) -> None:
        parameters, source = self._settings(), self._require(self._source)
        threshold = threshold_of(request, parameters.quality_threshold)
        scene = source.newest(
            arrived_ns if request.fresh_image else 0, parameters.fresh_image_timeout_s, parameters.transform_timeout_s
        )

        def T_to(frame_id: str, from_frame_id: str) -> RigidTransform:
            return source.transform(frame_id, from_frame_id, scene.stamp, parameters.transform_timeout_s)

        workspace = parameters.workspace_frame
        frame_id = request.frame_id or workspace
        region = region_of(request, T_to(workspace, request.region_frame_id or workspace))
        T_frame_workspace = T_to(frame_id, workspace)

        detection = self._detect(scene, threshold)
        grasps, report = select(detection, region, request.max_grasps)
        header = Header(frame_id=frame_id, stamp=scene.stamp)
        response.grasps = grasp_array_message(grasps, report, T_frame_workspace, header)
        response.message = report.message or f"{len(grasps)} grasps"

    def _on_reconstruct_scene(
        self, request: ReconstructScene.Request, response: ReconstructScene.Response
    ) -> ReconstructScene.Response:
        return self._answer(lambda: self._reconstruct_scene(request, response), response)

    def _reconstruct_scene(self, request: ReconstructScene.Request, response: ReconstructScene.Response) -> None:
        parameters, source = self._settings(), self._require(self._source)
        scene = source.newest(0, parameters.fresh_image_timeout_s, parameters.transform_timeout_s)
        try:
            mesh, is_new = self._require(self._memory).mesh(
                scene.view,
                request.resolution or parameters.mesh_resolution,
                request.max_triangles or UNLIMITED_TRIANGLES,
            )
        except ValueError as error:
            raise GraspRequestError(str(error)) from error
        response.header = Header(frame_id=parameters.workspace_frame, stamp=scene.stamp)
        response.mesh = mesh_message(mesh)
        response.message = f"{len(mesh.faces)} triangles" if len(mesh.faces) else "nothing is occupied in the workspace"
        if is_new:
            self._require(self._outputs).publish_mesh(mesh, parameters.workspace_frame, scene.stamp)

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
        finally:
            self._slots.release()
        return response

    # Detection.

    def _on_frame(self, frame: DepthFrame) -> None:
        """Detect in the image that has just come, when asked to; images that come meanwhile are passed over."""
        parameters = self._settings()
        source = self._source
        if not parameters.detect_continuously or source is None or not self._continuous.acquire(blocking=False):
            return
        try:
            self._detect(source.observe(frame, parameters.transform_timeout_s), parameters.quality_threshold)
        except SceneUnavailableError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
        finally:
            self._continuous.release()

    def _detect(self, scene: ObservedScene, threshold: float) -> Detection:
        detection, is_new = self._require(self._memory).detection(scene.view, threshold)
        # A still scene gives the same image under a new stamp: nothing to compute, but to publish.
        if is_new or scene.stamp != self._last_stamp:
            self._last_detection, self._last_stamp = detection, scene.stamp
            self._require(self._outputs).publish_detection(detection, self._settings().workspace_frame, scene.stamp)
        return detection

    def _settings(self) -> PerceptionParameters:
        return read_parameters(self)

    def _require(self, part: Any) -> Any:
        """A part that exists while the node is active; raises `SceneUnavailableError` when it is not."""
        if part is None:
            raise SceneUnavailableError(self._why_not_active)
        return part

    def _publish_diagnostics(self) -> None:
        newest = self._topics.newest() if self._topics is not None else None
        array = perception_diagnostics(
            node_name=self.get_fully_qualified_name(),
            why_not_active=self._why_not_active,
            why_silent=self._topics.why_silent() if self._topics is not None else "",
            image_age_s=None if newest is None else time.monotonic() - newest.received_s,
            report=None if self._last_detection is None else self._last_detection.report,
        )
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main() -> int:
    """Run the node until it is told to end."""
    rclpy.init()
    try:
        node = PerceptionNode()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f"perception_node: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=EXECUTOR_THREADS)
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
