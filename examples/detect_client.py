"""Ask perception_node for grasps, from plain rclpy: python examples/detect_client.py [FRAME]"""

import sys

import rclpy
from giga_msgs.srv import DetectGrasps

SERVICE = "/perception_node/detect_grasps"
TIMEOUT_S = 30.0

frame_id = sys.argv[1] if len(sys.argv) > 1 else "panda_link0"
rclpy.init()
node = rclpy.create_node("detect_client")
client = node.create_client(DetectGrasps, SERVICE)
if not client.wait_for_service(TIMEOUT_S):
    sys.exit(f"{SERVICE} is not there: start it with `giga launch sim`, or check ROS_DOMAIN_ID")

future = client.call_async(DetectGrasps.Request(frame_id=frame_id, max_grasps=5))
rclpy.spin_until_future_complete(node, future, timeout_sec=TIMEOUT_S)
if not future.done():
    sys.exit(f"{SERVICE} has not answered within {TIMEOUT_S:g} s")
answer = future.result()
if not answer.success:
    sys.exit(answer.message)

print(f"{len(answer.grasps.grasps)} grasps in '{answer.grasps.header.frame_id}' {answer.grasps.report.message}")
for grasp in answer.grasps.grasps:
    p, q = grasp.pose.position, grasp.pose.orientation
    print(f"quality {grasp.quality:.2f}, {grasp.width_m:.3f} m wide, at {p.x:.3f} {p.y:.3f} {p.z:.3f} m,", end=" ")
    print(f"orientation {q.x:.3f} {q.y:.3f} {q.z:.3f} {q.w:.3f}")

node.destroy_node()
rclpy.shutdown()
