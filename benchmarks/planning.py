"""`giga benchmark planning`: what it costs to go from a depth image to ranked grasps, stage by stage."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.checkout import repository
from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_perception import DepthView, Giga, GraspDetector

SUMMARY = "time from a depth image to ranked grasps: fast and dense path, stages, mesh, memory, the node"
EXAMPLES = """  ./giga benchmark planning
  ./giga benchmark planning --repeats 50 --json planning.json
  ./giga benchmark planning --no-node --model FILE.safetensors"""

RESOLUTIONS = (40, 60)
MATRIX_SIDE = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="model file (default: the shipped weights)")
    parser.add_argument("--scene", choices=("pile", "packed"), default="packed", help="kind of scene (default packed)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the scene (default 1)")
    parser.add_argument("--repeats", type=int, default=25, help="runs behind each median (default 25)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the network (default 2)")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one (default cpu)")
    parser.add_argument("--no-node", action="store_true", help="leave out the node (needs no ROS)")
    parser.add_argument("--json", type=Path, help="write the results there")


def run(args: argparse.Namespace) -> int:
    if min(args.repeats, args.threads) < 1:
        raise UserError("--repeats and --threads must be at least 1")
    import torch

    from giga_bringup.benchmark_result import write_result
    from giga_perception import GraspDetector
    from giga_perception.network import Giga
    from giga_perception.weights import ModelFileError

    torch.set_num_threads(args.threads)
    try:
        detectors = {
            resolution: GraspDetector.from_file(args.model, resolution=resolution, mode="plain", device=args.device)
            for resolution in RESOLUTIONS
        }
    except (ModelFileError, ValueError) as error:
        raise UserError(str(error)) from error
    model = detectors[RESOLUTIONS[0]].model
    if not isinstance(model, Giga) or not model.has_geometry:
        raise UserError(f"the dense path is GIGA's: give a model of kind giga or giga-detach, not {model.kind}")
    rate = matrix_rate(args.repeats)
    print(f"{args.threads} threads; a product of {MATRIX_SIDE} x {MATRIX_SIDE} matrices runs at {rate:.0f} GFLOP/s")
    view = benchmark_view(args.scene, args.seed)
    report: dict[str, Any] = {
        "scene": args.scene,
        "seed": args.seed,
        "model": detectors[RESOLUTIONS[0]].model_name,
        "threads": args.threads,
        "device": args.device,
        "repeats": args.repeats,
        "matrix_gflop_per_s": rate,
    }
    for resolution, detector in detectors.items():
        report[f"detection_{resolution}"] = _report_detection(detector, model, view, args.repeats, args.device)
    report["modes_ms"] = _report_modes(args, view)
    tsdf = detectors[40].detect([view]).tsdf
    mesh_ms = median_ms(lambda: detectors[40].reconstruct(tsdf), args.repeats)
    triangles = len(detectors[40].reconstruct(tsdf).faces)
    print(f"\nmesh of the scene: {mesh_ms:6.1f} ms ({triangles} triangles)")
    report["mesh_ms"], report["mesh_triangles"] = mesh_ms, triangles
    sys.path.insert(0, str(repository() / "benchmarks"))
    from _view_file import write_view

    with tempfile.TemporaryDirectory(prefix="giga-benchmark-") as folder:
        view_file = Path(folder) / "view.npz"
        write_view(view_file, view)
        report["memory"] = _report_memory(args, view_file)
        if not args.no_node:
            report["node"] = _report_node(args, view_file)
    if args.json:
        write_result(args.json, report)
        print(f"written to {args.json}")
    return 0


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of `work` in milliseconds, after two runs that warm it up."""
    for _ in range(2):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def matrix_rate(repeats: int) -> float:
    """GFLOP/s of a float32 matrix product, which says how fast this machine is."""
    import torch

    left, right = torch.rand(MATRIX_SIDE, MATRIX_SIDE), torch.rand(MATRIX_SIDE, MATRIX_SIDE)
    return 2.0 * MATRIX_SIDE**3 / median_ms(lambda: left @ right, repeats) * 1e-6


def benchmark_view(kind: str, seed: int) -> DepthView:
    """The side view, with the paper's noise, of a scene of parametric objects."""
    import numpy as np

    from giga_perception import DepthView
    from giga_perception.depth_noise import add_depth_noise
    from giga_sim.object_sets import ObjectSet
    from giga_sim.physics_world import DEFAULT_TABLE, PhysicsWorld
    from giga_sim.scenes import make_scene, scene_kind
    from giga_sim.side_view_camera import CAMERA, render_depth, side_view

    world = PhysicsWorld()
    world.add_table()
    rng = np.random.default_rng(seed)
    make_scene(world, scene_kind(kind), ObjectSet.named("parametric").split("test"), 5, rng)
    clean = render_depth(world.placed_meshes(), CAMERA, side_view(), table=DEFAULT_TABLE)
    return DepthView(add_depth_noise(clean, rng), CAMERA, side_view())


def _report_detection(
    detector: GraspDetector, model: Giga, view: DepthView, repeats: int, device: str
) -> dict[str, Any]:
    """Fast and dense path of one resolution, and the stages of the fast one; prints and returns them."""
    from giga_perception import fuse

    sys.path.insert(0, str(repository() / "tests" / "unit"))
    from dense_detection import dense_detection

    def dense() -> object:
        tsdf = fuse([view])
        mask_tsdf = tsdf if detector.resolution == tsdf.resolution else fuse([view], detector.resolution)
        return dense_detection(model, tsdf, mask_tsdf, detector.threshold, detector.out_threshold)

    fast_ms = median_ms(lambda: detector.detect([view]), repeats)
    # It is many times slower and steadier; a few runs say enough.
    dense_ms = median_ms(dense, max(3, repeats // 5)) if device == "cpu" else None
    title = "GIGA" if detector.resolution == 40 else "GIGA (HR)"
    print(f"\n{title}, {detector.resolution}^3: depth -> ranked grasps {fast_ms:6.1f} ms", end="")
    print(f"; dense path {dense_ms:6.1f} ms, {dense_ms / fast_ms:.1f} times as long" if dense_ms is not None else "")
    stages = _stages_ms(detector, model, view, repeats)
    print(f"    {'':30} {'fast':>9} {'dense':>9}")
    for stage, (stage_ms, plain_ms) in stages.items():
        print(f"    {stage:30} {stage_ms:6.2f} ms" + ("" if plain_ms is None else f" {plain_ms:6.1f} ms"))
    ratio = None if dense_ms is None else dense_ms / fast_ms
    return {"fast_ms": fast_ms, "dense_ms": dense_ms, "dense_over_fast": ratio, "stages_fast_dense_ms": stages}


def _stages_ms(
    detector: GraspDetector, model: Giga, view: DepthView, repeats: int
) -> dict[str, tuple[float, float | None]]:
    """Median milliseconds of each stage, in order, run by itself on what the one before gave: (fast, dense).

    Dense is None where both paths do the same.
    """
    import numpy as np
    import torch
    from scipy import ndimage

    from giga_perception import fuse, grasp_selection
    from giga_perception.grid_query import GridSceneQuery, lower_corner_coordinates
    from giga_perception.scene_encoding import encode_scene

    resolution = detector.resolution
    tsdf, mask_tsdf = fuse([view]), fuse([view], resolution)
    detection = detector.detect([view])
    out_threshold, threshold = detector.out_threshold, detector.threshold

    def masks() -> tuple[Any, Any]:
        near = grasp_selection.near_surface(mask_tsdf.value, out_threshold)
        inside = near & grasp_selection.in_bounds(resolution)
        return np.flatnonzero(inside), np.flatnonzero(grasp_selection.within_smoothing_reach(inside))

    def plain_masks() -> Any:
        value = mask_tsdf.value
        behind = (value > 1e-3) & (value < out_threshold)
        return ndimage.binary_dilation(value > out_threshold, iterations=2, mask=~behind)

    kept, reached = masks()
    planes = encode_scene(model, tsdf.value)
    query = GridSceneQuery(model, planes, resolution)
    centres = grasp_selection.suppress_non_maxima(detection.quality, threshold)
    flat = np.ravel_multi_index(tuple(centres.T), (resolution,) * 3)
    axis = lower_corner_coordinates(resolution).to(planes.device)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(1, -1, 3)
    input_tsdf = torch.from_numpy(tsdf.value)[None].to(planes.device)

    stages: dict[str, tuple[Callable[[], object], Callable[[], object] | None]] = {
        "TSDF 40^3": (lambda: fuse([view]), None)
    }
    if resolution != tsdf.resolution:
        stages[f"TSDF {resolution}^3 for the mask"] = (lambda: fuse([view], resolution), None)
    stages |= {
        f"masks (keep {len(kept)})": (masks, plain_masks),
        "encoder": (lambda: encode_scene(model, tsdf.value), lambda: model.encode(input_tsdf)),
        "planes on the grid": (lambda: GridSceneQuery(model, planes, resolution), None),
        f"quality at {len(reached)}": (
            lambda: query.quality(reached),
            lambda: model.quality_logits(planes[None], points),
        ),
        f"width at {len(kept)}": (lambda: query.width(kept), lambda: model.widths(planes[None], points)),
        "smoothing": (lambda: grasp_selection.smoothed(detection.quality), None),
        "non-maximum suppression": (
            lambda: grasp_selection.suppress_non_maxima(detection.quality, threshold),
            None,
        ),
        f"rotation at {len(flat)}": (lambda: query.rotation(flat), lambda: model.rotations(planes[None], points)),
    }
    with torch.inference_mode():
        return {
            name: (
                median_ms(fast, repeats),
                None if plain is None else median_ms(plain, max(3, repeats // 5)),
            )
            for name, (fast, plain) in stages.items()
        }


def _report_modes(args: argparse.Namespace, view: DepthView) -> dict[str, float]:
    """What the modes beyond the network's own answer take at 40^3, where the model has a judge."""
    from giga_perception import GraspDetector
    from giga_perception.detection_mode import MODES
    from giga_perception.judge_file import judge_path
    from giga_perception.weights import model_path

    if not judge_path(model_path(args.model)).is_file():
        return {}
    print("\nmodes at 40^3")
    times = {}
    for mode in MODES:
        detector = GraspDetector.from_file(args.model, mode=mode, device=args.device)
        times[mode] = median_ms(lambda detector=detector: detector.detect([view]), args.repeats)
        print(f"    {mode:10} {times[mode]:6.1f} ms")
    return times


def _report_memory(args: argparse.Namespace, view_file: Path) -> dict[str, float]:
    """Peak memory of a fresh process that detects at 40^3; prints and returns it in MB."""
    measured = _in_fresh_process("_detecting_process.py", view_file, args.threads, args.model)
    print(
        f"\nmemory of a detecting process: {measured['peak_mb']:.0f} MB at its peak, "
        f"{measured['beyond_imports_mb']:.0f} MB beyond its imports"
    )
    return measured


def _report_node(args: argparse.Namespace, view_file: Path) -> dict[str, float] | None:
    """What the node adds to the library between an image's arrival and the grasps; prints and returns it."""
    from importlib.util import find_spec

    if find_spec("rclpy") is None:
        print("\nnode: not measured, ROS 2 is not installed")
        return None
    measured = _in_fresh_process("_node_latency.py", view_file, args.threads, args.model, args.repeats)
    print(
        f"\nnode: image sent -> grasps received {measured['image_to_grasps_ms']:.1f} ms, of which the library "
        f"{measured['library_ms']:.1f} ms: {measured['added_ms']:.1f} ms added"
    )
    return measured


def _in_fresh_process(script: str, *arguments: object) -> dict[str, float]:
    """Runs a script of this folder, whose last line is JSON. Raises UserError with what it said when it fails."""
    import json
    import subprocess

    words = ["" if argument is None else str(argument) for argument in arguments]
    command = [sys.executable, str(repository() / "benchmarks" / script), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"benchmarks/{script} failed:\n{done.stderr.strip()}")
    measured: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured
