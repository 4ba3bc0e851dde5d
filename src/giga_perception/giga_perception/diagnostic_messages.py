"""The node's state for /diagnostics: the camera, and the newest detection."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from giga_perception.detection import DetectionCounts

_STALE_AFTER_S = 3.0


def perception_diagnostics(
    node_name: str, why_not_active: str, why_silent: str, image_age_s: float | None, report: DetectionCounts | None
) -> DiagnosticArray:
    """Two statuses: depth input and detection.

    ``why_not_active`` is empty while the node is active; ``image_age_s`` is the wall time since the newest image, None
    without one; ``why_silent`` says why none may be coming; ``report`` is that of the newest detection.
    """
    name = node_name.strip("/")
    return DiagnosticArray(
        status=[
            _depth_status(f"{name}: depth input", why_not_active, why_silent, image_age_s),
            _detection_status(f"{name}: detection", why_not_active, report),
        ]
    )


def _depth_status(name: str, why_not_active: str, why_silent: str, image_age_s: float | None) -> DiagnosticStatus:
    if why_not_active:
        return DiagnosticStatus(name=name, level=DiagnosticStatus.STALE, message=why_not_active)
    if image_age_s is None:
        return DiagnosticStatus(name=name, level=DiagnosticStatus.ERROR, message=why_silent)
    age = [KeyValue(key="seconds since the newest image", value=f"{image_age_s:.2f}")]
    if image_age_s > _STALE_AFTER_S:
        return DiagnosticStatus(name=name, level=DiagnosticStatus.WARN, message=why_silent, values=age)
    return DiagnosticStatus(name=name, level=DiagnosticStatus.OK, message="depth images come in", values=age)


def _detection_status(name: str, why_not_active: str, report: DetectionCounts | None) -> DiagnosticStatus:
    if why_not_active:
        return DiagnosticStatus(name=name, level=DiagnosticStatus.ERROR, message=why_not_active)
    if report is None:
        return DiagnosticStatus(name=name, level=DiagnosticStatus.OK, message="ready; nothing detected yet")
    values = {
        "model": report.model,
        "grasps": str(report.after_nms),
        "best quality": f"{report.best_quality:.3f}",
        "quality threshold": f"{report.quality_threshold:.3f}",
        "integrate [ms]": f"{report.integrate_ms:.1f}",
        "network [ms]": f"{report.network_ms:.1f}",
        "selection [ms]": f"{report.selection_ms:.1f}",
        "total [ms]": f"{report.total_ms:.1f}",
    }
    return DiagnosticStatus(
        name=name,
        level=DiagnosticStatus.OK,
        message=report.message or f"{report.after_nms} grasps in the newest image",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
