"""Rotation conversions against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import tf_transformations as tft

A, B = Rotation.random(2, random_state=3)


def same_rotation(xyzw: np.ndarray, rotation: Rotation) -> bool:
    return bool((Rotation.from_quat(xyzw) * rotation.inv()).magnitude() < 1e-9)


def test_quaternions_are_xyzw() -> None:
    np.testing.assert_allclose(tft.quaternion_matrix(A.as_quat())[:3, :3], A.as_matrix(), atol=1e-12)
    assert same_rotation(tft.quaternion_from_matrix(tft.quaternion_matrix(A.as_quat())), A)
    assert same_rotation(tft.quaternion_multiply(A.as_quat(), B.as_quat()), A * B)
    assert same_rotation(tft.quaternion_inverse(A.as_quat()), A.inv())
    assert same_rotation(tft.quaternion_about_axis(0.3, [0, 0, 1]), Rotation.from_euler("z", 0.3))


def test_euler_angles_are_about_fixed_axes() -> None:
    angles = (0.1, -0.2, 0.3)
    assert same_rotation(tft.quaternion_from_euler(*angles), Rotation.from_euler("xyz", angles))
    assert tft.euler_from_quaternion(tft.quaternion_from_euler(*angles)) == pytest.approx(angles)
    assert tft.euler_from_matrix(tft.euler_matrix(*angles)) == pytest.approx(angles)


def test_matrices() -> None:
    moved = tft.concatenate_matrices(tft.translation_matrix([1, 2, 3]), tft.quaternion_matrix(A.as_quat()))
    np.testing.assert_allclose(tft.translation_from_matrix(moved), [1, 2, 3])
    np.testing.assert_allclose(
        tft.concatenate_matrices(moved, tft.inverse_matrix(moved)),
        tft.identity_matrix(),
        atol=1e-12,
    )


def test_is_loud_about_what_it_lacks() -> None:
    with pytest.raises(ImportError, match="stand-in"):
        tft.random_quaternion  # noqa: B018
