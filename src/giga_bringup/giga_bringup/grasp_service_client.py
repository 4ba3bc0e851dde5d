"""Call the grasp service from plain rclpy and print what comes back: an example to start from.

python -m giga_bringup.grasp_service_client [FRAME]
"""

from __future__ import annotations

import sys

import rclpy
from giga_msgs.srv import DetectGrasps
from rclpy.node import Node

SERVICE = "/perception_node/detect_grasps"
TIMEOUT_S = 60.0


def main() -> int:
    rclpy.init()
    node = Node("grasp_service_client")
    client = node.create_client(DetectGrasps, SERVICE)
    if not client.wait_for_service(TIMEOUT_S):
        print(f"{SERVICE} is not there: does the stack run, and in this ROS_DOMAIN_ID?", file=sys.stderr)
        return 1

    # Grasps in the robot's base frame, from the newest image at hand, the ten best.
    request = DetectGrasps.Request(max_grasps=10, frame_id=sys.argv[1] if len(sys.argv) > 1 else "panda_link0")
    future = client.call_async(request)
    rclpy.spin_until_future_complete(node, future, timeout_sec=TIMEOUT_S)
    answer = future.result()
    if answer is None or not answer.success:
        print(f"no detection: {answer.message if answer else 'no answer'}", file=sys.stderr)
        return 1

    print(f"{len(answer.grasps.grasps)} grasps in {answer.grasps.header.frame_id}, best first:")
    for grasp in answer.grasps.grasps:
        p, q = grasp.pose.position, grasp.pose.orientation
        print(
            f"  quality {grasp.quality:.2f}  width {grasp.width_m * 1e3:3.0f} mm"
            f"  position ({p.x:.3f}, {p.y:.3f}, {p.z:.3f}) m  orientation ({q.x:.2f}, {q.y:.2f}, {q.z:.2f}, {q.w:.2f})"
        )
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
