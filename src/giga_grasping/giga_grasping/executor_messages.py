"""Results and feedback of the executor's actions."""

from __future__ import annotations

from giga_msgs.action import ClearTable, ExecuteGrasp
from giga_msgs.msg import GraspArray

from giga_grasping.clear_table import Attempt, ClearResult
from giga_grasping.grasp_messages import grasp_message
from giga_grasping.pick_outcome import PickResult


def pick_result_message(result: PickResult, candidates: GraspArray) -> ExecuteGrasp.Result:
    """`candidates` are those of the goal, which `result.grasp_index` counts."""
    message = ExecuteGrasp.Result(
        outcome=int(result.outcome),
        message=result.message,
        grasp_index=result.grasp_index,
        measured_width_m=result.measured_width_m,
        planning_ms=result.planning_ms,
    )
    if result.grasp_index >= 0:
        message.grasp_used = candidates.grasps[result.grasp_index]
    return message


def clear_result_message(result: ClearResult) -> ClearTable.Result:
    return ClearTable.Result(
        attempts=result.attempts, successes=result.successes, reason=str(result.reason), message=result.message
    )


def attempt_feedback(attempt: Attempt) -> ClearTable.Feedback:
    return ClearTable.Feedback(
        attempt=attempt.number,
        success=attempt.result.success,
        outcome=int(attempt.result.outcome),
        message=attempt.result.message,
        grasp=grasp_message(attempt.grasp),
        candidates=len(attempt.detected.candidates),
        measured_width_m=attempt.result.measured_width_m,
        detection_ms=attempt.detected.detection_ms,
        planning_ms=attempt.result.planning_ms,
    )
