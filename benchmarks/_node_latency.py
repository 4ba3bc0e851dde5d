"""From an image sent to the grasps received, through perception_node: VIEW_FILE THREADS MODEL REPEATS. Prints JSON."""

from __future__ import annotations

import array
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

DOMAIN = str(random.SystemRandom().randrange(1, 100))
os.environ["ROS_DOMAIN_ID"] = DOMAIN
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np  # noqa: E402 (the domain is chosen before ROS is imported)
import rclpy  # noqa: E402
from _view_file import read_view  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from giga_msgs.msg import GraspArray  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

from giga_perception.depth_noise import add_depth_noise  # noqa: E402
from giga_sim.large_messages import large_messages  # noqa: E402
from tf2_ros import StaticTransformBroadcaster  # noqa: E402

FRAME = "camera_depth_optical_frame"
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 10.0
WARM_UP = 5


class Camera:
    """Sends depth images, and notes when which grasps came back."""

    def __init__(self, view_file: Path) -> None:
        self.view = read_view(view_file)
        # A float image is larger than what DDS sends through shared memory by default.
        with large_messages():
            rclpy.init()
            self.node = rclpy.create_node("planning_benchmark")
        self.images = self.node.create_publisher(Image, "camera/depth/image_rect_raw", qos_profile_sensor_data)
        self.infos = self.node.create_publisher(CameraInfo, "camera/depth/camera_info", qos_profile_sensor_data)
        self.transforms = StaticTransformBroadcaster(self.node)
        self.transforms.sendTransform(self._transform())
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(GraspArray, "perception_node/grasps", self._keep, latched)
        self.changed = threading.Condition()
        self.received: tuple[GraspArray, float] | None = None
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin)
        self.thread.start()

    def close(self) -> None:
        """Leave the graph; a thread that still spins at the interpreter's end would abort it."""
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def _transform(self) -> TransformStamped:
        T_camera_workspace = self.view.T_camera_workspace
        message = TransformStamped()
        message.header.frame_id, message.child_frame_id = FRAME, "workspace"
        place, turn = message.transform.translation, message.transform.rotation
        place.x, place.y, place.z = T_camera_workspace.translation.tolist()
        turn.x, turn.y, turn.z, turn.w = T_camera_workspace.rotation.as_quat().tolist()
        return message

    def _keep(self, message: GraspArray) -> None:
        with self.changed:
            self.received = (message, time.perf_counter())
            self.changed.notify_all()

    def messages(self, rng: np.random.Generator) -> tuple[Image, CameraInfo]:
        """The view with fresh noise, stamped now."""
        camera = self.view.camera
        depth_m = np.ascontiguousarray(add_depth_noise(self.view.depth_m, rng))
        image = Image(height=camera.height, width=camera.width, encoding="32FC1", step=4 * camera.width)
        image.data = array.array("B", depth_m.tobytes())
        info = CameraInfo(height=camera.height, width=camera.width)
        info.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
        info.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        info.header.frame_id = image.header.frame_id = FRAME
        info.header.stamp = image.header.stamp = self.node.get_clock().now().to_msg()
        return image, info

    def round_trip(self, rng: np.random.Generator, timeout_s: float) -> tuple[float, float] | None:
        """Milliseconds from sending an image to its grasps, and of them the library's; None when none came."""
        image, info = self.messages(rng)
        self.infos.publish(info)
        sent = time.perf_counter()
        self.images.publish(image)

        def answered() -> bool:
            return self.received is not None and self.received[0].header.stamp == image.header.stamp

        with self.changed:
            if not self.changed.wait_for(answered, timeout_s) or self.received is None:
                return None
            grasps, received = self.received
        return (received - sent) * 1e3, grasps.report.total_ms


def main() -> int:
    view_file, threads, model, repeats = sys.argv[1:]
    camera = Camera(Path(view_file))
    parameters = {"detect_continuously": "true", "threads": threads, **({"model": model} if model else {})}
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    node = subprocess.Popen([sys.executable, "-m", "giga_perception.perception_node", "--ros-args", *words])
    rng = np.random.default_rng(0)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while camera.round_trip(rng, 1.0) is None:
            if node.poll() is not None or time.monotonic() > deadline:
                print("perception_node did not answer an image", file=sys.stderr)
                return 1
        times = [camera.round_trip(rng, ANSWER_TIMEOUT_S) for _ in range(WARM_UP + int(repeats))][WARM_UP:]
    finally:
        node.send_signal(signal.SIGINT)
        node.wait(10.0)
        camera.close()
    answered = [pair for pair in times if pair is not None]
    if not answered:
        print("perception_node answered no image", file=sys.stderr)
        return 1
    print(
        json.dumps(
            {
                "image_to_grasps_ms": statistics.median(total for total, _ in answered),
                "library_ms": statistics.median(library for _, library in answered),
                "added_ms": statistics.median(total - library for total, library in answered),
                "images": len(times),
                "answered": len(answered),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
