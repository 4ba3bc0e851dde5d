"""Points with one value each to sensor_msgs/PointCloud2."""

from __future__ import annotations

import array

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from giga_perception.detection import Detection
from giga_perception.tsdf import TsdfGrid
from giga_perception.workspace import WORKSPACE_SIZE_M

_FLOAT_BYTES = 4


def tsdf_cloud(tsdf: TsdfGrid, header: Header) -> PointCloud2:
    """Centres of the voxels near a surface (value above 0); field ``tsdf``: 0.5 = surface, towards 1 = in front."""
    index = np.argwhere(tsdf.value > 0.0)
    values = tsdf.value[tuple(index.T)]
    return cloud_message((index + 0.5) * tsdf.voxel_m, values, "tsdf", header)


def affordance_cloud(detection: Detection, header: Header, at_least: float) -> PointCloud2:
    """Grasp centres of a masked quality of ``at_least`` (and above 0); field ``quality``.

    They lie at the voxels' lower corners, where the network was asked.
    """
    quality = detection.quality
    index = np.argwhere((quality >= at_least) & (quality > 0.0))
    values = quality[tuple(index.T)]
    centres_m = index * (WORKSPACE_SIZE_M / len(quality))
    return cloud_message(centres_m, values, "quality", header)


def cloud_message(
    points_m: NDArray[np.floating], values: NDArray[np.floating], value_name: str, header: Header
) -> PointCloud2:
    """Points [N, 3] (metres, header's frame) and values [N] as float32 fields x, y, z and ``value_name``."""
    names = ("x", "y", "z", value_name)
    rows = np.column_stack([points_m, values]).astype("<f4")
    data = array.array("B")  # rclpy takes an array as it is, and checks a list byte by byte
    data.frombytes(rows.tobytes())
    step = _FLOAT_BYTES * len(names)
    return PointCloud2(
        header=header,
        height=1,
        width=len(rows),
        fields=[
            PointField(name=name, offset=_FLOAT_BYTES * place, datatype=PointField.FLOAT32, count=1)
            for place, name in enumerate(names)
        ],
        is_bigendian=False,
        point_step=step,
        row_step=step * len(rows),
        data=data,
        is_dense=True,
    )
