"""perception_node fed with what a camera, tf, a disk or a client can get wrong: a sentence each, and it lives.

What is tested where (here: this file; node, cameras, lifecycle: test_perception_node.py, ..._cameras.py,
..._lifecycle.py beside it; unit: tests/unit):

* depth: NaN, +Inf and negative among good readings, nothing but zeros: node. Nothing but NaN, +Inf, -Inf, negative or
  far depths, another unit: here. Every value in both encodings: unit/test_depth_messages.py
* image: encoding: node. Length, step, byte order, size of nothing: here. All of it: unit/test_depth_messages.py.
  compressedDepth, cut or of another transport: here and unit/test_compressed_depth.py
* camera_info: none at all, of another size, of zero focal length: node. Gone after a good start, NaN, roi, distortion
  that can and cannot be removed: here. All of it: unit/test_depth_messages.py, unit/test_rectification.py
* transform: none: node. Late, too late, in the future, not a rotation, images without a frame: here
* images out of order: cameras. Out of order, twice, in a burst, stamped far off or not at all: here
* a workspace nobody looks at: here; of several cameras, one: cameras; unit/test_workspace_visibility.py
* model files: missing and truncated at the start, without grasp or geometry heads: lifecycle. Truncated, of another
  kind or format version, with NaN weights, at a reload: here. All of it: unit/test_weights.py, unit/test_bad_models.py
* calls: before the first image, impossible, twenty at once: node. During a reload, of poses that are none: here
"""

from __future__ import annotations

import array
import json
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from faulty_cell import (
    AWAY_FRAME,
    BEHIND_FRAME,
    CAMERA_INFO_TOPIC,
    COMPRESSED_TOPIC,
    IMAGE_TOPIC,
    SECOND_NS,
    FaultyCell,
    image_message,
    info_message,
)
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, Vector3
from lifecycle_msgs.msg import Transition
from perception_bench import OPTICAL_FRAME, TIMEOUT_S, assert_ended_well, start_node
from rclpy.time import Time
from safetensors.torch import load_file, save_file
from sensor_msgs.msg import CompressedImage, RegionOfInterest
from table_scene import BOXES, made_model, table_view

from giga_perception.weights import FORMAT_VERSION, save_model

pytestmark = pytest.mark.ros

TRANSFORM_TIMEOUT_S = 1.0
DEPTH_M = table_view().depth_m
DISTORTION = {"distortion_model": "plumb_bob", "d": [-0.05, 0.01, 0.0, 0.0, 0.0]}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(path, made_model(), {"name": "made"})
    return path


@pytest.fixture(scope="module")
def process(ros_domain, start_process, model_file):
    process = start_node(start_process, model_file, transform_timeout_s=TRANSFORM_TIMEOUT_S)
    yield process
    assert_ended_well(process)


@pytest.fixture(scope="module")
def cell(process, wait_for) -> Iterator[FaultyCell]:
    """The one node of this file, and all around it; a detection has succeeded."""
    cell = FaultyCell()
    wait_for(lambda: cell.answer_to(image_message(DEPTH_M)).success, TIMEOUT_S, "a first detection")
    yield cell
    cell.close()


@pytest.fixture(autouse=True)
def the_node_stays_up(process, cell) -> Iterator[None]:
    yield
    assert process.process.poll() is None, process.output()
    assert "Traceback" not in process.output(), process.output()
    answer = cell.answer_to(image_message(DEPTH_M))
    assert answer.success, answer.message
    assert answer.grasps.grasps


@pytest.fixture
def unconfigured(cell, model_file) -> Iterator[FaultyCell]:
    """The cell with the node cleaned up, so that what is read at configuring can be set; afterwards as it was."""
    cell.clean_up()
    yield cell
    cell.clean_up()
    cell.bring_up(model=str(model_file), transport="raw", rectified="auto")


# Depth.


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.7, 5.0], ids=str)
def test_an_image_of_nothing_but_this_has_no_reading_and_no_grasps(cell, value):
    answer = cell.answer_to(image_message(np.full_like(DEPTH_M, value)))
    assert answer.success, answer.message
    assert answer.grasps.grasps == []
    assert "no depth reading" in answer.grasps.report.message
    assert answer.grasps.report.voxels_observed == 0


def test_far_readings_behind_the_scene_change_nothing(cell):
    near = cell.answer_to(image_message(DEPTH_M))
    beyond = DEPTH_M.copy()
    beyond[beyond == 0.0] = 8.0
    answer = cell.answer_to(image_message(beyond))
    assert [grasp.pose for grasp in answer.grasps.grasps] == [grasp.pose for grasp in near.grasps.grasps]


@pytest.mark.parametrize(
    ("message", "unit"),
    [(image_message(DEPTH_M * 1000.0), "metres"), (image_message(DEPTH_M * 0.001, "16UC1"), "millimetres")],
    ids=["millimetres as floats", "metres as counts"],
)
def test_another_unit_is_suspected(cell, message, unit):
    sentence = cell.refusal(message)
    assert "most of the image's readings" in sentence
    assert unit in sentence
    assert IMAGE_TOPIC in sentence


# The image.


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_the_other_byte_order_gives_the_same_grasps(cell, encoding):
    answers = [cell.answer_to(image_message(DEPTH_M, encoding, order)) for order in "<>"]
    assert answers[0].success, answers[0].message
    assert answers[1].grasps.grasps == answers[0].grasps.grasps


def test_padded_rows_give_the_same_grasps(cell):
    plain = image_message(DEPTH_M)
    rows = np.frombuffer(plain.data, np.uint8).reshape(plain.height, plain.step)
    padded = np.pad(rows, ((0, 0), (0, 48)), constant_values=255)
    message = image_message(DEPTH_M)
    message.step, message.data = padded.shape[1], array.array("B", padded.tobytes())
    assert cell.answer_to(message).grasps.grasps == cell.answer_to(plain).grasps.grasps


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"data": array.array("B", bytes(100))}, "100 bytes"),
        ({"data": array.array("B")}, "0 bytes"),
        ({"height": 200}, "too many"),
        ({"step": 7}, "step"),
        ({"step": 0}, "step"),
        ({"width": 2**31, "step": 2**32 - 1}, "too few"),
        ({"height": 0}, "empty"),
        ({"encoding": ""}, "encoding ''"),
        ({"encoding": "16UC1"}, "far more"),
        ({"is_bigendian": 1}, "most of the image's readings"),
    ],
    ids=str,
)
def test_an_image_that_contradicts_itself(cell, fields, part):
    message = image_message(DEPTH_M)
    for name, value in fields.items():
        setattr(message, name, value)
    answer = cell.answer_to(message)
    sentence = answer.grasps.report.message if answer.success else answer.message
    assert any(words in sentence for words in part.split("|")), sentence
    assert answer.grasps.grasps == []
    assert answer.success or IMAGE_TOPIC in sentence


def test_an_image_of_another_size_than_the_camera_info(cell):
    sentence = cell.refusal(image_message(DEPTH_M[::2, ::2]))
    assert "320 x 240" in sentence
    assert "160 x 120" in sentence
    assert CAMERA_INFO_TOPIC in sentence


# The camera info.


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"k": [float("nan")] * 9, "p": [0.0] * 12}, "fx=nan"),
        ({"p": [float("nan")] * 12}, "fx=nan"),
        ({"k": [-1.0] * 9, "p": [0.0] * 12}, "focal"),
        ({"k": [0.0] * 9, "p": [0.0] * 12}, "uncalibrated"),
        ({"binning_x": 2, "binning_y": 2}, "160 x 120"),
        ({"roi": RegionOfInterest(width=100, height=50)}, "100 x 50"),
        ({"roi": RegionOfInterest(x_offset=300, width=100, height=50)}, "roi"),
        ({**DISTORTION, "p": [0.0] * 12}, "projection matrix P"),
    ],
    ids=str,
)
def test_a_camera_info_that_cannot_be_used(cell, fields, part):
    sentence = cell.refusal(image_message(DEPTH_M), info_message(**fields))
    assert part in sentence
    assert CAMERA_INFO_TOPIC in sentence


def test_a_rectified_image_has_lost_the_distortion_that_its_camera_info_tells_of(cell):
    plain = cell.answer_to(image_message(DEPTH_M))
    answer = cell.answer_to(image_message(DEPTH_M), info_message(**DISTORTION))
    assert answer.success, answer.message
    assert answer.grasps.grasps == plain.grasps.grasps


def test_distortion_is_removed_or_refused_when_the_image_is_raw(unconfigured):
    cell = unconfigured
    cell.bring_up(rectified="no")
    removed = cell.answer_to(image_message(DEPTH_M), info_message(**DISTORTION))
    assert removed.success, removed.message
    plain = cell.answer_to(image_message(DEPTH_M))
    assert removed.grasps.report.voxels_observed != plain.grasps.report.voxels_observed
    sentence = cell.refusal(image_message(DEPTH_M), info_message(distortion_model="thin_prism", d=[0.1] * 12))
    assert "thin_prism" in sentence
    assert "image_rect" in sentence
    assert CAMERA_INFO_TOPIC in sentence


def test_a_camera_info_that_stops_coming_is_named(cell):
    future = cell.start(cell.detect, fresh_image=True)
    answer = cell.send_until_answered(future, image_message(DEPTH_M), None)
    assert not answer.success
    assert CAMERA_INFO_TOPIC in answer.message


def test_a_camera_info_of_other_stamps_is_named(cell):
    future = cell.start(cell.detect, fresh_image=True)

    def info_of_an_old_stamp() -> None:
        cell.send_info(info_message(), cell.now_ns() - SECOND_NS)

    answer = cell.send_until_answered(future, image_message(DEPTH_M), None, before=info_of_an_old_stamp)
    assert not answer.success
    assert CAMERA_INFO_TOPIC in answer.message


# compressedDepth.


def test_compressed_depth_that_is_damaged_or_of_another_transport(unconfigured):
    cell = unconfigured
    cell.bring_up(transport="compressedDepth")
    png = (
        struct.pack("<iff", 0, 0.0, 0.0) + cv2.imencode(".png", np.round(DEPTH_M * 1000).astype(np.uint16))[1].tobytes()
    )

    def compressed(stream: bytes, image_format: str = "16UC1; compressedDepth png") -> CompressedImage:
        message = CompressedImage(format=image_format, data=array.array("B", stream))
        message.header.frame_id = OPTICAL_FRAME
        return message

    whole = cell.answer_to(compressed(png))
    assert whole.success, whole.message
    assert whole.grasps.grasps
    for message, part in (
        (compressed(png[:-300]), "cut short"),
        (compressed(b""), "0 bytes"),
        (compressed(png[12:]), "12-byte header"),
        (compressed(png, "rgb8; jpeg compressed bgr8"), "jpeg"),
        (compressed(png, "32FC1; compressedDepth png"), "quantisation"),
    ):
        sentence = cell.refusal(message)
        assert part in sentence
        assert COMPRESSED_TOPIC in sentence
    # The camera sends the raw image only.
    answer = cell.answer_to(image_message(DEPTH_M))
    assert not answer.success
    assert COMPRESSED_TOPIC in answer.message


# Transforms.


def test_a_transform_that_comes_late_is_waited_for(cell):
    frame = "late_camera"
    cell.put(frame, cell.now_ns())
    future = cell.start(cell.detect, fresh_image=True)

    def place_late(stamp_ns: int) -> None:
        time.sleep(0.2 * TRANSFORM_TIMEOUT_S)
        cell.put(frame, stamp_ns)

    answer = cell.send_until_answered(future, image_message(DEPTH_M, frame_id=frame), info_message(), after=place_late)
    assert answer.success, answer.message
    assert answer.grasps.grasps


@pytest.mark.parametrize(("frame", "offset_s"), [("camera_of_the_past", -5), ("camera_of_the_future", 60)])
def test_transforms_of_another_time_are_refused(cell, frame, offset_s):
    def place() -> None:
        cell.put(frame, cell.now_ns() + offset_s * SECOND_NS)

    future = cell.start(cell.detect, fresh_image=True)
    answer = cell.send_until_answered(future, image_message(DEPTH_M, frame_id=frame), info_message(), before=place)
    assert not answer.success
    assert "at the image's stamp" in answer.message
    assert "extrapolation" in answer.message.lower()
    assert f"'{frame}'" in answer.message


@pytest.mark.parametrize(
    ("frame", "transform"),
    [
        ("no_rotation", Transform(rotation=Quaternion(x=0.0, y=0.0, z=0.0, w=0.0))),
        ("long_rotation", Transform(rotation=Quaternion(x=0.0, y=0.0, z=0.0, w=2.0))),
        ("nan_rotation", Transform(rotation=Quaternion(x=float("nan"), y=0.0, z=0.0, w=1.0))),
        ("nan_place", Transform(translation=Vector3(x=float("nan"), y=0.0, z=0.0))),
        ("endless_place", Transform(translation=Vector3(x=float("inf"), y=0.0, z=0.0))),
    ],
)
def test_a_transform_that_is_none_is_refused(cell, frame, transform):
    def place() -> None:
        cell.put(frame, cell.now_ns(), transform)

    future = cell.start(cell.detect, fresh_image=True)
    answer = cell.send_until_answered(future, image_message(DEPTH_M, frame_id=frame), info_message(), before=place)
    assert not answer.success
    assert f"'{frame}'" in answer.message
    assert "'workspace'" in answer.message


@pytest.mark.parametrize(("frame", "where"), [(AWAY_FRAME, "outside the image"), (BEHIND_FRAME, "behind the camera")])
def test_a_workspace_that_nobody_looks_at(cell, frame, where):
    sentence = cell.refusal(image_message(DEPTH_M, frame_id=frame))
    assert f"the whole workspace lies {where}" in sentence
    assert f"'{frame}'" in sentence
    assert IMAGE_TOPIC in sentence


@pytest.mark.parametrize("frame", ["", "/leading_slash", "no such frame", "\N{CAMERA}"])
def test_an_image_of_no_known_frame(cell, frame):
    sentence = cell.refusal(image_message(DEPTH_M, frame_id=frame))
    assert "empty frame_id" in sentence if not frame else frame in sentence


# Stamps and order.


def wait_for_stamp(cell: FaultyCell, stamp_ns: int, wait_for) -> None:
    """Until the image of this stamp is the newest at hand."""

    def at_hand() -> bool:
        answer = cell.call(cell.detect)
        return answer.success and Time.from_msg(answer.grasps.header.stamp).nanoseconds == stamp_ns

    wait_for(at_hand, TIMEOUT_S, "the image of that stamp")


def test_a_stamp_far_in_the_future_does_not_shut_out_later_images(cell, wait_for):
    future_ns = cell.now_ns() + 3600 * SECOND_NS
    cell.send(image_message(DEPTH_M), info_message(), future_ns)
    wait_for_stamp(cell, future_ns, wait_for)
    now_ns = cell.send(image_message(DEPTH_M), info_message())
    wait_for_stamp(cell, now_ns, wait_for)


@pytest.mark.parametrize("stamp_ns", [0, 1])
def test_a_camera_that_does_not_stamp_its_images_is_told_of(cell, stamp_ns):
    future = cell.start(cell.detect, fresh_image=True)
    answer = cell.send_until_answered(future, image_message(DEPTH_M), info_message(), stamp_ns)
    assert not answer.success
    assert IMAGE_TOPIC in answer.message
    assert "before the request" in answer.message


def test_images_out_of_order_and_in_a_burst_never_turn_back_the_answers(cell, wait_for):
    assert cell.set(detect_continuously=True) == []
    try:
        start_ns = cell.send(image_message(DEPTH_M), info_message())
        wait_for(lambda: start_ns in cell.grasp_stamps_ns, TIMEOUT_S, "grasps of the first image")
        cell.grasp_stamps_ns.clear()
        period_ns = 3_000_000
        scenes = [image_message(table_view(BOXES[:count]).depth_m) for count in (1, 2, 3)]
        # Every third image is overtaken by the one after it, every fifth comes twice; nothing waits for anything.
        order = [index + 1 if index % 3 == 0 else index - 1 if index % 3 == 1 else index for index in range(90)]
        for place, index in enumerate(order):
            for _ in range(2 if place % 5 == 0 else 1):
                cell.send(scenes[index % 3], info_message(), start_ns + (index + 1) * period_ns)
        last_ns = start_ns + 100 * period_ns

        def last_is_seen() -> bool:
            cell.send(scenes[2], info_message(), last_ns)
            return last_ns in cell.grasp_stamps_ns

        wait_for(last_is_seen, TIMEOUT_S, "grasps of the last image")
    finally:
        assert cell.set(detect_continuously=False) == []
    stamps_ns = list(cell.grasp_stamps_ns)
    assert stamps_ns == sorted(stamps_ns)
    assert stamps_ns[-1] == last_ns


# Model files.


def spoiled_model(folder: Path, good: Path, fault: str) -> Path:
    path = folder / f"{fault.replace(' ', '_')}.safetensors"
    if fault == "truncated":
        path.write_bytes(good.read_bytes()[:-100])
        return path
    tensors, header = load_file(good), {"kind": "giga", "format_version": FORMAT_VERSION, "card": json.dumps({})}
    if fault == "another kind":
        header["kind"] = "vgn"
    elif fault == "unknown kind":
        header["kind"] = "pointnet"
    elif fault == "another format version":
        header["format_version"] = "99"
    elif fault == "NaN weights":
        tensors["decoder_qual.fc_out.weight"][0, 0] = float("nan")
    save_file(tensors, path, metadata=header)
    return path


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ("truncated", "damaged"),
        ("another kind", "VGN"),
        ("unknown kind", "pointnet"),
        ("another format version", "format version 99"),
        ("NaN weights", "decoder_qual.fc_out.weight holds values that are not finite"),
    ],
)
def test_a_model_that_cannot_be_loaded_leaves_a_node_that_says_so(unconfigured, model_file, tmp_path, fault, part):
    cell = unconfigured
    path = spoiled_model(tmp_path, model_file, fault)
    assert cell.set(model=str(path)) == []
    assert not cell.try_to(Transition.TRANSITION_CONFIGURE)
    for client in (cell.detect, cell.reconstruct):
        answer = cell.call(client)
        assert not answer.success
        assert str(path) in answer.message
        assert part in answer.message


# Calls.


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"min_quality": float("nan")}, "min_quality"),
        ({"region_size_m": Vector3(x=float("nan"), y=0.1, z=0.1)}, "region"),
        ({"region_size_m": Vector3(x=0.1, y=0.1, z=0.1), "region_pose": Pose(orientation=Quaternion(w=2.0))}, "region"),
        (
            {"region_size_m": Vector3(x=0.1, y=0.1, z=0.1), "region_pose": Pose(position=Point(x=float("inf")))},
            "region",
        ),
        ({"frame_id": "/slash"}, "/slash"),
        ({"region_size_m": Vector3(x=0.1, y=0.1, z=0.1), "region_frame_id": "nowhere"}, "nowhere"),
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense(cell, fields, part):
    assert part in cell.refusal(image_message(DEPTH_M), **fields)


def test_calls_that_wait_while_the_node_is_reloaded_are_answered(cell):
    """No image comes: every one of these waits in the node when it is taken down."""
    waiting = [cell.start(cell.detect, fresh_image=True) for _ in range(20)]
    cell.clean_up()
    meanwhile = [cell.start(client) for client in (cell.detect, cell.reconstruct) * 5]
    cell.bring_up()
    for future in (*waiting, *meanwhile):
        answer = cell.wait(future)
        assert not answer.success
        assert answer.message


def test_reloading_again_and_again_under_load(cell):
    """Images, detections of every image and calls go on all the while; every call is answered, with a sentence."""
    assert cell.set(detect_continuously=True) == []
    over = threading.Event()
    answers: list[Any] = []

    def keep_showing() -> None:
        while not over.is_set():
            cell.send(image_message(DEPTH_M), info_message())
            time.sleep(0.03)

    def keep_calling(client: Any, **fields: Any) -> None:
        while not over.is_set():
            answers.append(cell.call(client, **fields))

    threads = [
        threading.Thread(target=keep_showing),
        threading.Thread(target=keep_calling, args=(cell.detect,)),
        threading.Thread(target=keep_calling, args=(cell.detect,), kwargs={"fresh_image": True}),
        threading.Thread(target=keep_calling, args=(cell.reconstruct,)),
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            cell.clean_up()
            cell.bring_up()
    finally:
        over.set()
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert cell.set(detect_continuously=False) == []
    assert not any(thread.is_alive() for thread in threads)
    assert answers
    assert all(answer.message for answer in answers)
