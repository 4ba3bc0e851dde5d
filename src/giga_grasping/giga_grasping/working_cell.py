"""The cell as one piece of work sees it: its planner, perception and robot, all ended by the same interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from giga_grasping.cell_services import CellServices, PerceptionServices, PlanningServices
from giga_grasping.clear_table import DetectedGrasps
from giga_grasping.confirmation import ConfirmationGate, ConfirmedRobot
from giga_grasping.executor_parameters import ExecutorParameters
from giga_grasping.interruption import Interruption
from giga_grasping.pick_outcome import Phase, PickResult
from giga_grasping.pick_sequence import PickRequest, PickSequence, PickSettings, Robot, Trajectory, go_home
from giga_grasping.robot_interface import RobotInterface, RobotMotion


@dataclass(frozen=True)
class CellClients:
    """What outlives a piece of work: the clients, the gate of confirm mode, and where plans and remarks go."""

    robot: RobotInterface
    services: CellServices
    gate: ConfirmationGate
    show_plan: Callable[[Sequence[Trajectory]], None]
    remark: Callable[[str], object]


class WorkingCell:
    """clear_table.Cell over ROS."""

    def __init__(
        self,
        clients: CellClients,
        parameters: ExecutorParameters,
        interruption: Interruption,
        on_phase: Callable[[Phase, int], None],
    ) -> None:
        self._parameters = parameters
        self._on_phase = on_phase
        self._show_plan = clients.show_plan
        self._planner = PlanningServices(clients.services, parameters, interruption)
        base_frame = clients.robot.profile.base_frame
        self._perception = PerceptionServices(clients.services, base_frame, parameters, interruption)
        self._robot: Robot = RobotMotion(clients.robot, parameters, interruption)
        if parameters.confirm:

            def ask(purpose: str) -> None:
                clients.remark(f"waiting for a call of confirm: {purpose}")
                clients.gate.wait(purpose, parameters.confirm_timeout_s, interruption)

            self._robot = ConfirmedRobot(self._robot, ask)

    def go_home(self, scene_id: str) -> None:
        if self._parameters.dry_run:
            return
        self._on_phase(Phase.HOMING, -1)
        go_home(self._planner, self._robot, scene_id)

    def detect(self) -> DetectedGrasps:
        return self._perception.detect()

    def set_scene(self) -> str:
        return self._perception.set_scene()

    def pick(self, request: PickRequest) -> PickResult:
        settings = PickSettings(
            min_held_width_m=self._parameters.min_held_width_m,
            grasp_on_approach_contact=self._parameters.grasp_on_approach_contact,
            place_clearance_m=self._parameters.place_clearance_m,
            dry_run=self._parameters.dry_run,
        )
        return PickSequence(self._planner, self._robot, settings, self._on_phase, self._show_plan).run(request)
