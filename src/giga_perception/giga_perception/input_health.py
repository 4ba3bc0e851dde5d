"""How the inputs of perception_node are, for /diagnostics: cameras, transforms, robot, and the table now and then."""

from __future__ import annotations

import time

from rclpy.node import Node

from giga_perception.depth_topics import DepthTopics
from giga_perception.detection_report import DetectionCounts
from giga_perception.diagnostic_messages import CameraState, NodeState
from giga_perception.observed_scene import SceneUnavailableError
from giga_perception.perception_inputs import PerceptionInputs
from giga_perception.perception_parameters import PerceptionParameters
from giga_perception.robot_topics import ROBOT_DESCRIPTION_TOPIC
from giga_perception.scene_memory import SceneMemory
from giga_perception.table_watch import TableState, TableWatch


class InputHealth:
    """Of an active node: how its cameras, its transforms, its robot and its table are."""

    def __init__(self, node: Node, inputs: PerceptionInputs) -> None:
        self._node = node
        self._source = inputs.source
        self._transforms = inputs.transforms
        self._robot = inputs.robot
        self._table = TableWatch()

    def state(self, settings: PerceptionParameters, memory: SceneMemory, report: DetectionCounts | None) -> NodeState:
        """All that is told of an active node; ``report`` is of the newest detection. Looks for the table when due."""
        robot, robot_problem = self._robot_filter(settings)
        return NodeState(
            model=memory.model_name,
            cameras=[self._camera(topics, settings.workspace_frame) for topics in self._source.topics],
            report=report,
            robot=robot,
            robot_problem=robot_problem,
            # The table can wait, detections cannot.
            table=self._table_state(0.0 if memory.is_busy else settings.table_check_period_s),
        )

    def _robot_filter(self, settings: PerceptionParameters) -> tuple[str, str]:
        """How the robot filter stands, and what keeps it from working, in words; the second is empty when it works."""
        if settings.robot_filter == "off":
            return "switched off by the parameter 'robot_filter'", ""
        if self._robot.problem:
            return "", self._robot.problem
        if not self._robot.is_known:
            topic = self._node.resolve_topic_name(ROBOT_DESCRIPTION_TOPIC)
            return f"nothing has come on {topic}, so the robot's own pixels stay in the depth images", ""
        return "the robot's own pixels are dropped from the depth images", ""

    def _table_state(self, period_s: float) -> TableState | None:
        """What the last look for the table found; looks again when ``period_s`` have passed and there are images."""
        if self._table.is_due(period_s) and all(topics.newest() is not None for topics in self._source.topics):
            self._table.postpone()  # also for other timers, while this one waits for a transform
            try:
                self._table.look(self._source.at_hand())
            except SceneUnavailableError as error:
                self._node.get_logger().debug(f"no look for the table: {error}")
        return self._table.state

    def _camera(self, topics: DepthTopics, workspace_frame: str) -> CameraState:
        newest = topics.newest()
        if newest is None:
            return CameraState(topics.prefix, topics.why_silent())
        newest_ns = self._transforms.newest_ns(newest.image.header.frame_id, workspace_frame)
        now_ns = self._node.get_clock().now().nanoseconds
        return CameraState(
            name=topics.prefix,
            why_silent=topics.why_silent(),
            image_age_s=time.monotonic() - newest.received_s,
            rate_hz=topics.rate_hz,
            transform_age_s=(now_ns - newest_ns) / 1e9 if newest_ns else None,
            transform_is_static=newest_ns == 0,
            overtaken=topics.overtaken,
        )
