"""Depth images in, ranked 6-DoF grasps and a scene mesh out: the ROS-free library of the stack.

    from giga_perception import DepthView, GraspDetector, PinholeCamera
    detection = GraspDetector.from_file().detect([DepthView(depth_m, camera, T_camera_workspace)])

Every public name is imported on first use, so that `import giga_perception` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from giga_perception.camera import DepthView, PinholeCamera
    from giga_perception.dataset import DatasetWriter, LabelledScene, occupancy_points_m, open_dataset
    from giga_perception.depth_noise import add_depth_noise
    from giga_perception.detection import Detection, GraspDetector
    from giga_perception.detection_report import DetectionCounts
    from giga_perception.grasp import (
        GRASP_ORIGIN_TO_TCP_M,
        Grasp,
        T_workspace_grasp_origin_from_tcp,
        T_workspace_tcp_from_grasp_origin,
    )
    from giga_perception.model_family import new_network
    from giga_perception.model_kinds import MODEL_KINDS
    from giga_perception.network import Giga, GraspPrediction, ScenePrediction
    from giga_perception.scene_query import GraspNetwork, SceneQuery
    from giga_perception.selection_policy import SelectionPolicy, policy_named
    from giga_perception.tsdf import TsdfGrid, fuse
    from giga_perception.vgn import Vgn
    from giga_perception.weights import ModelFileError, load_model, save_model
    from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M

_MODULE_OF = {
    "DepthView": "camera",
    "PinholeCamera": "camera",
    "DatasetWriter": "dataset",
    "LabelledScene": "dataset",
    "occupancy_points_m": "dataset",
    "open_dataset": "dataset",
    "add_depth_noise": "depth_noise",
    "Detection": "detection",
    "DetectionCounts": "detection_report",
    "GraspDetector": "detection",
    "GRASP_ORIGIN_TO_TCP_M": "grasp",
    "Grasp": "grasp",
    "T_workspace_grasp_origin_from_tcp": "grasp",
    "T_workspace_tcp_from_grasp_origin": "grasp",
    "Giga": "network",
    "GraspPrediction": "network",
    "ScenePrediction": "network",
    "Vgn": "vgn",
    "MODEL_KINDS": "model_kinds",
    "new_network": "model_family",
    "GraspNetwork": "scene_query",
    "SceneQuery": "scene_query",
    "SelectionPolicy": "selection_policy",
    "policy_named": "selection_policy",
    "TsdfGrid": "tsdf",
    "fuse": "tsdf",
    "ModelFileError": "weights",
    "load_model": "weights",
    "save_model": "weights",
    "TABLE_HEIGHT_M": "workspace",
    "WORKSPACE_SIZE_M": "workspace",
}

__all__ = [
    "GRASP_ORIGIN_TO_TCP_M",
    "MODEL_KINDS",
    "TABLE_HEIGHT_M",
    "WORKSPACE_SIZE_M",
    "DatasetWriter",
    "DepthView",
    "Detection",
    "DetectionCounts",
    "Giga",
    "Grasp",
    "GraspDetector",
    "GraspNetwork",
    "GraspPrediction",
    "LabelledScene",
    "ModelFileError",
    "PinholeCamera",
    "ScenePrediction",
    "SceneQuery",
    "SelectionPolicy",
    "T_workspace_grasp_origin_from_tcp",
    "T_workspace_tcp_from_grasp_origin",
    "TsdfGrid",
    "Vgn",
    "add_depth_noise",
    "fuse",
    "load_model",
    "new_network",
    "occupancy_points_m",
    "open_dataset",
    "policy_named",
    "save_model",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULE_OF))
