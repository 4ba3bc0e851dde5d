"""executor_node: carries out picks and clears the table, behind actions. The order of things is in pick_sequence.py.

The executor's thread only moves messages; one worker thread does the work (single_worker.py says why).
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from giga_msgs.action import ClearTable, ExecuteGrasp
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from std_msgs.msg import Bool, Empty
from std_srvs.srv import Trigger

from giga_grasping.cell_services import CellServices
from giga_grasping.clear_table import Attempt, ClearResult, ClearSettings, EndReason, clear_table
from giga_grasping.configuration import ConfigurationError, find_configuration
from giga_grasping.confirmation import ConfirmationGate
from giga_grasping.executor_messages import attempt_feedback, clear_result_message, pick_result_message
from giga_grasping.executor_parameter_server import declare_parameters, read_parameters
from giga_grasping.grasp_messages import candidates_from_message, goal_from_pose
from giga_grasping.interruption import wait_until
from giga_grasping.pick_outcome import After, Phase, PickError, PickOutcome, PickResult
from giga_grasping.pick_sequence import PickRequest
from giga_grasping.planned_path import PlannedPath
from giga_grasping.robot_interface import RobotInterface
from giga_grasping.robot_profile import load_robot_profile
from giga_grasping.single_worker import SingleWorker, Work
from giga_grasping.working_cell import CellClients, WorkingCell

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
IDLE = "idle"
# The cell may still be starting when the first goal comes.
READY_TIMEOUT_S = 10.0
# How long a shutdown waits for the arm to have stopped.
SHUTDOWN_TIMEOUT_S = 5.0


class ExecutorNode(LifecycleNode):
    """Actions ~/execute_grasp and ~/clear_table, services ~/home and ~/confirm."""

    def __init__(self) -> None:
        super().__init__("executor_node")
        declare_parameters(self)
        self._settings = read_parameters(self)
        profile = self._settings.robot_file
        self._profile = load_robot_profile(Path(profile) if profile else find_configuration("robots/panda.yaml"))
        self._group = ReentrantCallbackGroup()
        self._active = False
        self._stopped = False
        self._phase = IDLE
        self._last_end = "nothing done yet"
        self._worker = SingleWorker(self)
        self._gate = ConfirmationGate()
        path = PlannedPath(self, self._profile)
        self._cell_clients = CellClients(
            RobotInterface(self, self._profile), CellServices(self), self._gate, path.show, self.get_logger().info
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(Bool, "safety_stopped", self._on_stopped, LATCHED, callback_group=self._group)
        self.create_subscription(Empty, "~/keepalive", self._on_keepalive, 10, callback_group=self._group)
        self.create_service(Trigger, "~/home", self._on_home, callback_group=self._group)
        self.create_service(Trigger, "~/confirm", self._on_confirm, callback_group=self._group)
        self._execute_server = self._action_server(ExecuteGrasp, "~/execute_grasp", self._on_execute_grasp)
        self._clear_server = self._action_server(ClearTable, "~/clear_table", self._on_clear_table)
        # Wall time: simulated time may stand still, and a client that went away must be noticed all the same.
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self._check_keepalive, callback_group=self._group, clock=wall)
        self.create_timer(1.0, self._publish_diagnostics, callback_group=self._group, clock=wall)

    def autostart(self) -> None:
        if self._settings.autostart:
            self.trigger_configure()
            self.trigger_activate()

    def interrupt(self, message: str) -> bool:
        """Stop what is being done; True while it has not ended yet."""
        self._worker.interrupt(PickOutcome.CANCELED, message)
        return self._worker.current is not None

    # Lifecycle

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = True
        self.get_logger().info(f"ready to carry out grasps with {self._profile.name}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = False
        self.interrupt("the executor was deactivated")
        return super().on_deactivate(state)

    # What others tell the node

    def _on_stopped(self, message: Bool) -> None:
        self._stopped = message.data
        if message.data:
            self._worker.interrupt(PickOutcome.STOPPED, "the safety node holds the robot: call release to go on")

    def _on_keepalive(self, _message: Empty) -> None:
        if self._worker.current is not None:
            self._worker.current.renew()

    def _check_keepalive(self) -> None:
        if self._worker.current is not None:
            self._worker.current.interrupt_if_abandoned()

    def _on_confirm(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        confirmed = self._gate.confirm()
        response.success = bool(confirmed)
        response.message = f"confirmed: {confirmed}" if confirmed else "no motion waits for a confirmation"
        return response

    # Work

    def _action_server(self, action_type: Any, name: str, callback: Callable[..., Any]) -> ActionServer:
        return ActionServer(
            self, action_type, name, callback, cancel_callback=self._on_cancel, callback_group=self._group
        )

    def _on_cancel(self, goal_handle: Any) -> CancelResponse:
        if self._worker.current is not None and self._worker.current.name == _work_name(goal_handle):
            self._worker.interrupt(PickOutcome.CANCELED, "the client canceled")
        return CancelResponse.ACCEPT

    async def _do(self, name: str, function: Callable[[Work], Any]) -> Any:
        """Run `function` in the worker; PickError for what keeps it from starting or ends it."""
        if not self._active:
            raise PickError(PickOutcome.NOT_READY, "the executor is not active: activate it first")
        if self._stopped:
            raise PickError(PickOutcome.STOPPED, "the safety node holds the robot: call release to go on")
        # A change of parameters holds from the next piece of work on.
        self._settings = read_parameters(self)
        work = self._worker.start(name, function)
        try:
            return await work.answer
        except PickError:
            raise
        except Exception as error:
            # A defect must not take the node down while an arm hangs on it.
            self.get_logger().error("".join(traceback.format_exception(error)))
            raise PickError(PickOutcome.EXECUTION_FAILED, f"internal error, see the log: {error!r}") from error
        finally:
            self._phase = IDLE

    async def _on_home(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            await self._do("home", self._go_home)
            response.success, response.message = True, "the arm is home"
        except PickError as failure:
            response.success, response.message = False, f"{failure.outcome.name}: {failure.message}"
        return response

    def _go_home(self, work: Work) -> None:
        self._require_ready(work, perception=False)
        self._working_cell(work).go_home("")

    async def _on_execute_grasp(self, goal_handle: Any) -> ExecuteGrasp.Result:
        try:
            result = await self._do(_work_name(goal_handle), lambda work: self._execute_grasp(work, goal_handle))
        except PickError as failure:
            result = PickResult(failure.outcome, failure.message)
        self._last_end = f"execute_grasp: {result.outcome.name}, {result.message}"
        self.get_logger().info(self._last_end)
        _finish(goal_handle, result.success, result.outcome is PickOutcome.CANCELED)
        return pick_result_message(result, goal_handle.request.candidates)

    def _execute_grasp(self, work: Work, goal_handle: Any) -> PickResult:
        goal: ExecuteGrasp.Goal = goal_handle.request
        work.keepalive_s = goal.keepalive_s
        if goal.after not in iter(After):
            raise PickError(PickOutcome.INVALID_REQUEST, f"after is {goal.after}; it is HOLD, BIN or PLACE")
        candidates = candidates_from_message(goal.candidates)
        if not candidates:
            raise PickError(PickOutcome.NO_CANDIDATES, "the goal holds no candidate")
        place = goal_from_pose(goal.place_pose)
        if After(goal.after) is After.PLACE and place is None:
            raise PickError(PickOutcome.INVALID_REQUEST, "after = PLACE wants a place_pose with a frame")
        self._require_fresh(goal)
        self._require_ready(work, perception=self._settings.reconstruct_scene)

        def on_phase(phase: Phase, candidate: int) -> None:
            goal_handle.publish_feedback(ExecuteGrasp.Feedback(phase=str(phase), candidate=candidate))

        cell = self._working_cell(work, on_phase)
        scene_id = cell.set_scene() if self._settings.reconstruct_scene else ""
        frame_id = goal.candidates.header.frame_id
        chosen = candidates[: self._settings.max_candidates]
        return cell.pick(PickRequest(chosen, frame_id, scene_id, After(goal.after), place))

    def _require_fresh(self, goal: ExecuteGrasp.Goal) -> None:
        if goal.max_age_s <= 0.0:
            return
        seen = Time.from_msg(goal.candidates.header.stamp, clock_type=self.get_clock().clock_type)
        age_s = (self.get_clock().now() - seen).nanoseconds / 1e9
        if age_s > goal.max_age_s:
            message = f"the candidates are {age_s:.1f} s old, older than max_age_s = {goal.max_age_s:g}: detect again"
            raise PickError(PickOutcome.CANDIDATES_STALE, message)

    async def _on_clear_table(self, goal_handle: Any) -> ClearTable.Result:
        try:
            result = await self._do(_work_name(goal_handle), lambda work: self._clear_table(work, goal_handle))
        except PickError as failure:
            reason = EndReason.STOPPED if failure.outcome is PickOutcome.STOPPED else EndReason.ERROR
            result = ClearResult(0, 0, reason, failure.message)
        self._last_end = f"clear_table: {result.successes} of {result.attempts}, {result.reason}, {result.message}"
        self.get_logger().info(self._last_end)
        ended_well = result.reason in (EndReason.NO_GRASPS, EndReason.FAILURES, EndReason.ATTEMPTS)
        _finish(goal_handle, ended_well, result.reason is EndReason.CANCELED)
        return clear_result_message(result)

    def _clear_table(self, work: Work, goal_handle: Any) -> ClearResult:
        goal: ClearTable.Goal = goal_handle.request
        parameters = self._settings
        self._require_ready(work, perception=True)
        settings = ClearSettings(
            max_attempts=goal.max_attempts,
            max_consecutive_failures=goal.max_consecutive_failures or parameters.max_consecutive_failures,
            max_candidates=parameters.max_candidates,
            failed_distance_m=parameters.failed_grasp_distance_m,
            failed_angle_deg=parameters.failed_grasp_angle_deg,
            dry_run=parameters.dry_run,
        )

        def on_attempt(attempt: Attempt) -> None:
            goal_handle.publish_feedback(attempt_feedback(attempt))
            result = attempt.result
            self.get_logger().info(f"attempt {attempt.number}: {result.outcome.name}, {result.message}")

        return clear_table(self._working_cell(work), settings, on_attempt)

    def _working_cell(self, work: Work, tell_client: Callable[[Phase, int], None] | None = None) -> WorkingCell:
        def on_phase(phase: Phase, candidate: int) -> None:
            self._phase = str(phase)
            if tell_client is not None:
                tell_client(phase, candidate)

        return WorkingCell(self._cell_clients, self._settings, work.interruption, on_phase)

    # Readiness

    def _missing(self, perception: bool) -> list[str]:
        return self._cell_clients.robot.missing() + self._cell_clients.services.missing(perception)

    def _require_ready(self, work: Work, perception: bool) -> None:
        """Wait a little for a cell that is just starting, then name what is missing."""

        def not_ready() -> PickError:
            return PickError(PickOutcome.NOT_READY, f"not ready, missing: {', '.join(self._missing(perception))}")

        wait_until(lambda: not self._missing(perception), READY_TIMEOUT_S, work.interruption, not_ready)

    def _diagnostic_level(self, missing: list[str]) -> DiagnosticStatus:
        if self._stopped:
            return DiagnosticStatus(level=DiagnosticStatus.ERROR, message="the safety node holds the robot")
        if missing:
            return DiagnosticStatus(level=DiagnosticStatus.WARN, message=f"missing: {', '.join(missing)}")
        return DiagnosticStatus(level=DiagnosticStatus.OK, message="ready" if self._active else "not active")

    def _publish_diagnostics(self) -> None:
        status = self._diagnostic_level(self._missing(perception=True))
        status.name, status.hardware_id = self.get_fully_qualified_name().lstrip("/"), self._profile.name
        doing = self._worker.current.name if self._worker.current is not None else "nothing"
        values = {"doing": doing, "phase": self._phase, "last": self._last_end}
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def _work_name(goal_handle: Any) -> str:
    goal_id = bytes(goal_handle.goal_id.uuid).hex()[:8]
    kind = "execute_grasp" if isinstance(goal_handle.request, ExecuteGrasp.Goal) else "clear_table"
    return f"{kind} {goal_id}"


def _finish(goal_handle: Any, success: bool, canceled: bool) -> None:
    if success:
        goal_handle.succeed()
    elif canceled and goal_handle.is_cancel_requested:
        goal_handle.canceled()
    else:
        goal_handle.abort()


def main(args: list[str] | None = None) -> None:
    # Own signal handlers: rclpy's would close the context first, and then no moving arm could be told to stop.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        node = ExecutorNode()
    except (ConfigurationError, ParameterException, ValueError) as error:
        rclpy.shutdown()
        raise SystemExit(f"executor_node: {error}") from error
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.autostart()
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.2)
    deadline_s = time.monotonic() + SHUTDOWN_TIMEOUT_S
    while node.interrupt("the executor is shutting down") and time.monotonic() < deadline_s:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown(0)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
