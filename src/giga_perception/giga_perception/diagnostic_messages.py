"""The node's state for /diagnostics: each camera, the newest detection, the robot filter, the table plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from giga_perception.detection_report import DetectionCounts
from giga_perception.table_watch import TableState

_STALE_AFTER_S = 3.0


@dataclass(frozen=True)
class CameraState:
    """One camera. Ages are None without an image or a transform; a static transform has no age but is ``static``.

    image_age_s: wall time since the newest image. transform_age_s: the node's clock minus the newest transform's stamp.
    why_silent: why no image may be coming. overtaken: images passed over, since a newer one had come before them.
    """

    name: str
    why_silent: str = ""
    image_age_s: float | None = None
    rate_hz: float | None = None
    transform_age_s: float | None = None
    transform_is_static: bool = False
    overtaken: int = 0


@dataclass(frozen=True)
class NodeState:
    """All that is told. ``why_not_active`` is empty while the node is active; ``report`` is of the newest detection.

    robot: how the robot filter stands, in words; robot_problem: what keeps it from working, empty when it works.
    """

    why_not_active: str = ""
    model: str = ""
    cameras: Sequence[CameraState] = ()
    report: DetectionCounts | None = None
    robot: str = ""
    robot_problem: str = ""
    table: TableState | None = None


def perception_diagnostics(node_name: str, state: NodeState) -> DiagnosticArray:
    """A status for each camera, for detection, and, while the node is active, for the robot filter and the table."""
    name = node_name.strip("/")
    why = state.why_not_active
    statuses = [_camera_status(f"{name}: camera {camera.name}", camera) for camera in state.cameras]
    statuses.append(_detection_status(f"{name}: detection", state))
    if not why:
        statuses.append(_robot_status(f"{name}: robot filter", state))
    if not why and state.table is not None:
        statuses.append(_table_status(f"{name}: table plane", state.table))
    return DiagnosticArray(status=statuses)


def _camera_status(name: str, camera: CameraState) -> DiagnosticStatus:
    if camera.image_age_s is None:
        return _status(name, DiagnosticStatus.ERROR, camera.why_silent, {})
    values = {
        "seconds since the newest image": f"{camera.image_age_s:.2f}",
        "images a second": "unknown" if camera.rate_hz is None else f"{camera.rate_hz:.1f}",
        "seconds since the newest transform": _transform_age(camera),
        "images overtaken by a newer one": str(camera.overtaken),
    }
    if camera.image_age_s > _STALE_AFTER_S:
        return _status(name, DiagnosticStatus.WARN, camera.why_silent, values)
    if camera.transform_age_s is None and not camera.transform_is_static:
        message = "depth images come in, but tf does not know where the camera stands in the workspace"
        return _status(name, DiagnosticStatus.WARN, message, values)
    return _status(name, DiagnosticStatus.OK, "depth images come in", values)


def _transform_age(camera: CameraState) -> str:
    if camera.transform_is_static:
        return "static"
    return "unknown" if camera.transform_age_s is None else f"{camera.transform_age_s:.2f}"


def _detection_status(name: str, state: NodeState) -> DiagnosticStatus:
    if state.why_not_active:
        return _status(name, DiagnosticStatus.ERROR, state.why_not_active, {})
    report = state.report
    if report is None:
        return _status(name, DiagnosticStatus.OK, "ready; nothing detected yet", {"model": state.model})
    values = {
        "model": report.model,
        "grasps": str(report.after_nms),
        "best quality": f"{report.best_quality:.3f}",
        "quality threshold": f"{report.quality_threshold:.3f}",
        "hidden by the robot": "not measured" if report.hidden_by_robot < 0.0 else f"{report.hidden_by_robot:.0%}",
        "integrate [ms]": f"{report.integrate_ms:.1f}",
        "network [ms]": f"{report.network_ms:.1f}",
        "selection [ms]": f"{report.selection_ms:.1f}",
        "total [ms]": f"{report.total_ms:.1f}",
    }
    message = report.message or f"{report.after_nms} grasps in the newest scene"
    return _status(name, DiagnosticStatus.OK, message, values)


def _robot_status(name: str, state: NodeState) -> DiagnosticStatus:
    level = DiagnosticStatus.WARN if state.robot_problem else DiagnosticStatus.OK
    return _status(name, level, state.robot_problem or state.robot, {})


def _table_status(name: str, table: TableState) -> DiagnosticStatus:
    values = {}
    if table.offset_m is not None and table.tilt_deg is not None:
        values = {"above the configured plane [mm]": f"{1000.0 * table.offset_m:.1f}"}
        values["tilted by [deg]"] = f"{table.tilt_deg:.2f}"
        values["looks, of which these are the medians"] = str(table.looks)
    level = DiagnosticStatus.WARN if table.is_off else DiagnosticStatus.OK
    return _status(name, level, table.message, values)


def _status(name: str, level: bytes, message: str, values: Mapping[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
