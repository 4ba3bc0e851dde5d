"""`giga detect`: grasps in recorded depth images of one scene, without ROS."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    import trimesh

    from giga_perception.camera import DepthView
    from giga_perception.detection import Detection

SUMMARY = "Find grasps in recorded depth images of one scene; writes ranked grasps as JSON and a picture."
EXAMPLES = """  ./giga detect depth.png --intrinsics K.json --extrinsics T.json
  ./giga detect depth.npy --intrinsics K.json --extrinsics T.json --mesh scene.ply --output results
  ./giga detect left.png right.png --intrinsics K.json --extrinsics left.json --extrinsics right.json
  ./giga detect depth.png --intrinsics K.json --extrinsics T.json --resolution 60            GIGA (HR)
  ./giga detect depth.png --intrinsics K.json --extrinsics T.json --select highest           SHAF
  ./giga detect depth.png --intrinsics K.json --extrinsics T.json --model vgn.safetensors --affordance seen.ply

depth images:    16-bit millimetres (.png, .tiff) or float metres (.npy, .npz, .tiff), any size
K.json:          {"fx": 540, "fy": 540, "cx": 320, "cy": 240, "width": 640, "height": 480}
                 or {"K": [[540, 0, 320], [0, 540, 240], [0, 0, 1]]}
T.json:          {"T_camera_workspace": [[...], [...], [...], [0, 0, 0, 1]]}
                 or {"T_workspace_camera": {"translation_m": [x, y, z], "rotation_xyzw": [x, y, z, w]}}
                 T_a_b maps coordinates in b to a. workspace: a cube of 0.30 m, origin at its lower corner, z up,
                 the table at z = 0.05. camera: z forward, x right, y down.
several images:  are fused: give --extrinsics once for each, in their order, and --intrinsics once, or for each too"""

PICTURE_NAME = "detection.png"
RECORD_NAME = "grasps.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `giga detect`."""
    add = parser.add_argument
    add("depth", type=Path, nargs="+", metavar="DEPTH", help="depth images of one scene")
    each: dict[str, Any] = {"type": Path, "action": "append", "required": True, "metavar": "FILE"}
    add("--intrinsics", help="the camera's intrinsics (JSON); once, or once for each image", **each)
    add("--extrinsics", help="the camera's pose (JSON); once for each image", **each)
    add("--depth-unit", type=float, default=0.001, metavar="M", help="metres a count of integer images (default 0.001)")
    add("--model", type=Path, metavar="FILE", help="model file (default: $GIGA_MODEL, else the shipped)")
    add("--device", default="cpu", metavar="NAME", help="where the network runs: cpu, cuda, cuda:1 (default cpu)")
    add("--threshold", type=float, default=0.5, metavar="Q", help="least quality, 0 to 1 (default 0.5)")
    add(
        "--out-threshold",
        type=float,
        default=0.5,
        metavar="V",
        help="TSDF value above which a place is in front of a surface (default 0.5; the authors' benchmark: 0.1)",
    )
    add(
        "--resolution",
        type=int,
        default=40,
        metavar="N",
        help="grasp centres a side of the workspace (default 40; GIGA (HR): 60)",
    )
    add(
        "--mode",
        default="auto",
        metavar="MODE",
        help="plain (the network alone), fast (a second look), careful (all that helps), or auto: fast where the model "
        "has a judge, else plain (default auto)",
    )
    add(
        "--select",
        default="best",
        metavar="POLICY",
        help="which grasp comes first: best, highest (of those above 0.5: SHAF) or random (default best)",
    )
    add("--seed", type=int, metavar="N", help="what --select random draws from (default: anew each time)")
    add("--max-grasps", type=int, default=0, metavar="N", help="write at most N grasps (default: all)")
    add(
        "--mesh",
        type=Path,
        metavar="FILE",
        help="write the reconstructed objects, unseen sides too: .ply (coloured by affordance), .obj, .stl",
    )
    add("--mesh-resolution", type=int, default=80, metavar="N", help="cells a side of the workspace (default 80)")
    add("--mesh-triangles", type=int, default=20_000, metavar="N", help="triangles at most (default 20000)")
    add(
        "--affordance",
        type=Path,
        metavar="FILE",
        help="write the surface that was seen, coloured by affordance: .ply, .obj",
    )
    add(
        "--output",
        type=Path,
        default=Path("giga_detect"),
        metavar="FOLDER",
        help="where to write grasps and picture (default ./giga_detect)",
    )


def run(args: argparse.Namespace) -> int:
    """Detect, write, and say what was found."""
    _check(args)
    _check_mesh_names(args)

    import numpy as np

    from giga_perception.detection import GraspDetector
    from giga_perception.detection_file import detection_record, write_detection
    from giga_perception.picture import draw_detection
    from giga_perception.selection_policy import policy_named
    from giga_perception.weights import ModelFileError

    try:
        policy = policy_named(args.select, np.random.default_rng(args.seed))
        views = _views(args)
        detector = GraspDetector.from_file(
            args.model,
            resolution=args.resolution,
            threshold=args.threshold,
            out_threshold=args.out_threshold,
            policy=policy,
            mode=args.mode,
            device=args.device,
        )
        detection = detector.detect(views)
        mesh = None
        if args.mesh is not None:
            mesh = detector.reconstruct(detection.tsdf, args.mesh_resolution, args.mesh_triangles)
    except (ModelFileError, ValueError) as error:
        raise UserError(str(error)) from None
    record = detection_record(detection, views, _source(args), args.max_grasps)
    _print_grasps(record["grasps"], detection.report.message)

    written = [args.output / RECORD_NAME, args.output / PICTURE_NAME]
    others = len(args.depth) - 1
    try:
        write_detection(written[0], record)
        print("drawing the picture ...", flush=True)
        title = args.depth[0].name + (f" and {others} more" if others else "")
        draw_detection(detection, views[0], written[1], title=title)
        written += _write_meshes(args, mesh, detection)
    except OSError as error:
        raise UserError(f"{error.filename or args.output}: cannot be written ({error.strerror})") from None
    print("written: " + ", ".join(str(path) for path in written))
    return 0


def _write_meshes(args: argparse.Namespace, mesh: trimesh.Trimesh | None, detection: Detection) -> list[Path]:
    """Write what --mesh and --affordance ask for, and return the names. Raises OSError."""
    from giga_perception.affordance_landscape import affordance_landscape, seen_landscape
    from giga_perception.mesh_file import write_landscape, write_mesh

    written = []
    if mesh is not None:
        print(f"{len(mesh.faces)} triangles" if len(mesh.faces) else "nothing is occupied: the mesh is empty")
        if args.mesh.suffix.lower() == ".ply":
            write_landscape(args.mesh, affordance_landscape(mesh, detection.quality))
        else:
            write_mesh(args.mesh, mesh)
        written.append(args.mesh)
    if args.affordance is not None:
        write_landscape(args.affordance, seen_landscape(detection))
        written.append(args.affordance)
    return written


def _check(args: argparse.Namespace) -> None:
    """What can be said about the arguments before anything is loaded."""
    images = len(args.depth)
    if len(args.extrinsics) != images:
        raise UserError(f"--extrinsics: {images} depth images need as many, in their order, not {len(args.extrinsics)}")
    if len(args.intrinsics) not in (1, images):
        raise UserError(f"--intrinsics: {images} depth images need one for all or {images}, not {len(args.intrinsics)}")
    if not 0.0 <= args.threshold <= 1.0:
        raise UserError(f"--threshold is a quality between 0 and 1, not {args.threshold:g}")
    if not 0.0 < args.out_threshold < 1.0:
        raise UserError(f"--out-threshold is a TSDF value between 0 and 1, not {args.out_threshold:g}")
    if not 8 <= args.resolution <= 160:
        raise UserError(f"--resolution must be 8 to 160 grasp centres a side, not {args.resolution}")
    if args.max_grasps < 0:
        raise UserError(f"--max-grasps is a number of grasps (0 = all), not {args.max_grasps}")
    if args.seed is not None and args.seed < 0:
        raise UserError(f"--seed is a number of 0 or more, not {args.seed}")
    if not (math.isfinite(args.depth_unit) and args.depth_unit > 0.0):
        raise UserError(f"--depth-unit is metres a count, above 0, not {args.depth_unit:g}")
    if args.output.exists() and not args.output.is_dir():
        raise UserError(f"--output {args.output}: is a file; name a folder")


def _check_mesh_names(args: argparse.Namespace) -> None:
    from giga_perception.mesh_file import COLOURED_SUFFIXES, MESH_SUFFIXES, MeshFileError, check_mesh_path

    for option, path, suffixes in (
        ("--mesh", args.mesh, MESH_SUFFIXES),
        ("--affordance", args.affordance, COLOURED_SUFFIXES),
    ):
        if path is not None:
            try:
                check_mesh_path(path, suffixes)
            except MeshFileError as error:
                raise UserError(f"{option} {error}") from None


def _files(args: argparse.Namespace) -> list[tuple[Path, Path, Path]]:
    """Depth image, intrinsics and extrinsics of each view."""
    intrinsics = args.intrinsics if len(args.intrinsics) > 1 else args.intrinsics * len(args.depth)
    return list(zip(args.depth, intrinsics, args.extrinsics, strict=True))


def _views(args: argparse.Namespace) -> list[DepthView]:
    from giga_perception.recorded_view import read_depth_view

    return [read_depth_view(*files, args.depth_unit) for files in _files(args)]


def _source(args: argparse.Namespace) -> dict[str, Any]:
    """What the record says about where it comes from."""
    names = ("depth", "intrinsics", "extrinsics")
    return {
        "views": [dict(zip(names, map(str, files), strict=True)) for files in _files(args)],
        "resolution": args.resolution,
        "out_threshold": args.out_threshold,
        "select": args.select,
    }


def _print_grasps(grasps: list[dict[str, Any]], message: str) -> None:
    if not grasps:
        print(f"no grasps: {message}" if message else "no grasps")
        return
    print(f"{'rank':>4} {'quality':>8} {'width':>8}   position of the TCP in the workspace")
    for grasp in grasps:
        x, y, z = (100.0 * value for value in grasp["T_workspace_tcp"]["translation_m"])
        width_mm = 1000.0 * grasp["width_m"]
        print(f"{grasp['rank']:>4} {grasp['quality']:>8.2f} {width_mm:>5.0f} mm   {x:5.1f} {y:5.1f} {z:5.1f} cm")
