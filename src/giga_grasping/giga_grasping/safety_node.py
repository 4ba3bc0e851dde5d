"""safety_node: stop and release. Small and alone in its process, so that it answers when everything else does not."""

from __future__ import annotations

from collections.abc import Callable

import rclpy
from action_msgs.srv import CancelGoal
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from giga_grasping.stop_logic import StopLogic

CANCEL_PERIOD_S = 0.1
# An answer that did not come within this many rounds is given up, and the server asked again.
ROUNDS_PER_ANSWER = 5
GRIPPER_ACTIONS = ("move", "grasp", "homing", "gripper_action")


class SafetyNode(Node):
    """Services stop and release; safety_stopped (latched) tells everybody."""

    def __init__(self) -> None:
        super().__init__("safety_node")
        controller = self.declare_parameter("controller", "panda_arm_controller").value
        gripper = self.declare_parameter("gripper", "panda_gripper").value
        servers = [f"{controller}/follow_joint_trajectory", *(f"{gripper}/{action}" for action in GRIPPER_ACTIONS)]
        self._logic = StopLogic({server: self._cancel_all_goals(server) for server in servers})
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._publisher = self.create_publisher(Bool, "safety_stopped", latched)
        self.create_service(Trigger, "stop", self._on_stop)
        self.create_service(Trigger, "release", self._on_release)
        # Wall time: a stop must not wait for a simulated clock.
        self.create_timer(CANCEL_PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._publisher.publish(Bool(data=False))

    def _cancel_all_goals(self, server: str) -> Callable[[], bool]:
        client = self.create_client(CancelGoal, f"{server}/_action/cancel_goal")
        pending: list[tuple[int, rclpy.Future]] = []
        rounds = 0

        def cancel() -> bool:
            nonlocal rounds
            rounds += 1
            pending[:] = [(sent, future) for sent, future in pending if not future.done()]
            for sent, future in [entry for entry in pending if rounds - entry[0] > ROUNDS_PER_ANSWER]:
                client.remove_pending_request(future)
                pending.remove((sent, future))
            if not client.service_is_ready():
                return False
            if not pending:
                # A request without goal id and stamp asks for every goal to be canceled.
                pending.append((rounds, client.call_async(CancelGoal.Request())))
            return True

        return cancel

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        report = self._logic.stop()
        self._publisher.publish(Bool(data=True))
        response.success = bool(report.asked)
        response.message = f"stopped until release: {report.sentence()}"
        self.get_logger().warning(response.message)
        return response

    def _on_release(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        was_stopped = self._logic.release()
        self._publisher.publish(Bool(data=False))
        response.success = True
        response.message = "released" if was_stopped else "the robot was not stopped"
        self.get_logger().warning(response.message)
        return response

    def _on_timer(self) -> None:
        self._logic.tick()


def main(args: list[str] | None = None) -> None:
    rclpy.init(args=args)
    node = SafetyNode()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
