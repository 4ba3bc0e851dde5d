"""The demo's own node: waits for the stack, sets scenes, has the table cleared, keeps the image of the first scene.

Every wait has a deadline on wall time and looks at the processes meanwhile, so that it ends with a sentence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from giga_msgs.action import ClearTable
from giga_msgs.srv import DetectGrasps, PlanGrasp, PlanMotion, ReconstructScene, ResetScene, SetScene
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.time import Time
from std_srvs.srv import Trigger

from giga_bringup.demo_summary import Attempt, Round
from giga_bringup.errors import UserError
from giga_bringup.launched_stack import LaunchedStack
from giga_bringup.scene_recorder import RecordedScene, SceneRecorder
from giga_grasping.configuration import find_configuration
from giga_grasping.robot_profile import load_robot_profile

READY_TIMEOUT_S = 120.0
RESET_TIMEOUT_S = 120.0
DETECTION_TIMEOUT_S = 120.0
RESEND_S = 30.0
IMAGE_TIMEOUT_S = 30.0
# An attempt is a detection, several plans and half a minute of simulated motion.
ATTEMPT_TIMEOUT_S = 300.0
CANCEL_TIMEOUT_S = 10.0
POLL_S = 0.1

T = TypeVar("T")


class DemoSession:
    """Use it as a context manager; `stack` is running already."""

    def __init__(self, stack: LaunchedStack) -> None:
        self._stack = stack
        self._base_frame = load_robot_profile(find_configuration("robots/panda.yaml")).base_frame

    def __enter__(self) -> DemoSession:
        self._context = rclpy.Context()
        # Ctrl-C stays Python's KeyboardInterrupt, so that the way out is the same as for an error.
        rclpy.init(context=self._context, args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("giga_demo", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._connect()
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _connect(self) -> None:
        node = self._node
        self._reset = node.create_client(ResetScene, "/sim_node/reset_scene")
        self._detect = node.create_client(DetectGrasps, "/perception_node/detect_grasps")
        self._clear = ActionClient(node, ClearTable, "/executor_node/clear_table")
        # What must be there before the first goal: name, the node that offers it, and whether it is there.
        services = [
            ("perception_node", ReconstructScene, "/perception_node/reconstruct_scene"),
            ("embedded_planner_node", SetScene, "/set_scene"),
            ("embedded_planner_node", PlanGrasp, "/plan_grasp"),
            ("embedded_planner_node", PlanMotion, "/plan_motion"),
            ("safety_node", Trigger, "/stop"),
        ]
        self._offers: list[tuple[str, str, Callable[[], bool]]] = [
            ("/sim_node/reset_scene", "sim_node", self._reset.service_is_ready),
            ("/executor_node/clear_table", "executor_node", self._clear.server_is_ready),
            ("/perception_node/detect_grasps", "perception_node", self._detect.service_is_ready),
            *(
                (name, offered_by, node.create_client(kind, name).service_is_ready)
                for offered_by, kind, name in services
            ),
        ]

    def wait_until_ready(self) -> None:
        """Wait for every service and action. Raises UserError naming the node that is missing or died."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            self._stack.raise_if_dead()
            missing = [(name, node) for name, node, is_there in self._offers if not is_there()]
            if not missing:
                return
            if time.monotonic() > deadline:
                name, node = missing[0]
                words = self._stack.last_words(self._stack.label_of(node))
                raise UserError(f"{node} did not offer {name} within {READY_TIMEOUT_S:.0f} s; {words}")
            time.sleep(POLL_S)

    def reset_scene(self, scene: str, objects: int, seed: int) -> tuple[tuple[str, ...], Time]:
        """Set a new scene; the names of what stands there, and the time at which it does."""
        request = ResetScene.Request(scene=scene, count=objects, seed=seed)
        answer = self._call(self._reset, request, RESET_TIMEOUT_S, "sim_node")
        if not answer.success:
            raise UserError(f"sim_node could not set the {scene} scene of seed {seed}: {answer.message}")
        stamps = [Time.from_msg(pose.header.stamp) for pose in answer.object_poses]
        return tuple(answer.object_names), max(stamps, default=Time())

    def require_detection(self) -> None:
        """Have grasps detected once. Raises UserError with perception's words when it cannot (no model, ...)."""
        answer = self._call(self._detect, DetectGrasps.Request(), DETECTION_TIMEOUT_S, "perception_node")
        if not answer.success:
            raise UserError(f"perception_node cannot detect grasps: {answer.message}")
        self.model = answer.grasps.report.model

    def record_scene(self, since: Time) -> RecordedScene:
        """What the camera sees at `since` or later. Raises UserError when the camera or its transform is missing."""
        with SceneRecorder(self._node, self._base_frame) as recorder:
            deadline = time.monotonic() + IMAGE_TIMEOUT_S
            while (scene := recorder.scene_since(since)) is None:
                self._stack.raise_if_dead()
                if time.monotonic() > deadline:
                    raise UserError(f"no image of the new scene within {IMAGE_TIMEOUT_S:.0f} s: {recorder.why_not}")
                time.sleep(POLL_S)
        return scene

    def clear_table(self, seed: int, objects: tuple[str, ...], on_attempt: Callable[[Attempt, Any], None]) -> Round:
        """Have the executor clear the table.

        `on_attempt` is called with each attempt as it ends, and the grasp it was made with, in the robot's base frame.
        """
        attempts: list[Attempt] = []
        last_sign_of_life = time.monotonic()

        def on_feedback(message: Any) -> None:
            nonlocal last_sign_of_life
            last_sign_of_life = time.monotonic()
            attempts.append(_attempt(message.feedback))
            on_attempt(attempts[-1], message.feedback.grasp)

        sent = self._clear.send_goal_async(ClearTable.Goal(), feedback_callback=on_feedback)
        goal = self._wait(sent, RESET_TIMEOUT_S, "executor_node", "an answer to the goal of clear_table")
        if not goal.accepted:
            raise UserError("executor_node refused to clear the table: it is busy with another goal or not active")
        done = goal.get_result_async()
        try:
            while not done.done():
                self._stack.raise_if_dead()
                if time.monotonic() - last_sign_of_life > ATTEMPT_TIMEOUT_S:
                    words = self._stack.last_words(self._stack.label_of("executor_node"))
                    raise UserError(f"executor_node ended no attempt within {ATTEMPT_TIMEOUT_S:.0f} s; {words}")
                time.sleep(POLL_S)
        except BaseException:
            canceled = goal.cancel_goal_async()
            deadline = time.monotonic() + CANCEL_TIMEOUT_S
            while not canceled.done() and time.monotonic() < deadline:
                time.sleep(POLL_S)
            raise
        result = done.result().result
        if result.reason in (ClearTable.Result.ERROR, ClearTable.Result.STOPPED, ClearTable.Result.CANCELED):
            raise UserError(f"clearing the table ended before its end ({result.reason}): {result.message}")
        # Feedback travels on a topic of its own and may come in after the result.
        what = "the feedback of every attempt"
        self._poll(lambda: len(attempts) >= result.attempts, CANCEL_TIMEOUT_S, "executor_node", what)
        return Round(seed, objects, tuple(attempts), result.reason, result.message)

    def _call(self, client: Client, request: Any, timeout_s: float, node: str) -> Any:
        """A service's answer.

        A request without an answer is sent again: on a machine so busy that the server does not know this client's
        reader yet, Fast DDS drops the answer. Whatever is called here may be done twice.
        """
        futures = [client.call_async(request)]
        sent = time.monotonic()

        def answer() -> Any:
            nonlocal sent
            if time.monotonic() - sent > RESEND_S:
                futures.append(client.call_async(request))
                sent = time.monotonic()
            return next((future.result() for future in futures if future.done()), None)

        return self._poll(answer, timeout_s, node, f"an answer on {client.srv_name}")

    def _wait(self, future: Future, timeout_s: float, node: str, what: str) -> Any:
        self._poll(future.done, timeout_s, node, what)
        return future.result()

    def _poll(self, condition: Callable[[], T | None], timeout_s: float, node: str, what: str) -> T:
        """The condition's value once it is true. Raises UserError in the name of `node` after the timeout."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            self._stack.raise_if_dead()
            if time.monotonic() > deadline:
                words = self._stack.last_words(self._stack.label_of(node))
                raise UserError(f"{node} did not give {what} within {timeout_s:.0f} s; {words}")
            time.sleep(POLL_S)
        return value


def _attempt(feedback: Any) -> Attempt:
    return Attempt(
        number=feedback.attempt,
        success=feedback.success,
        outcome=feedback.outcome,
        message=feedback.message,
        quality=feedback.grasp.quality,
        width_m=feedback.grasp.width_m,
        measured_width_m=feedback.measured_width_m,
        candidates=feedback.candidates,
        detection_ms=feedback.detection_ms,
        planning_ms=feedback.planning_ms,
    )
