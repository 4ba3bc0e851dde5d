"""perception_node with several cameras, a moving one, and a clock that is set back."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from perception_bench import TIMEOUT_S, Bench, assert_ended_well, start_node
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import RigidTransform
from table_scene import BOXES, made_model, pose_around, table_view

from giga_perception.camera import DepthView
from giga_perception.tsdf import TsdfGrid, fuse
from giga_perception.weights import save_model

pytestmark = pytest.mark.ros

# The paper's six views: all around, from above.
SIX_POSES = [pose_around(azimuth_deg) for azimuth_deg in range(0, 360, 60)]
HAND_FRAME = "hand_camera_optical_frame"
STEP_NS = 100_000_000


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(path, made_model(), {"name": "made"})
    return path


@pytest.fixture
def started(ros_domain, start_process, model_file):
    """Starts nodes with benches; all are ended with the test."""
    running = []

    def start(name: str, *remaps: str, **parameters) -> Bench:
        process = start_node(start_process, model_file, name, *remaps, **parameters)
        bench = Bench(name)
        running.append((process, bench))
        bench.watch("tsdf", "grasps")
        return bench

    yield start
    for process, bench in running:
        bench.close()
        assert_ended_well(process)


def shown_tsdf(bench: Bench, header, wait_for) -> dict[tuple[int, ...], float]:
    """The TSDF on the node's topic with this header: value at each voxel near a surface."""
    wait_for(
        lambda: "tsdf" in bench.received and bench.received["tsdf"].header == header,
        TIMEOUT_S,
        "the TSDF of that scene",
    )
    rows = np.frombuffer(bench.received["tsdf"].data, dtype="<f4").reshape(-1, 4)
    voxels = np.rint(rows[:, :3] / 0.0075 - 0.5).astype(int)
    return dict(zip(map(tuple, voxels.tolist()), rows[:, 3].tolist(), strict=True))


def near_surface(tsdf: TsdfGrid) -> dict[tuple[int, ...], float]:
    index = np.argwhere(tsdf.value > 0.0)
    return dict(zip(map(tuple, index.tolist()), tsdf.value[tuple(index.T)].tolist(), strict=True))


def assert_same_tsdf(shown: dict[tuple[int, ...], float], expected: dict[tuple[int, ...], float]) -> None:
    assert shown.keys() == expected.keys()
    assert np.allclose([shown[key] for key in expected], list(expected.values()), atol=1e-5)


def detect(bench: Bench, show, stamp_ns: int, **request):
    """A detection whose newest image bears this stamp; ``show`` publishes the images, again and again."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        show()
        answer = bench.call(bench.detect, **request)
        stamp = answer.grasps.header.stamp
        if answer.success and stamp.sec * 10**9 + stamp.nanosec == stamp_ns:
            return answer
    pytest.fail(f"no detection of that stamp in time: {answer.message}")


def test_six_cameras_are_fused_to_what_the_library_fuses(started, wait_for):
    prefixes = [f"camera_{index}" for index in range(6)]
    bench = started("six_cameras", cameras=prefixes)
    views = [table_view(T_camera_workspace=pose) for pose in SIX_POSES]
    bench.place_all(
        "workspace",
        {f"{prefix}_frame": view.T_camera_workspace.inv() for prefix, view in zip(prefixes, views, strict=True)},
    )
    stamps_ns = [bench.node.get_clock().now().nanoseconds + index for index in range(6)]

    def show() -> None:
        for prefix, view, stamp_ns in zip(prefixes, views, stamps_ns, strict=True):
            bench.show(view.depth_m, prefix=prefix, frame_id=f"{prefix}_frame", stamp_ns=stamp_ns)

    answer = detect(bench, show, stamps_ns[-1])
    expected = fuse(views)
    assert answer.grasps.report.voxels_observed == np.count_nonzero(expected.weight)
    assert_same_tsdf(shown_tsdf(bench, answer.grasps.header, wait_for), near_surface(expected))


def test_a_camera_that_is_silent_lags_or_looks_away_is_named(started):
    bench = started("two_cameras", cameras=["left", "right"], fresh_image_timeout_s=0.5)
    view = table_view()
    bench.place_all(
        "workspace", {"left_frame": view.T_camera_workspace.inv(), "right_frame": view.T_camera_workspace.inv()}
    )
    now_ns = bench.node.get_clock().now().nanoseconds

    def show(prefix: str, age_s: float = 0.0, frame_id: str = "") -> None:
        stamp_ns = now_ns - round(age_s * 1e9)
        bench.show(view.depth_m, prefix=prefix, frame_id=frame_id or f"{prefix}_frame", stamp_ns=stamp_ns)

    def answer_until(words: str, *shown: tuple) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        message = ""
        while words not in message:
            assert time.monotonic() < deadline, message
            for each in shown:
                show(*each)
            message = bench.call(bench.detect).message
        assert "/right/" in message

    answer_until("no depth image has come on /right/depth/image_rect_raw", ("left",))
    answer_until("older than another camera's", ("left",), ("right", 5.0))
    # Turned round, the right camera has the workspace behind it.
    turned = RigidTransform.from_matrix(np.diag([-1.0, 1.0, -1.0, 1.0])) * view.T_camera_workspace
    bench.place_all("workspace", {"turned_frame": turned.inv()})
    answer_until("behind the camera", ("left",), ("right", 0.0, "turned_frame"))
    assert bench.call(bench.detect).grasps.grasps, "the left camera is enough"


def sweep(bench: Bench, views: list[DepthView], first_ns: int) -> list[int]:
    """One camera in the hand shows these views, one after the other, tf a little later than each image."""
    stamps_ns = []
    for index, view in enumerate(views):
        stamp_ns = first_ns + index * STEP_NS
        bench.show(view.depth_m, frame_id=HAND_FRAME, stamp_ns=stamp_ns)
        bench.move("workspace", HAND_FRAME, view.T_camera_workspace.inv(), stamp_ns)
        stamps_ns.append(stamp_ns)
        time.sleep(0.05)
    return stamps_ns


def test_one_moving_camera_is_fused_to_what_the_library_fuses_and_forgets(started, wait_for):
    bench = started("moving_camera", fusion="window", window_s=2.0, window_views=6)
    views = [table_view(T_camera_workspace=pose) for pose in SIX_POSES]
    expected = near_surface(fuse(views))

    def seen_by_the_node(first_ns: int) -> dict[tuple[int, ...], float]:
        stamps_ns = sweep(bench, views, first_ns)
        answer = detect(bench, lambda: None, stamps_ns[-1])
        return shown_tsdf(bench, answer.grasps.header, wait_for)

    # A best-effort image may be lost on the way; then the camera goes round once more.
    deadline = time.monotonic() + TIMEOUT_S
    detect(bench, lambda: sweep(bench, views[:1], first_ns), first_ns := bench.node.get_clock().now().nanoseconds)
    while True:
        first_ns += 10 * 10**9
        shown = seen_by_the_node(first_ns)
        if shown.keys() == expected.keys():
            break
        assert time.monotonic() < deadline, f"{len(shown)} voxels, not {len(expected)}"
    assert_same_tsdf(shown, expected)

    # Resting at the last place long enough, the camera has forgotten what it saw from the others.
    last_ns = first_ns + 5 * STEP_NS + 3 * 10**9
    answer = detect(bench, lambda: sweep(bench, views[-1:], last_ns), last_ns)
    assert_same_tsdf(shown_tsdf(bench, answer.grasps.header, wait_for), near_surface(fuse(views[-1:])))


def test_readings_out_of_range_are_dropped(started, wait_for):
    bench = started("depth_range")
    bench.place_cell()
    view = table_view()
    whole = bench.detect_in(view.depth_m)
    middle_m = float(np.median(view.depth_m[view.depth_m > 0.0]))
    for limit in ({"min_depth_m": middle_m}, {"max_depth_m": middle_m}):
        assert not bench.set(**limit)
        part = bench.detect_in(view.depth_m)
        kept = (view.depth_m >= limit.get("min_depth_m", 0.0)) & (view.depth_m < limit.get("max_depth_m", 2.0))
        expected = fuse([DepthView(np.where(kept, view.depth_m, np.float32(0)), view.camera, view.T_camera_workspace)])
        assert part.grasps.report.voxels_observed == np.count_nonzero(expected.weight)
        assert part.grasps.report.voxels_observed < whole.grasps.report.voxels_observed
        assert not bench.set(min_depth_m=0.0, max_depth_m=2.0)


def test_after_the_clock_is_set_back_only_what_comes_then_is_seen(started, wait_for):
    bench = started("reset", use_sim_time=True, fusion="window", window_s=10.0)
    clock = bench.node.create_publisher(Clock, "/clock", 10)

    def show_at(pose: RigidTransform, stamp_ns: int, boxes=BOXES) -> None:
        clock.publish(Clock(clock=Time(nanoseconds=stamp_ns).to_msg()))
        bench.move("workspace", HAND_FRAME, pose.inv(), stamp_ns)
        view = table_view(boxes, T_camera_workspace=pose)
        bench.show(view.depth_m, frame_id=HAND_FRAME, stamp_ns=stamp_ns)
        time.sleep(0.05)

    late_ns, early_ns = 100 * 10**9, 10**9
    for index, pose in enumerate(SIX_POSES[:3]):
        detect(bench, lambda pose=pose, index=index: show_at(pose, late_ns + index), late_ns + index)
    answer = detect(bench, lambda: show_at(SIX_POSES[0], early_ns, BOXES[:1]), early_ns)
    expected = near_surface(fuse([table_view(BOXES[:1], T_camera_workspace=SIX_POSES[0])]))
    assert_same_tsdf(shown_tsdf(bench, answer.grasps.header, wait_for), expected)


def test_an_image_that_a_newer_one_has_overtaken_is_passed_over(started, wait_for):
    bench = started("overtaken")
    bench.place_cell()
    view = table_view()
    newest_ns = bench.node.get_clock().now().nanoseconds
    detect(bench, lambda: bench.show(view.depth_m, stamp_ns=newest_ns), newest_ns)

    def counted() -> bool:
        bench.show(np.zeros_like(view.depth_m), stamp_ns=newest_ns - 10**8)
        camera = bench.statuses().get("camera camera")
        return camera is not None and any(
            pair.key.startswith("images overtaken") and int(pair.value) > 0 for pair in camera.values
        )

    wait_for(counted, TIMEOUT_S, "the count of overtaken images")
    answer = bench.call(bench.detect)
    assert answer.success
    assert answer.grasps.header.stamp == Time(nanoseconds=newest_ns).to_msg()
    assert answer.grasps.grasps


def test_compressed_depth_under_the_remapped_name_gives_the_same(started, wait_for):
    raw = started("raw_depth")
    raw.place_cell()
    view = table_view()
    millimetres = np.round(view.depth_m * 1000.0)
    expected = raw.detect_in(millimetres, image={"encoding": "16UC1"})
    bench = started(
        "compressed_depth", "camera/depth/image_rect_raw:=/realsense/depth/image_rect", transport="compressedDepth"
    )
    bench.place_cell()
    future = bench.start(bench.detect, fresh_image=True)
    answer = bench.show_compressed_until_answered(future, millimetres.astype(np.uint16), "/realsense/depth/image_rect")
    assert answer.success, answer.message
    assert [grasp.pose for grasp in answer.grasps.grasps] == [grasp.pose for grasp in expected.grasps.grasps] != []
