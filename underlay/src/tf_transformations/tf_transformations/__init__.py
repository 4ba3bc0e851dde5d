"""Stand-in for `tf_transformations`: conversions between quaternions (x, y, z, w), Euler angles and 4 x 4 matrices.

The names, signatures and behaviour of the real module for the calls that this stack makes, over transforms3d (whose
quaternions are w, x, y, z); anything else raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import transforms3d
from numpy.typing import ArrayLike

__all__ = [
    "concatenate_matrices",
    "euler_from_matrix",
    "euler_from_quaternion",
    "euler_matrix",
    "identity_matrix",
    "inverse_matrix",
    "quaternion_about_axis",
    "quaternion_conjugate",
    "quaternion_from_euler",
    "quaternion_from_matrix",
    "quaternion_inverse",
    "quaternion_matrix",
    "quaternion_multiply",
    "translation_from_matrix",
    "translation_matrix",
]

Array = np.ndarray[Any, np.dtype[np.float64]]


def identity_matrix() -> Array:
    """The 4 x 4 identity."""
    return np.eye(4)


def translation_matrix(direction: ArrayLike) -> Array:
    """4 x 4 matrix that translates by a vector of three."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.asarray(direction, dtype=np.float64)[:3]
    return matrix


def translation_from_matrix(matrix: ArrayLike) -> Array:
    """The vector by which a 4 x 4 matrix translates."""
    return np.array(matrix, dtype=np.float64)[:3, 3]


def inverse_matrix(matrix: ArrayLike) -> Array:
    """The inverse of a square matrix."""
    return np.linalg.inv(np.asarray(matrix, dtype=np.float64))


def concatenate_matrices(*matrices: ArrayLike) -> Array:
    """Product of 4 x 4 matrices, leftmost applied last."""
    product = np.eye(4)
    for matrix in matrices:
        product = product @ np.asarray(matrix, dtype=np.float64)
    return product


def quaternion_about_axis(angle: float, axis: ArrayLike) -> Array:
    """Rotation by `angle` (rad) about `axis`."""
    return _xyzw(transforms3d.quaternions.axangle2quat(axis, angle))


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Array:
    """Rotation by three Euler angles (rad)."""
    return _xyzw(transforms3d.euler.euler2quat(ai, aj, ak, axes))


def euler_from_quaternion(quaternion: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """The three Euler angles (rad) of a rotation."""
    return transforms3d.euler.quat2euler(_wxyz(quaternion), axes)


def euler_matrix(ai: float, aj: float, ak: float, axes: str = "sxyz") -> Array:
    """4 x 4 matrix of three Euler angles (rad)."""
    matrix = np.eye(4)
    matrix[:3, :3] = transforms3d.euler.euler2mat(ai, aj, ak, axes)
    return matrix


def euler_from_matrix(matrix: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """The three Euler angles (rad) of a matrix's rotation."""
    return transforms3d.euler.mat2euler(np.asarray(matrix, dtype=np.float64), axes)


def quaternion_matrix(quaternion: ArrayLike) -> Array:
    """4 x 4 matrix of a rotation."""
    matrix = np.eye(4)
    matrix[:3, :3] = transforms3d.quaternions.quat2mat(_wxyz(quaternion))
    return matrix


def quaternion_from_matrix(matrix: ArrayLike) -> Array:
    """The rotation of a 4 x 4 matrix."""
    return _xyzw(transforms3d.quaternions.mat2quat(np.asarray(matrix, dtype=np.float64)[:3, :3]))


def quaternion_multiply(quaternion1: ArrayLike, quaternion0: ArrayLike) -> Array:
    """`quaternion1` after `quaternion0`."""
    return _xyzw(transforms3d.quaternions.qmult(_wxyz(quaternion1), _wxyz(quaternion0)))


def quaternion_conjugate(quaternion: ArrayLike) -> Array:
    """The conjugate."""
    return _xyzw(transforms3d.quaternions.qconjugate(_wxyz(quaternion)))


def quaternion_inverse(quaternion: ArrayLike) -> Array:
    """The inverse rotation."""
    return _xyzw(transforms3d.quaternions.qinverse(_wxyz(quaternion)))


def _xyzw(wxyz: ArrayLike) -> Array:
    return np.roll(np.asarray(wxyz, dtype=np.float64), -1)


def _wxyz(xyzw: ArrayLike) -> Array:
    return np.roll(np.asarray(xyzw, dtype=np.float64), 1)


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"tf_transformations here is a stand-in and has no `{name}`; it offers {', '.join(__all__)}")
