"""perception_node through its lifecycle: what it says while it is not active, and what it gives back."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy
from giga_msgs.srv import DetectGrasps
from lifecycle_msgs.msg import Transition
from perception_bench import TIMEOUT_S, Bench, assert_ended_well, start_node
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from table_scene import BOXES, made_model, table_view

from giga_perception.model_family import new_network
from giga_perception.network import Giga
from giga_perception.perception_node import PerceptionNode
from giga_perception.weights import save_model

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "made.safetensors"
    save_model(path, made_model(), {"name": "made"})
    return path


@pytest.fixture(scope="module")
def ready(ros_domain, start_process, model_file):
    process = start_node(start_process, model_file)
    bench = Bench()
    bench.place_cell()
    yield bench
    bench.close()
    assert_ended_well(process)


def test_while_inactive_the_services_say_so_and_afterwards_they_work_again(ready):
    ready.change(Transition.TRANSITION_DEACTIVATE)
    answers = [ready.call(ready.detect), ready.call(ready.reconstruct)]
    ready.change(Transition.TRANSITION_CLEANUP)
    answers.append(ready.call(ready.detect))
    ready.change(Transition.TRANSITION_CONFIGURE)
    ready.change(Transition.TRANSITION_ACTIVATE)
    assert not any(answer.success for answer in answers)
    assert all("change_state" in answer.message for answer in answers)
    again = ready.detect_in(table_view().depth_m)
    assert again.success, again.message


def test_a_call_that_waits_when_the_node_is_deactivated_is_told_so(ready, wait_for):
    assert not ready.set(fresh_image_timeout_s=TIMEOUT_S)
    waiting = ready.start(ready.detect, fresh_image=True)
    # An answer to a later call, so the earlier one has been taken up.
    assert ready.call(ready.detect, min_quality=2.0).message
    ready.change(Transition.TRANSITION_DEACTIVATE)
    answer = ready.wait(waiting)
    assert not answer.success
    assert "activate it" in answer.message
    ready.change(Transition.TRANSITION_ACTIVATE)


def test_detection_runs_by_itself_when_told_to(ready, wait_for):
    ready.watch("grasps")
    assert not ready.set(detect_continuously=True)
    try:
        ready.received.pop("grasps", None)
        other = table_view(BOXES[:1]).depth_m

        def detected() -> bool:
            ready.show(other)
            return "grasps" in ready.received

        wait_for(detected, TIMEOUT_S, "grasps that nobody asked for")
    finally:
        assert not ready.set(detect_continuously=False)


def test_it_ends_quietly_while_it_detects(ros_domain, start_process, model_file, wait_for):
    process = start_node(start_process, model_file, "ending", detect_continuously=True)
    bench = Bench("ending")
    try:
        bench.place_cell()
        bench.watch("grasps", "tsdf")

        def detected() -> bool:
            bench.show(table_view().depth_m)
            return {"grasps", "tsdf"} <= bench.received.keys()

        wait_for(detected, TIMEOUT_S, "a detection that nobody asked for")
        bench.show(table_view(BOXES[1:]).depth_m)
    finally:
        bench.close()
    assert_ended_well(process)


def only_network() -> Giga:
    """The one network in this process's memory."""
    gc.collect()
    (network,) = (thing for thing in gc.get_objects() if isinstance(thing, Giga))
    return network


def test_the_weights_are_gone_after_cleanup(ros_domain, model_file, wait_for):
    context = rclpy.Context()
    context.init()
    node = PerceptionNode(
        context=context,
        parameter_overrides=[Parameter("autostart", value=False), Parameter("model", value=str(model_file))],
    )
    executor = MultiThreadedExecutor(num_threads=4, context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    bench = Bench()
    try:
        bench.place_cell()
        for _ in range(2):
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
            assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
            assert bench.detect_in(table_view().depth_m).success
            network = weakref.ref(only_network())
            assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
            assert network() is only_network(), "deactivating keeps the weights"
            assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
            # Diagnostics may just be looking at what is given back.
            wait_for(
                lambda network=network: gc.collect() >= 0 and network() is None, TIMEOUT_S, "the weights to be gone"
            )
    finally:
        bench.close()
        executor.shutdown(timeout_sec=5.0)
        spinning.join(5.0)
        node.destroy_node()
        context.shutdown()


def _refused_by(bench: Bench) -> list[DetectGrasps.Response]:
    return [bench.call(bench.detect), bench.call(bench.reconstruct)]


@pytest.mark.parametrize("kind", ["missing", "corrupt"])
def test_an_unusable_model_file_leaves_a_node_that_says_so(kind, ros_domain, start_process, tmp_path, model_file):
    model = tmp_path / f"{kind}.safetensors"
    if kind == "corrupt":
        model.write_bytes(model_file.read_bytes()[:5000])
    process = start_node(start_process, model, f"{kind}_model")
    bench = Bench(f"{kind}_model")
    try:
        for answer in _refused_by(bench):
            assert not answer.success
            assert str(model) in answer.message
        assert str(model) in process.output()
        # Another model, and the node can be configured.
        assert not bench.set(model=str(model_file))
        bench.change(Transition.TRANSITION_CONFIGURE)
        assert "not active" in bench.call(bench.detect).message
    finally:
        bench.close()
    assert_ended_well(process)


def test_a_model_without_grasps_is_refused_and_one_without_geometry_reconstructs_nothing(
    ros_domain, start_process, tmp_path
):
    for kind in ("giga-geo", "giga-aff"):
        save_model(tmp_path / f"{kind}.safetensors", new_network(kind), {"name": kind})
    process = start_node(start_process, tmp_path / "giga-geo.safetensors", "one_sided")
    bench = Bench("one_sided")
    try:
        bench.place_cell()
        for answer in _refused_by(bench):
            assert not answer.success
            assert "geometry only" in answer.message
        assert not bench.set(model=str(tmp_path / "giga-aff.safetensors"))
        bench.change(Transition.TRANSITION_CONFIGURE)
        bench.change(Transition.TRANSITION_ACTIVATE)
        detected = bench.detect_in(table_view().depth_m)
        assert detected.success, detected.message
        answer = bench.call(bench.reconstruct)
        assert not answer.success
        assert "giga-aff" in answer.message
    finally:
        bench.close()
    assert_ended_well(process)
