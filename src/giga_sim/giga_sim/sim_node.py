"""sim_node: the simulated cell behind the interfaces of the real one. Parameters in, messages out."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from geometry_msgs.msg import PoseStamped
from giga_msgs.srv import InjectFault, ResetScene
from rcl_interfaces.msg import ParameterDescriptor, ParameterValue
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from giga_sim.arm_action_server import ArmActionServer
from giga_sim.cell import read_cell
from giga_sim.cell_publishers import WORKSPACE_FRAME, CellPublishers
from giga_sim.config_file import ConfigFileError
from giga_sim.faults import FAULTS, UnknownFaultError, checked_fault
from giga_sim.gripper_action_servers import GripperActionServers
from giga_sim.large_messages import large_messages
from giga_sim.robot_description import RobotDescriptionError, robot_description
from giga_sim.robot_profile import read_robot_profile
from giga_sim.simulated_cell import SceneError, SceneRequest, SimulatedCell, StandingObject
from giga_sim.simulation_loop import Pace, SimulationLoop, SimulationStoppedError
from giga_sim.state_messages import pose_message, stamp_from

# Two goals of the arm and two of the gripper may be alive at once (the old one and the one that preempts it), each
# waiting in a thread of its own, besides services and cancel requests.
EXECUTOR_THREADS = 12

STARTUP_ERRORS = (ConfigFileError, RobotDescriptionError, SceneError)


class SimNode(Node):
    """The node; `start` sets the simulation going, `stop` ends it."""

    def __init__(self) -> None:
        # This node makes the clock; following it as well would wake the executor at each tick for nothing.
        super().__init__("sim_node", parameter_overrides=[Parameter("use_sim_time", value=False)])
        profile = read_robot_profile(self._config_path("robot_file", "robots/panda.yaml"))
        cell = read_cell(self._config_path("cell_file", "cell.yaml"))
        self._default_scene = SceneRequest(
            scene=self._text("scene", "pile", "scene that stands at the start: pile or packed"),
            object_set=self._text("object_set", "parametric", "object set, or a folder of URDFs"),
            count=self._integer("object_count", 5, "objects to place"),
            split=self._text("object_split", "test", "part of the set: train, val, test, or all"),
            seed=self._integer("seed", 1, "the scene and the camera's noise repeat with it"),
        )
        lockstep = self._flag("lockstep", True, "time stands still while nothing happens")
        factor = self._number("real_time_factor", 1.0, "free-running: simulated seconds a second; 0 = no limit")
        limit = self._number(
            "real_time_factor_limit", 0.0, "lockstep: simulated seconds a second at most; 0 = no limit"
        )
        image_period_s = self._number("image_period_s", 0.5, "simulated seconds between depth images while moving")
        noise = self._flag("depth_noise", True, "the paper's noise on the depth images")
        publish_robot = self._flag("publish_robot", True, "robot_description and the links' /tf come from this node")
        gui = self._flag("gui", False, "open PyBullet's window")

        description = robot_description(profile)
        self._cell = SimulatedCell(profile, cell, gui=gui)
        self.get_logger().info(f"building the scene: {self._default_scene}")
        self._cell.reset_scene(self._default_scene)
        self._log_standing(self._cell.standing())
        noise_seed = abs(self._default_scene.seed) if noise else None
        self._cell_publishers = CellPublishers(self, self._cell, description, noise_seed, publish_robot)
        pace = Pace(lockstep, limit if lockstep else factor, image_period_s)
        self._loop = SimulationLoop(self._cell, pace, self)
        self._arm = ArmActionServer(self, profile, self._cell, self._loop)
        self._gripper = GripperActionServers(self, profile, self._cell, self._loop)
        group = ReentrantCallbackGroup()
        self.create_service(ResetScene, "~/reset_scene", self._reset_scene, callback_group=group)
        self.create_service(InjectFault, "~/inject_fault", self._inject_fault, callback_group=group)

    def start(self) -> None:
        """Let time run."""
        self._loop.start()
        self.get_logger().info("the simulated cell is ready")

    @property
    def is_running(self) -> bool:
        """Whether the simulation goes on; it does not after an error in it."""
        return self._loop.is_running

    def stop(self) -> None:
        """End the simulation; goals that are being carried out are aborted."""
        self._loop.stop()

    def on_state(self, cell: SimulatedCell) -> None:
        """See SimulationListener."""
        self._cell_publishers.publish_state()

    def on_feedback(self, cell: SimulatedCell) -> None:
        """See SimulationListener."""
        self._arm.publish_feedback()
        self._gripper.publish_feedback()

    def on_image(self, cell: SimulatedCell) -> None:
        """See SimulationListener."""
        self._cell_publishers.publish_image()

    def on_halted(self) -> None:
        """See SimulationListener."""
        self._cell_publishers.repeat()

    def _reset_scene(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        default = self._default_scene
        scene = SceneRequest(
            scene=request.scene or default.scene,
            object_set=request.object_set or default.object_set,
            count=request.count or default.count,
            seed=request.seed,
            split=default.split,
        )
        try:
            self._loop.carry_out(lambda: self._cell.reset_scene(scene)).result()
            standing, time_ns = self._loop.ask(lambda: (self._cell.standing(), self._cell.time_ns)).result()
        except (SceneError, SimulationStoppedError) as error:
            response.success = False
            response.message = str(error)
            self.get_logger().error(response.message)
            return response
        self._log_standing(standing)
        response.success = True
        response.message = f"{len(standing)} objects stand in the {scene.scene} scene of seed {scene.seed}"
        for thing in standing:
            response.object_names.append(thing.name)
            pose = PoseStamped()
            pose.header.frame_id = WORKSPACE_FRAME
            pose.header.stamp = stamp_from(time_ns)
            pose.pose = pose_message(thing.T_workspace_object)
            response.object_poses.append(pose)
        return response

    def _inject_fault(self, request: InjectFault.Request, response: InjectFault.Response) -> InjectFault.Response:
        response.known_faults = sorted(FAULTS)
        try:
            if request.fault:
                fault = checked_fault(request.fault)
                self._loop.ask(lambda: self._cell.set_fault(fault, request.enable)).result()
            active = self._loop.ask(lambda: sorted(self._cell.faults)).result()
        except (UnknownFaultError, SimulationStoppedError) as error:
            response.success = False
            response.message = str(error)
            return response
        response.success = True
        response.active_faults = active
        if request.fault:
            state = "on" if request.enable else "off"
            response.message = f"{request.fault} is {state}: {FAULTS[request.fault]}"
        else:
            response.message = "; ".join(f"{name}: {effect}" for name, effect in FAULTS.items())
        return response

    def _log_standing(self, standing: list[StandingObject]) -> None:
        names = ", ".join(thing.name for thing in standing)
        self.get_logger().info(f"{len(standing)} objects stand in the workspace: {names or 'none'}")

    def _config_path(self, parameter: str, default: str) -> Path:
        """The file that the parameter names, or the one of that name which giga_bringup installs."""
        named = self._text(parameter, "", f"path of a file like config/{default}; empty = the installed one")
        if named:
            return Path(named)
        try:
            return Path(get_package_share_directory("giga_bringup")) / "config" / default
        except PackageNotFoundError as error:
            raise ConfigFileError(
                f"parameter {parameter} is empty and giga_bringup is not installed: give the path of config/{default}"
            ) from error

    def _text(self, name: str, default: str, description: str) -> str:
        return self._declare(name, default, description).string_value

    def _integer(self, name: str, default: int, description: str) -> int:
        return int(self._declare(name, default, description).integer_value)

    def _number(self, name: str, default: float, description: str) -> float:
        return float(self._declare(name, default, description).double_value)

    def _flag(self, name: str, default: bool, description: str) -> bool:
        return bool(self._declare(name, default, description).bool_value)

    def _declare(self, name: str, default: str | float | bool, description: str) -> ParameterValue:
        self.declare_parameter(name, default, ParameterDescriptor(description=description, read_only=True))
        return self.get_parameter(name).get_parameter_value()


def main() -> None:
    """Run the node until it is interrupted."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] [%(name)s] %(message)s")
    try:
        with large_messages():
            rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
            node = SimNode()
    except STARTUP_ERRORS as error:
        print(f"sim_node: {error}", file=sys.stderr)
        rclpy.shutdown()
        sys.exit(1)
    executor = MultiThreadedExecutor(num_threads=EXECUTOR_THREADS)
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(executor,), name="executor", daemon=True)
    spinning.start()
    node.start()
    while not stopping.wait(timeout=0.5):
        if not node.is_running:
            break
    # Clients are told while the middleware still stands: first the goals end, then the executor, then the rest.
    failed = not stopping.is_set()
    node.stop()
    executor.shutdown(timeout_sec=2.0)
    spinning.join(timeout=2.0)
    node.destroy_node()
    rclpy.try_shutdown()
    sys.exit(1 if failed else 0)


def _spin(executor: MultiThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


if __name__ == "__main__":
    main()
