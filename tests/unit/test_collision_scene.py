"""Collision rules: what they forbid, what they tolerate, and that another engine sees the same."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from planning_cell import BulletJudge, arm, cell, home, kinematics, profile, scene_of, standing_box, tcp_pose
from scipy.spatial.transform import RigidTransform

from giga_grasping.cell import BoxObstacle
from giga_grasping.collision_scene import Clearances, CollisionScene, self_collision_pairs
from giga_grasping.convex_hull import shrunken_hull
from giga_grasping.grasp_target import target_triangles
from giga_grasping.scene_store import PerceivedScene

EXACT = Clearances(
    links_fixed_m=0.0, fingers_fixed_m=0.0, links_scene_m=0.0, fingers_scene_m=0.0, hand_grasp_m=0.0, fingers_rest_m=0.0
)


@cache
def self_pairs() -> tuple[tuple[int, int], ...]:
    return self_collision_pairs(arm())


def collision_scene(scene: PerceivedScene, clearances: Clearances | None = None) -> CollisionScene:
    return CollisionScene(arm(), cell().obstacles, scene, clearances, self_pairs())


def configuration_at(position_m: list[float]) -> np.ndarray:
    """The branch nearest to home."""
    found = kinematics().solve(tcp_pose(position_m))
    return found[np.abs(found - home()).max(axis=1).argmin()]


def test_home_is_free_and_the_table_is_not() -> None:
    rule = collision_scene(scene_of()).in_the_open
    assert rule.is_free(home())
    assert rule.contacts(home()) == ()
    into_table = configuration_at([0.15, 0.15, 0.05])
    assert not rule.is_free(into_table)
    assert {contact.second for contact in rule.contacts(into_table)} == {"table"}
    assert not any(contact.is_perceived for contact in rule.contacts(into_table))


def test_fingers_keep_their_clearance_from_the_table() -> None:
    rule = collision_scene(scene_of()).in_the_open
    overhang = profile().tcp.finger_overhang_m
    assert rule.is_free(configuration_at([0.15, 0.15, 0.05 + overhang + 0.003]))
    assert not rule.is_free(configuration_at([0.15, 0.15, 0.05 + overhang + 0.001]))


def test_perceived_matter_and_unseen_boxes_are_obstacles() -> None:
    above = configuration_at([0.15, 0.15, 0.12])
    box = standing_box(0.15, 0.15, [0.04, 0.09, 0.10])
    assert collision_scene(scene_of()).in_the_open.is_free(above)
    rule = collision_scene(scene_of(box)).in_the_open
    assert not rule.is_free(above)
    assert all(contact.is_perceived for contact in rule.contacts(above))
    place = cell().T_base_workspace * RigidTransform.from_translation([0.15, 0.15, 0.10])
    unseen = PerceivedScene(unseen=(BoxObstacle("unseen_0", place, np.array([0.1, 0.1, 0.1])),))
    assert not collision_scene(unseen).in_the_open.is_free(above)


def test_at_the_grasp_fingers_may_touch_the_target_only() -> None:
    # As wide as the opening, so that the open fingers cut into it by 3 mm on either side.
    position = [0.15, 0.15, 0.13]
    scene = scene_of(standing_box(0.15, 0.15, [0.02, 0.086, 0.10]))
    joints = configuration_at(position)
    collisions = collision_scene(scene, EXACT)
    target = target_triangles(scene.corners_m, tcp_pose(position), arm().closing_volume)
    everything = np.ones(len(target), dtype=bool)
    assert not collisions.in_the_open.is_free(joints)
    assert collisions.at_grasp(target, everything).is_free(joints)
    assert not collisions.at_grasp(~everything, everything).is_free(joints)


def test_only_fingers_may_touch_the_target() -> None:
    # So high that the palm would be 2 cm inside it.
    scene = scene_of(standing_box(0.15, 0.15, [0.02, 0.02, 0.10]))
    position = [0.15, 0.15, 0.15 - 0.0374 - 0.02]
    target = np.ones(len(scene.triangles), dtype=bool)
    rule = collision_scene(scene).at_grasp(target, target)
    contacts = rule.contacts(configuration_at(position))
    assert {contact.first for contact in contacts} == {"panda_hand_0"}


def test_fingers_may_come_as_deep_into_the_rest_as_the_mesh_is_doubtful() -> None:
    joints = configuration_at([0.15, 0.15, 0.10])

    def nearest_free_y(clearances: Clearances) -> float:
        """How near to the middle a neighbour beside one finger may stand, to half a millimetre."""
        for y_m in np.arange(0.15 + 0.04, 0.15 + 0.08, 0.0005):
            scene = scene_of(standing_box(0.15, y_m + 0.02, [0.04, 0.04, 0.07]))
            none = np.zeros(len(scene.triangles), dtype=bool)
            if collision_scene(scene, clearances).at_grasp(none, ~none).is_free(joints):
                return float(y_m)
        raise AssertionError("not free anywhere")

    tolerated_m = nearest_free_y(EXACT) - nearest_free_y(replace(EXACT, fingers_rest_m=-0.004))
    assert tolerated_m == pytest.approx(0.004, abs=0.0006)


def test_a_held_object_collides_in_the_hands_stead() -> None:
    rule = collision_scene(scene_of())
    joints = configuration_at([0.15, 0.15, 0.12])
    short = np.array([[x, y, z] for x in (-0.02, 0.02) for y in (-0.02, 0.02) for z in (0.0, 0.03)])
    assert rule.with_held_object(short).is_free(joints)
    contacts = rule.with_held_object(short + np.array([0.0, 0.0, 0.05])).contacts(joints)
    assert {(contact.first, contact.second) for contact in contacts} == {("held_object", "table")}
    # A flat patch of surface is an object too.
    assert rule.with_held_object(short[short[:, 0] > 0.0]).is_free(joints)


def test_neighbouring_links_are_not_compared_and_the_folded_arm_is_seen() -> None:
    pairs = {(arm().bodies[i].link, arm().bodies[j].link) for i, j in self_collision_pairs(arm())}
    assert ("panda_link4", "panda_link5") not in pairs
    assert ("panda_link7", "panda_hand") not in pairs
    assert ("panda_link1", "panda_hand") in pairs
    folded = np.array([0.0, -1.7, 0.0, -3.05, 0.0, 0.2, 0.0])
    assert not collision_scene(scene_of()).in_the_open.is_free(folded)


def test_agrees_with_bullet_about_fixed_obstacles() -> None:
    rule = CollisionScene(arm(), cell().obstacles, scene_of(), EXACT, ()).in_the_open
    judge = BulletJudge()
    rng = np.random.default_rng(5)
    compared = 0
    try:
        for _ in range(300):
            joints = rng.uniform(profile().limits.lower_rad, profile().limits.upper_rad)
            distance_m, _ = judge.deepest(joints)
            if abs(distance_m) < 0.003:
                continue  # so near that the engines' margins decide
            assert rule.is_free(joints) is (distance_m > 0.0)
            compared += 1
    finally:
        judge.close()
    assert compared > 250


def test_a_shrunken_box_is_smaller_by_the_depth_on_every_side() -> None:
    corners = np.array([[x, y, z] for x in (-0.02, 0.02) for y in (-0.01, 0.01) for z in (0.0, 0.05)])
    np.testing.assert_allclose(np.ptp(shrunken_hull(corners, 0.004), axis=0), [0.032, 0.012, 0.042], atol=1e-6)
    with pytest.raises(ValueError, match="thinner"):
        shrunken_hull(corners, 0.011)
