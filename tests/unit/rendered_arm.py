"""The mock Panda among boxes on the table as PyBullet's own renderer sees it: depth, and which pixels are the arm's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open3d as o3d
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.workspace import TABLE_HEIGHT_M
from giga_sim.arm_surfaces import read_link_surfaces
from giga_sim.cell import Box, read_cell
from giga_sim.mock_panda import MockPanda
from giga_sim.physics_world import PhysicsWorld
from giga_sim.robot_description import panda_urdf_file, robot_description
from giga_sim.robot_profile import read_robot_profile

CONFIG = Path(__file__).resolve().parents[2] / "config"
PROFILE = read_robot_profile(CONFIG / "robots" / "panda.yaml")
PANDA_URDF = robot_description(PROFILE)
# PyBullet's pixel (0, 0) has its middle at (0.5, 0.5).
CAMERA = PinholeCamera(width=640, height=480, fx=540.0, fy=540.0, cx=319.5, cy=239.5)
BOXES = tuple(
    Box(np.array([x, y, TABLE_HEIGHT_M + height / 2.0]), np.array([0.04, 0.05, height]))
    for x, y, height in ((0.05, 0.03, 0.16), (0.15, 0.10, 0.10), (0.21, 0.16, 0.04), (0.08, 0.24, 0.12))
)
_NEAR_M, _FAR_M = 0.1, 3.0


@dataclass(frozen=True, eq=False)
class RenderedArm:
    """A view, which of its pixels [H, W] show the arm and which a box, and where the arm's links are."""

    view: DepthView
    is_arm: NDArray[np.bool_]
    is_box: NDArray[np.bool_]
    T_camera_link: dict[str, RigidTransform]

    def distance_to_arm_m(self) -> NDArray[np.float64]:
        """Distance [H, W] of each reading to the arm's collision meshes."""
        scene = o3d.t.geometry.RaycastingScene()
        for surface in read_link_surfaces(panda_urdf_file()):
            vertices = (self.T_camera_link[surface.link] * surface.T_link_mesh).apply(surface.mesh.vertices_m)
            scene.add_triangles(vertices.astype(np.float32), surface.mesh.triangles)
        distance = scene.compute_signed_distance(readings_m(self.view).astype(np.float32)).numpy()
        return np.maximum(distance, 0.0).reshape(self.view.depth_m.shape)


def readings_m(view: DepthView) -> NDArray[np.float64]:
    """The readings as points [H * W, 3] in the camera's frame."""
    camera = view.camera
    rows, columns = np.indices(view.depth_m.shape)
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return (np.stack([x, y, np.ones_like(x)], axis=-1) * view.depth_m[..., None]).reshape(-1, 3)


class ArmStage:
    """A PyBullet world with table, boxes and the arm, for pictures."""

    def __init__(self) -> None:
        self.world = PhysicsWorld()
        self.world.add_table()
        self.boxes = [self.world.add_box(box) for box in BOXES]
        T_world_base = read_cell(CONFIG / "cell.yaml").T_base_workspace.inv()
        self.arm = MockPanda(self.world.client, PROFILE, T_world_base, self.world.time_step_s)

    def reach(self, hand_m: tuple[float, float, float]) -> None:
        """Bring the hand's frame there, pointing down, fingers open."""
        joints = PROFILE.home_rad
        for _ in range(30):
            self.arm.place(joints, PROFILE.gripper_max_width_m)
            solution = self.world.client.calculateInverseKinematics(
                self.arm.body, self.arm.link_indices[PROFILE.hand_frame], hand_m, [1.0, 0.0, 0.0, 0.0]
            )
            joints = np.array(solution[:7])
        self.arm.place(joints, PROFILE.gripper_max_width_m)

    def render(self, T_camera_workspace: RigidTransform) -> RenderedArm:
        """What a camera there sees."""
        client = self.world.client
        to_opengl = np.diag([1.0, -1.0, -1.0, 1.0]) @ T_camera_workspace.as_matrix()
        width, height = CAMERA.width, CAMERA.height
        projection = np.zeros((4, 4))
        projection[0, 0], projection[1, 1] = 2.0 * CAMERA.fx / width, 2.0 * CAMERA.fy / height
        projection[2, 2] = -(_FAR_M + _NEAR_M) / (_FAR_M - _NEAR_M)
        projection[2, 3] = -2.0 * _FAR_M * _NEAR_M / (_FAR_M - _NEAR_M)
        projection[3, 2] = -1.0
        _, _, _, buffer, segments = client.getCameraImage(
            width,
            height,
            to_opengl.T.ravel().tolist(),
            projection.T.ravel().tolist(),
            renderer=client.ER_TINY_RENDERER,
        )
        buffer, segments = np.reshape(buffer, (height, width)), np.reshape(segments, (height, width))
        depth_m = (_FAR_M * _NEAR_M / (_FAR_M - (_FAR_M - _NEAR_M) * buffer)).astype(np.float32)
        depth_m[segments < 0] = 0.0
        links = {name: T_camera_workspace * pose for name, pose in self.arm.link_poses().items()}
        return RenderedArm(
            DepthView(depth_m, CAMERA, T_camera_workspace),
            segments == self.arm.body,
            np.isin(segments, self.boxes),
            links,
        )
