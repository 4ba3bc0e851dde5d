"""All configurations of a Panda-like arm that bring the TCP to a pose.

The arm has one joint more than a pose needs. With the last joint given, the rest follows in closed form: joint 6's
axis and the wrist's centre are then fixed, shoulder, elbow and wrist form a triangle whose sides are known, and what
remains are two choices each of the elbow, the wrist and the shoulder. Sweeping the last joint thus enumerates every
branch. The frames are those of the URDF: T_3_4 is T_3_4(x = a, Rx(90 deg)) Rz(q4), and so on, as in the manufacturer's
table of (modified) Denavit-Hartenberg values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import RigidTransform

from giga_grasping.arm_model import ArmModel, RobotDescriptionError, se3

FloatArray = NDArray[np.float64]

SWEEP_STEPS = 48
"""Values of the last joint tried over its range."""


@dataclass(frozen=True)
class _Lengths:
    """Lengths of the arm in metres: base to shoulder, upper arm, elbow's offset, forearm, wrist's offset."""

    shoulder_height: float
    upper_arm: float
    elbow: float
    forearm: float
    wrist: float


class InverseKinematics:
    """Closed-form inverse kinematics of one arm, all branches."""

    def __init__(self, arm: ArmModel) -> None:
        """Read the lengths off the model.

        Raises:
            RobotDescriptionError: the arm is not built like a Panda (or FR3), so the closed form does not hold for it.
        """
        self._arm = arm
        self._limits = arm.profile.limits
        if arm.model.nq != 7:
            raise RobotDescriptionError(f"Inverse kinematics is for 7 joints; this arm has {arm.model.nq}.")
        offsets = [np.asarray(placement.translation) for placement in arm.model.jointPlacements]
        self._lengths = _Lengths(offsets[1][2], -offsets[3][1], offsets[4][0], offsets[5][1], offsets[7][0])
        self._tcp_to_last_joint = arm.T_joint_tcp.inv()
        if arm.tcp_joint != 7:
            raise RobotDescriptionError("The tool centre point does not hang on the last joint of the arm.")
        self._verify()

    def solve(self, T_base_tcp: RigidTransform, last_joint_rad: FloatArray | None = None) -> FloatArray:
        """Every configuration [N, 7] within the joint limits that reaches the pose, for the swept last joint.

        Args:
            T_base_tcp: the pose to reach.
            last_joint_rad: values [K] of the last joint to try; None = an even sweep of its range.

        Returns:
            Configurations in the order of the sweep; none (0 rows) when the pose is out of reach.
        """
        if last_joint_rad is None:
            last_joint_rad = np.linspace(self._limits.lower_rad[6], self._limits.upper_rad[6], SWEEP_STEPS)
        candidates = _closed_form(self._lengths, T_base_tcp * self._tcp_to_last_joint, last_joint_rad)
        within = self._limits.margin_rad(candidates) >= 0.0
        return np.asarray(candidates[within])

    def refine(self, start_rad: FloatArray, T_base_tcp: RigidTransform, iterations: int = 20) -> FloatArray | None:
        """The configuration [7] near `start_rad` that reaches the pose to 1e-7 m and rad, or None.

        Damped least squares; the damping fades with the error (Levenberg-Marquardt), so it neither jumps near a
        singular configuration nor stops short away from one. Limits are not enforced, only checked at the end.
        """
        goal = se3(T_base_tcp)
        joints = np.array(start_rad, dtype=np.float64)
        for _ in range(iterations):
            error = self._arm.tcp_error(joints, goal)
            size = float(np.linalg.norm(error))
            if size < 1e-7:
                return joints if self._limits.margin_rad(joints) >= 0.0 else None
            jacobian = self._arm.tcp_jacobian(joints)
            damped = jacobian @ jacobian.T + (1e-2 * size**2 + 1e-12) * np.eye(6)
            joints = joints + jacobian.T @ np.linalg.solve(damped, error)
        return None

    def _verify(self) -> None:
        """Compare with the forward kinematics of some configurations: another arm's URDF is refused at the start."""
        rng = np.random.default_rng(0)
        lower, upper = self._limits.lower_rad, self._limits.upper_rad
        for _ in range(5):
            joints = lower + rng.uniform(0.2, 0.8, 7) * (upper - lower)
            found = self.solve(self._arm.T_base_tcp(joints), joints[6:7])
            if not len(found) or np.abs(found - joints).max(axis=1).min() > 1e-5:
                raise RobotDescriptionError(
                    "The arm in the robot description is not built like a Panda: no closed-form kinematics."
                )


def _closed_form(lengths: _Lengths, T_base_7: RigidTransform, last_joint_rad: FloatArray) -> FloatArray:
    """Solve for the pose of the last joint's frame: configurations [N, 7], limits not checked."""
    signs = np.array([[e, w, s] for e in (1.0, -1.0) for w in (1.0, -1.0) for s in (1.0, -1.0)])
    q7 = np.repeat(np.asarray(last_joint_rad, dtype=np.float64), len(signs))
    elbow_sign, wrist_sign, shoulder_sign = np.tile(signs, (len(last_joint_rad), 1)).T
    rotation_7 = T_base_7.rotation.as_matrix()

    # Frame 6, and the wrist's centre, which is the origin of frames 5 and 6.
    rotation_6 = rotation_7 @ _rz(-q7) @ _RX_MINUS
    wrist = np.asarray(T_base_7.translation) - lengths.wrist * rotation_6[:, :, 0]
    shoulder = np.array([0.0, 0.0, lengths.shoulder_height])
    to_shoulder = shoulder - wrist
    distance = np.linalg.norm(to_shoulder, axis=1)

    # The triangle shoulder - elbow - wrist gives joint 4. Because the elbow is offset the arm is straight at q4 =
    # -0.47 rad, so the almost stretched arm has a second solution nearer to zero.
    upper, fore = np.hypot(lengths.upper_arm, lengths.elbow), np.hypot(lengths.forearm, lengths.elbow)
    cosine = (upper**2 + fore**2 - distance**2) / (2.0 * upper * fore)
    valid = np.abs(cosine) <= 1.0
    at_zero = np.arctan2(lengths.upper_arm, lengths.elbow) + np.arctan2(lengths.forearm, lengths.elbow)
    q4 = at_zero - np.pi + elbow_sign * (np.arccos(np.clip(cosine, -1.0, 1.0)) - np.pi)

    # The shoulder seen from the wrist's centre, in frame 4.
    shoulder_x = -lengths.elbow * np.cos(q4) - lengths.upper_arm * np.sin(q4) + lengths.elbow
    shoulder_y = lengths.elbow * np.sin(q4) - lengths.upper_arm * np.cos(q4) - lengths.forearm

    # Joint 5's axis is y of frame 4, stands across joint 6's axis and has a known share of the way to the shoulder:
    # sin(q6) a + cos(q6) b = shoulder_y, with (a, b) that way in frame 6.
    in_frame_6 = np.einsum("nji,nj->ni", rotation_6, to_shoulder)
    amplitude = np.hypot(in_frame_6[:, 0], in_frame_6[:, 1])
    ratio = np.divide(shoulder_y, amplitude, out=np.full_like(amplitude, 2.0), where=amplitude > 1e-9)
    valid &= (np.abs(ratio) <= 1.0) & (np.abs(shoulder_x) > 1e-6)
    phase = np.arctan2(in_frame_6[:, 0], in_frame_6[:, 1])
    q6 = phase + wrist_sign * np.arccos(np.clip(ratio, -1.0, 1.0))
    # Joint 6 reaches beyond pi: bring it into (-pi / 2, 3 pi / 2].
    q6 = np.mod(q6 + 0.5 * np.pi, 2.0 * np.pi) - 0.5 * np.pi

    rotation_5 = rotation_6 @ _rz(-q6) @ _RX_MINUS
    y4 = rotation_5[:, :, 2]
    safe_x = np.where(np.abs(shoulder_x) > 1e-6, shoulder_x, 1.0)
    x4 = (to_shoulder - shoulder_y[:, None] * y4) / safe_x[:, None]
    rotation_4 = np.stack([x4, y4, np.cross(x4, y4)], axis=2)

    relative_5 = _RX_PLUS @ np.swapaxes(rotation_4, 1, 2) @ rotation_5
    q5 = np.arctan2(relative_5[:, 1, 0], relative_5[:, 0, 0])
    rotation_3 = rotation_4 @ np.swapaxes(_RX_PLUS @ _rz(q4), 1, 2)
    q2 = shoulder_sign * np.arccos(np.clip(rotation_3[:, 2, 2], -1.0, 1.0))
    sine_2 = np.sin(q2)
    valid &= np.abs(sine_2) > 1e-9
    q1 = np.arctan2(rotation_3[:, 1, 2] * np.sign(sine_2), rotation_3[:, 0, 2] * np.sign(sine_2))
    relative_3 = np.swapaxes(_rz(q1) @ _RX_MINUS @ _rz(q2) @ _RX_PLUS, 1, 2) @ rotation_3
    q3 = np.arctan2(relative_3[:, 1, 0], relative_3[:, 0, 0])
    return np.stack([q1, q2, q3, q4, q5, q6, q7], axis=1)[valid]


_RX_PLUS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_RX_MINUS = _RX_PLUS.T


def _rz(angle_rad: FloatArray) -> FloatArray:
    """Turns about z, [N, 3, 3]."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    matrices = np.zeros((len(angle_rad), 3, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = cosine
    matrices[:, 0, 1], matrices[:, 1, 0] = -sine, sine
    matrices[:, 2, 2] = 1.0
    return matrices
