"""Plays any node of launch/sim.launch.py, chosen by the name under which it is run; FAKE_CELL names what goes wrong.

""                 everything is offered, clear_table reports a success and two failures
perception_dies    perception_node prints a sentence and ends
cannot_detect      perception_node runs but says that it has no model
planner_is_silent  embedded_planner_node runs but offers nothing
clear_fails        clear_table ends with an error
clear_hangs        clear_table never ends
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped, TransformStamped
from giga_msgs.action import ClearTable
from giga_msgs.srv import DetectGrasps, PlanGrasp, PlanMotion, ReconstructScene, ResetScene, SetScene
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

import tf2_ros
from cv_bridge import CvBridge

NAME = Path(sys.argv[0]).name
FAULT = os.environ.get("FAKE_CELL", "")


def unused(request: Any, response: Any) -> Any:
    """Answers, for what it is worth; only detect_grasps is ever called."""
    response.success = True
    if isinstance(response, DetectGrasps.Response):
        response.success = FAULT != "cannot_detect"
        response.message = "perception_node is not configured: there is no model file /nowhere.safetensors"
        response.grasps.report.model = "fake"
    return response


class SimNode(Node):
    """Two objects; an image twice a second, stamped with the number of the scene in seconds."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.scenes = 0
        self.create_service(ResetScene, "~/reset_scene", self.reset)
        self.image = self.create_publisher(Image, "camera/depth/image_rect_raw", qos_profile_sensor_data)
        self.info = self.create_publisher(CameraInfo, "camera/depth/camera_info", qos_profile_sensor_data)
        self.broadcaster = tf2_ros.StaticTransformBroadcaster(self)
        camera = TransformStamped(child_frame_id="camera_depth_optical_frame")
        camera.header.frame_id = "workspace"
        camera.transform.translation.z = 0.6
        base = TransformStamped(child_frame_id="panda_link0")
        base.header.frame_id = "workspace"
        base.transform.translation.x = -0.35
        self.broadcaster.sendTransform([camera, base])
        threading.Thread(target=self.publish, daemon=True).start()

    def reset(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        self.scenes += 1
        response.success = request.seed >= 0
        response.message = "a fake cell knows no seed below zero"
        response.object_names = ["box", "can"]
        response.object_poses = [PoseStamped(), PoseStamped()]
        for pose in response.object_poses:
            pose.header.stamp.sec = self.scenes
        return response

    def publish(self) -> None:
        ended = threading.Event()
        while not ended.wait(0.1):
            image = CvBridge().cv2_to_imgmsg(np.full((4, 6), 0.5, np.float32))
            image.header.frame_id = "camera_depth_optical_frame"
            image.header.stamp.sec = self.scenes
            self.image.publish(image)
            self.info.publish(CameraInfo(header=image.header, width=6, height=4))


class ExecutorNode(Node):
    """One success, then two failures."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.server = ActionServer(
            self,
            ClearTable,
            "~/clear_table",
            self.clear,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def clear(self, goal: Any) -> ClearTable.Result:
        while FAULT == "clear_hangs" and not goal.is_cancel_requested:
            threading.Event().wait(0.05)
        if goal.is_cancel_requested:
            print("the goal was canceled", flush=True)
            goal.canceled()
            return ClearTable.Result(reason=ClearTable.Result.CANCELED)
        if FAULT == "clear_fails":
            goal.abort()
            return ClearTable.Result(reason=ClearTable.Result.ERROR, message="not ready, missing: the gripper")
        for attempt in (1, 2, 3):
            feedback = ClearTable.Feedback(
                attempt=attempt, success=attempt == 1, candidates=4, planning_ms=50.0 * attempt
            )
            feedback.message = "" if attempt == 1 else "the fingers closed on nothing"
            goal.publish_feedback(feedback)
        goal.succeed()
        return ClearTable.Result(attempts=3, successes=1, reason=ClearTable.Result.FAILURES, message="two in a row")


def other_node() -> Node:
    node = Node(NAME)
    services = {
        "perception_node": [(DetectGrasps, "~/detect_grasps"), (ReconstructScene, "~/reconstruct_scene")],
        "embedded_planner_node": [(SetScene, "set_scene"), (PlanGrasp, "plan_grasp"), (PlanMotion, "plan_motion")],
        "safety_node": [(Trigger, "stop")],
    }
    if NAME != "embedded_planner_node" or FAULT != "planner_is_silent":
        for kind, name in services[NAME]:
            node.create_service(kind, name, unused)
    return node


def main() -> None:
    if NAME == "perception_node" and FAULT == "perception_dies":
        sys.exit("perception_node: the model file /nowhere.safetensors is corrupt")
    rclpy.init()
    node = {"sim_node": SimNode, "executor_node": ExecutorNode}.get(NAME, other_node)()
    print("here I am", flush=True)
    executor = MultiThreadedExecutor(2)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        return


if __name__ == "__main__":
    main()
