"""The robot in its own image, against PyBullet's renderer and its ray casting."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

pytest.importorskip("pybullet", reason="PyBullet is not installed")

from rendered_arm import CAMERA, PANDA_URDF, ArmStage, RenderedArm

from giga_perception.camera import DepthView, PinholeCamera
from giga_perception.depth_noise import add_depth_noise
from giga_perception.robot_geometry import read_robot_geometry
from giga_perception.robot_mask import find_arm, hidden_share, missing_links_sentence
from giga_perception.workspace import TABLE_HEIGHT_M, WORKSPACE_SIZE_M
from giga_sim.side_view_camera import look_at, side_view

GROWTH_M = 0.02
GEOMETRY = read_robot_geometry(PANDA_URDF, GROWTH_M)
BALL = read_robot_geometry(
    '<robot><link name="b"><collision><geometry><sphere radius="0.05"/></geometry></collision></link></robot>'
)
SIDE = side_view()
OBLIQUE = look_at((0.15, 0.15, 0.10), 0.8, np.pi / 4.0, 1.2 * np.pi)
# A second camera that looks from the other side.
OPPOSITE = look_at((0.15, 0.15, 0.10), 0.7, np.pi / 3.0, 0.5 * np.pi)
# Of the hand: above the boxes, low between them and near the camera, and to one side.
HAND_PLACES_M = ((0.15, 0.15, 0.30), (0.12, 0.02, 0.18), (0.22, 0.20, 0.25))


@pytest.fixture(scope="module")
def stage() -> ArmStage:
    return ArmStage()


@pytest.fixture(scope="module", params=[(hand, view) for hand in HAND_PLACES_M for view in (SIDE, OBLIQUE)])
def rendered(request: pytest.FixtureRequest, stage: ArmStage) -> RenderedArm:
    hand_m, view = request.param
    stage.reach(hand_m)
    return stage.render(view)


def test_the_arm_is_dropped_and_nearly_nothing_else(rendered: RenderedArm) -> None:
    arm = find_arm(GEOMETRY, rendered.view, rendered.T_camera_link)
    assert rendered.is_arm.sum() > 5000
    assert (arm.on_arm & rendered.is_arm).sum() >= 0.995 * rendered.is_arm.sum()
    # What is farther from the arm than the growth and the share that readings may err by. Lost of it is, by design, a
    # seam along the outline; there the hull of a concave link hides something as well.
    beyond_m = GROWTH_M + 0.02 * rendered.view.depth_m
    clear = rendered.is_box & (rendered.distance_to_arm_m() > beyond_m)
    assert clear.sum() > 5000
    lost = arm.on_arm & clear
    assert lost.sum() < 0.02 * clear.sum()
    near_outline = cv2.dilate(rendered.is_arm.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert (lost & ~near_outline).sum() < 0.001 * clear.sum()
    assert np.all(arm.remaining.depth_m[arm.on_arm] == 0.0)
    np.testing.assert_array_equal(arm.remaining.depth_m[~arm.on_arm], rendered.view.depth_m[~arm.on_arm])


def test_the_arm_is_dropped_from_noisy_images_too(rendered: RenderedArm) -> None:
    kept = []
    for seed in range(5):
        noisy = add_depth_noise(rendered.view.depth_m, np.random.default_rng(seed))
        view = DepthView(noisy, CAMERA, rendered.view.T_camera_workspace)
        on_arm = find_arm(GEOMETRY, view, rendered.T_camera_link).on_arm
        kept.append((rendered.is_arm & ~on_arm).sum() / rendered.is_arm.sum())
    assert np.median(kept) < 0.005


def test_what_stands_in_front_of_the_arm_stays(stage: ArmStage) -> None:
    stage.reach((0.15, 0.25, 0.20))
    rendered = stage.render(SIDE)
    arm = find_arm(GEOMETRY, rendered.view, rendered.T_camera_link)
    behind = np.isfinite(np.kron(arm.arm_depth_m, np.ones((arm.block, arm.block))))[: CAMERA.height, : CAMERA.width]
    in_front = rendered.is_box & behind
    assert in_front.sum() > 200
    assert not (arm.on_arm & in_front & (rendered.distance_to_arm_m() > 0.05)).any()


def ray_cast_share(stage: ArmStage, rendered: RenderedArm) -> float:
    """The hidden share by PyBullet's rays from the camera to points of the cube above the table."""
    side = np.linspace(0.0, WORKSPACE_SIZE_M, 19)[:-1] + WORKSPACE_SIZE_M / 36
    up = np.linspace(TABLE_HEIGHT_M, WORKSPACE_SIZE_M, 16)[:-1] + (WORKSPACE_SIZE_M - TABLE_HEIGHT_M) / 30
    points = np.stack(np.meshgrid(side, side, up, indexing="ij"), axis=-1).reshape(-1, 3)
    T = rendered.view.T_camera_workspace
    x, y, z = T.apply(points).T
    inside = (np.abs(x / z * CAMERA.fx) < CAMERA.width / 2) & (np.abs(y / z * CAMERA.fy) < CAMERA.height / 2)
    eye = [T.inv().translation.tolist()] * len(points)
    hits = stage.world.client.rayTestBatch(eye, points.tolist())
    return float(np.mean(inside & np.array([hit[0] == stage.arm.body for hit in hits])))


def test_the_hidden_share_is_that_of_ray_casting(rendered: RenderedArm, stage: ArmStage) -> None:
    # Boxes hide as well, and would stop the rays.
    client, places = stage.world.client, {}
    for box in stage.boxes:
        places[box] = client.getBasePositionAndOrientation(box)
        client.resetBasePositionAndOrientation(box, [0.0, 0.0, -5.0], [0.0, 0.0, 0.0, 1.0])
    expected = ray_cast_share(stage, rendered)
    for box, place in places.items():
        client.resetBasePositionAndOrientation(box, *place)
    share = hidden_share([find_arm(GEOMETRY, rendered.view, rendered.T_camera_link)])
    assert expected > 0.05
    assert share == pytest.approx(expected, abs=0.03)


def test_hidden_is_what_no_view_sees() -> None:
    """A ball between one camera and the cube."""
    empty = np.zeros((CAMERA.height, CAMERA.width), np.float32)
    away = look_at((0.15, 0.15, 2.0), 0.5, np.pi - 0.1, 0.0)  # from below, upwards
    T_workspace_ball = RigidTransform.from_translation([0.15, -0.15, 0.25])
    one, other, none = (
        find_arm(BALL, DepthView(empty, CAMERA, T), {"b": T * T_workspace_ball}) for T in (SIDE, OPPOSITE, away)
    )
    share = hidden_share([one])
    assert 0.1 < share < 0.9
    assert hidden_share([other]) == 0.0
    assert hidden_share([one, other]) == 0.0
    assert hidden_share([one, one]) == share
    # A view that does not look at the cube neither hides nor shows anything.
    assert hidden_share([one, none]) == share
    assert hidden_share([none]) == 0.0
    assert hidden_share([]) == 0.0
    assert not one.on_arm.any()  # without a reading there is nothing to drop


def test_an_arm_outside_the_view_changes_nothing(stage: ArmStage) -> None:
    stage.reach(HAND_PLACES_M[0])
    rendered = stage.render(SIDE)
    for shift in ([5.0, 0.0, 0.0], [0.0, 0.0, -5.0]):
        moved = {name: RigidTransform.from_translation(shift) * T for name, T in rendered.T_camera_link.items()}
        arm = find_arm(GEOMETRY, rendered.view, moved)
        assert not arm.on_arm.any()
        assert hidden_share([arm]) == 0.0


def test_links_without_a_transform_are_named_and_skipped(stage: ArmStage) -> None:
    stage.reach(HAND_PLACES_M[0])
    rendered = stage.render(SIDE)
    assert missing_links_sentence(GEOMETRY, rendered.T_camera_link) is None
    known = {name: T for name, T in rendered.T_camera_link.items() if "finger" not in name}
    sentence = missing_links_sentence(GEOMETRY, known)
    assert sentence is not None
    assert "panda_leftfinger, panda_rightfinger" in sentence
    whole = find_arm(GEOMETRY, rendered.view, rendered.T_camera_link).on_arm
    assert 0 < find_arm(GEOMETRY, rendered.view, known).on_arm.sum() < whole.sum()
    assert not find_arm(GEOMETRY, rendered.view, {}).on_arm.any()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (161, 90), (1280, 720)])
def test_any_image_size_and_readings_that_are_none(size: tuple[int, int]) -> None:
    """A ball of 5 cm in the middle of the picture, 0.5 m away, before a wall."""
    width, height = size
    camera = PinholeCamera(width, height, fx=0.85 * width, fy=0.85 * width, cx=(width - 1) / 2, cy=(height - 1) / 2)
    depth = np.full((height, width), 1.0, dtype=np.float32)
    links = {"b": RigidTransform.from_translation([0.0, 0.0, 0.5])}
    behind = find_arm(BALL, DepthView(depth, camera, SIDE), links).on_arm
    assert behind[height // 2, width // 2]
    radius_px = 0.85 * width * 0.05 / 0.5
    if width > 100:
        seam_px = 2 * -(-width // 160)
        assert np.pi * radius_px**2 <= behind.sum() <= np.pi * (radius_px + 1.5 * seam_px) ** 2
    for nothing in (0.0, -1.0, np.nan, np.inf, -np.inf, 0.3):
        depth[:] = nothing
        assert not find_arm(BALL, DepthView(depth, camera, SIDE), links).on_arm.any()


def test_a_housing_around_the_camera_hides_nothing() -> None:
    housing = read_robot_geometry(
        '<robot><link name="b"><collision><geometry><box size="0.1 0.03 0.03"/></geometry></collision></link></robot>'
    )
    turned = RigidTransform.from_rotation(Rotation.from_euler("xyz", [0.1, 0.2, 0.3]))
    depth = np.full((48, 64), 0.5, dtype=np.float32)
    view = DepthView(depth, PinholeCamera(64, 48, 54.0, 54.0, 31.5, 23.5), SIDE)
    arm = find_arm(housing, view, {"b": turned})
    assert not arm.on_arm.any()
    assert hidden_share([arm]) == 0.0
    # Just behind the lens, so that the lens lies inside the grown housing only.
    arm = find_arm(housing, view, {"b": RigidTransform.from_translation([0.0, 0.0, -0.025])})
    assert not arm.on_arm.any()
