"""`giga detect`: grasps in one recorded depth image, without ROS."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from giga_bringup.errors import UserError

SUMMARY = "Find grasps in one recorded depth image; writes ranked grasps as JSON and a picture."
EXAMPLES = """  ./giga detect depth.png --intrinsics K.json --extrinsics T.json
  ./giga detect depth.npy --intrinsics K.json --extrinsics T.json --mesh scene.ply --output results

the depth image: 16-bit millimetres (.png, .tiff) or float metres (.npy, .npz, .tiff, .exr), any size
K.json:          {"fx": 540, "fy": 540, "cx": 320, "cy": 240, "width": 640, "height": 480}
                 or {"K": [[540, 0, 320], [0, 540, 240], [0, 0, 1]]}
T.json:          {"T_camera_workspace": [[...], [...], [...], [0, 0, 0, 1]]}
                 or {"T_workspace_camera": {"translation_m": [x, y, z], "rotation_xyzw": [x, y, z, w]}}
                 T_a_b maps coordinates in b to a. workspace: a cube of 0.30 m, origin at its lower corner, z up,
                 the table at z = 0.05. camera: z forward, x right, y down."""

MESH_SUFFIXES = (".ply", ".obj", ".stl")
PICTURE_NAME = "detection.png"
RECORD_NAME = "grasps.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `giga detect`."""
    parser.add_argument("depth", type=Path, metavar="DEPTH", help="the depth image")
    parser.add_argument("--intrinsics", type=Path, required=True, metavar="FILE", help="the camera's intrinsics (JSON)")
    parser.add_argument("--extrinsics", type=Path, required=True, metavar="FILE", help="the camera's pose (JSON)")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="model file (default: $GIGA_MODEL, else the shipped)"
    )
    parser.add_argument("--threshold", type=float, default=0.5, metavar="Q", help="least quality, 0 to 1 (default 0.5)")
    parser.add_argument(
        "--resolution", type=int, default=40, metavar="N", help="grasp centres a side of the workspace (default 40)"
    )
    parser.add_argument("--max-grasps", type=int, default=0, metavar="N", help="write at most N grasps (default: all)")
    parser.add_argument(
        "--depth-unit", type=float, default=0.001, metavar="M", help="metres a count of integer images (default 0.001)"
    )
    parser.add_argument(
        "--mesh", type=Path, metavar="FILE", help="write the reconstructed scene too (.ply, .obj, .stl)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("giga_detect"),
        metavar="FOLDER",
        help="where to write (default ./giga_detect)",
    )


def run(args: argparse.Namespace) -> int:
    """Detect, write, and say what was found."""
    _check(args)

    from giga_perception.detection import GraspDetector
    from giga_perception.detection_file import detection_record, write_detection
    from giga_perception.input_file import InputFileError
    from giga_perception.picture import draw_detection
    from giga_perception.recorded_view import read_depth_view
    from giga_perception.weights import ModelFileError

    try:
        view = read_depth_view(args.depth, args.intrinsics, args.extrinsics, args.depth_unit)
        detector = GraspDetector.from_file(args.model, resolution=args.resolution, threshold=args.threshold)
    except (InputFileError, ModelFileError) as error:
        raise UserError(str(error)) from None
    detection = detector.detect([view])
    source = {"depth": str(args.depth), "intrinsics": str(args.intrinsics), "extrinsics": str(args.extrinsics)}
    record = detection_record(detection, view, source, args.max_grasps)
    _print_grasps(record["grasps"], detection.report.message)

    written = [args.output / RECORD_NAME, args.output / PICTURE_NAME]
    try:
        write_detection(written[0], record)
        print("drawing the picture ...", flush=True)
        draw_detection(detection, view, written[1], title=args.depth.name)
        if args.mesh is not None:
            mesh = detector.reconstruct(detection.tsdf)
            args.mesh.parent.mkdir(parents=True, exist_ok=True)
            mesh.export(args.mesh)
            written.append(args.mesh)
    except OSError as error:
        raise UserError(f"{error.filename or args.output}: cannot be written ({error.strerror})") from None
    print("written: " + ", ".join(str(path) for path in written))
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be said about the arguments before anything is loaded."""
    if not 0.0 <= args.threshold <= 1.0:
        raise UserError(f"--threshold is a quality between 0 and 1, not {args.threshold:g}")
    if not 8 <= args.resolution <= 160:
        raise UserError(f"--resolution must be 8 to 160 grasp centres a side, not {args.resolution}")
    if args.max_grasps < 0:
        raise UserError(f"--max-grasps is a number of grasps (0 = all), not {args.max_grasps}")
    if not (math.isfinite(args.depth_unit) and args.depth_unit > 0.0):
        raise UserError(f"--depth-unit is metres a count, above 0, not {args.depth_unit:g}")
    if args.mesh is not None and args.mesh.suffix.lower() not in MESH_SUFFIXES:
        raise UserError(f"--mesh {args.mesh}: the name must end in one of {', '.join(MESH_SUFFIXES)}")
    if args.output.exists() and not args.output.is_dir():
        raise UserError(f"--output {args.output}: is a file; name a folder")


def _print_grasps(grasps: list[dict[str, Any]], message: str) -> None:
    if not grasps:
        print(f"no grasps: {message}" if message else "no grasps")
        return
    print(f"{'rank':>4} {'quality':>8} {'width':>8}   position of the TCP in the workspace")
    for grasp in grasps:
        x, y, z = (100.0 * value for value in grasp["T_workspace_tcp"]["translation_m"])
        width_mm = 1000.0 * grasp["width_m"]
        print(f"{grasp['rank']:>4} {grasp['quality']:>8.2f} {width_mm:>5.0f} mm   {x:5.1f} {y:5.1f} {z:5.1f} cm")
