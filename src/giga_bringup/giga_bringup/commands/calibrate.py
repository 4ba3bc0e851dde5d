"""`giga calibrate table`: is the workspace where the table is? From a recorded depth image, or a running camera's."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from giga_bringup.errors import UserError

if TYPE_CHECKING:
    from giga_bringup.transform_edit import FileChange
    from giga_perception.camera import DepthView
    from giga_perception.table_plane import TablePlane

SUMMARY = "Find the table in a depth image; says how far the workspace is off, and the transform that corrects it."
EXAMPLES = """  ./giga calibrate table                                 one image of the running camera, pose from tf
  ./giga calibrate table --topic /camera/depth/image_rect_raw --picture table.png
  ./giga calibrate table depth.png --intrinsics K.json --extrinsics T.json     files as ./giga detect reads them
  ./giga calibrate table depth.png --intrinsics K.json --extrinsics T.json --write T.json
  ./giga calibrate table --write config/cell.yaml        change the workspace's pose there, and say which lines

A plane tells height and tilt. Turning about the vertical and position along the table stay as configured."""

IMAGE_TOPIC = "/camera/depth/image_rect_raw"
WORKSPACE_FRAME = "workspace"
CELL_SUFFIXES = (".yaml", ".yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `giga calibrate`."""
    parser.add_argument("what", choices=["table"], help="what to calibrate by")
    parser.add_argument("depth", type=Path, nargs="?", metavar="DEPTH", help="a depth image (default: from --topic)")
    parser.add_argument("--intrinsics", type=Path, metavar="FILE", help="with DEPTH: the camera's intrinsics (JSON)")
    parser.add_argument("--extrinsics", type=Path, metavar="FILE", help="with DEPTH: the camera's pose (JSON)")
    parser.add_argument(
        "--depth-unit", type=float, default=0.001, metavar="M", help="metres a count of integer images (default 0.001)"
    )
    parser.add_argument("--topic", metavar="TOPIC", help=f"the running camera's depth images (default {IMAGE_TOPIC})")
    parser.add_argument("--camera-info", metavar="TOPIC", help="its camera info (default: camera_info beside --topic)")
    parser.add_argument(
        "--workspace-frame", default=WORKSPACE_FRAME, metavar="FRAME", help="the cube's tf frame (default workspace)"
    )
    parser.add_argument("--frame-prefix", default="", metavar="TEXT", help="what tf puts before the robot's link names")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for it (default 10)")
    parser.add_argument(
        "--max-offset",
        type=float,
        default=0.15,
        metavar="M",
        help="how far off the table may be, metres (default 0.15)",
    )
    parser.add_argument(
        "--max-tilt", type=float, default=20.0, metavar="DEG", help="how far it may be tilted, degrees (default 20)"
    )
    parser.add_argument("--cell", type=Path, metavar="FILE", help="the cell (default: the checkout's config/cell.yaml)")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the plane in the depth image")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="put the correction into this file: a cell (.yaml), or the extrinsics (.json)",
    )


@dataclass(frozen=True, eq=False)
class _Looked:
    """The view to look for the table in, and where it came from."""

    view: DepthView
    source: str
    workspace_frame: str
    camera_frame: str
    extrinsics: Path | None


def run(args: argparse.Namespace) -> int:
    """Look, say, draw and, if asked to, write."""
    _check(args)
    looked = _look(args)

    from giga_perception.table_plane import TablePlaneNotFoundError, find_table_plane

    try:
        plane = find_table_plane(looked.view, max_offset_m=args.max_offset, max_tilt_deg=args.max_tilt)
    except TablePlaneNotFoundError as error:
        raise UserError(f"{looked.source}: {error} (look farther with --max-offset and --max-tilt)") from None
    _print_found(plane, looked)
    changes = _changes(args, plane, looked)
    _print_corrections(plane, looked, changes)
    if args.picture is not None:
        from giga_perception.table_plane_picture import draw_table_plane

        try:
            draw_table_plane(plane, looked.view, args.picture, looked.source)
        except OSError as error:
            raise UserError(f"{args.picture}: cannot be written ({error.strerror or error})") from None
        print(f"\npicture: {args.picture}")
    if args.write is not None:
        change = next(change for change in changes if change.path == args.write)
        change.write()
        print(f"\nchanged: {', '.join(f'{change.path}:{each.line}' for each in change.lines)} (as above)")
    return 0


def _check(args: argparse.Namespace) -> None:
    """What can be said about the arguments before anything is loaded."""
    live_only = {"--topic": args.topic, "--camera-info": args.camera_info}
    file_only = {"--intrinsics": args.intrinsics, "--extrinsics": args.extrinsics}
    if args.depth is None:
        given = [name for name, value in file_only.items() if value is not None]
        if given:
            raise UserError(f"{given[0]} belongs to a recorded image: name the depth image too, or leave it out")
    else:
        given = [name for name, value in live_only.items() if value is not None]
        if given:
            raise UserError(f"{given[0]} is of a running camera: leave out either it or {args.depth}")
        missing = [name for name, value in file_only.items() if value is None]
        if missing:
            raise UserError(f"a recorded image needs {' and '.join(missing)} too (see ./giga calibrate --help)")
    if not (math.isfinite(args.depth_unit) and args.depth_unit > 0.0):
        raise UserError(f"--depth-unit is metres a count, above 0, not {args.depth_unit:g}")
    if not 0.0 < args.max_offset <= 0.5:
        raise UserError(f"--max-offset is metres, above 0 and at most 0.5, not {args.max_offset:g}")
    if not 0.0 < args.max_tilt <= 60.0:
        raise UserError(f"--max-tilt is degrees, above 0 and at most 60, not {args.max_tilt:g}")
    if not (math.isfinite(args.timeout) and args.timeout > 0.0):
        raise UserError(f"--timeout is a number of seconds above 0, not {args.timeout:g}")
    if args.picture is not None and args.picture.suffix.lower() != ".png":
        raise UserError(f"--picture {args.picture}: the name must end in .png")
    if args.write is not None and args.write.suffix.lower() not in (*CELL_SUFFIXES, ".json"):
        raise UserError(f"--write {args.write}: name a cell (.yaml) or the extrinsics (.json)")
    if args.write is not None and args.write.suffix.lower() == ".json" and args.write != args.extrinsics:
        raise UserError(f"--write {args.write}: of the .json files, only the one of --extrinsics can be corrected")


def _look(args: argparse.Namespace) -> _Looked:
    if args.depth is not None:
        from giga_perception.input_file import InputFileError
        from giga_perception.recorded_view import read_depth_view

        try:
            view = read_depth_view(args.depth, args.intrinsics, args.extrinsics, args.depth_unit)
        except InputFileError as error:
            raise UserError(str(error)) from None
        return _Looked(view, str(args.depth), args.workspace_frame, "camera_depth_optical_frame", args.extrinsics)

    from giga_perception.live_view_topics import LiveTopics, LiveViewError, live_view

    image_topic = args.topic or IMAGE_TOPIC
    info_topic = args.camera_info or f"{image_topic.rpartition('/')[0]}/camera_info"
    print(f"waiting for a depth image on {image_topic} ...", flush=True)
    topics = LiveTopics(image_topic, info_topic, args.workspace_frame, frame_prefix=args.frame_prefix)
    try:
        live = live_view(topics, args.timeout)
    except LiveViewError as error:
        raise UserError(str(error)) from None
    for remark in live.remarks:
        print(f"note: {remark}")
    return _Looked(live.view, image_topic, args.workspace_frame, live.camera_frame, None)


def _print_found(plane: TablePlane, looked: _Looked) -> None:
    from giga_perception.table_plane import WARN_OFFSET_M, WARN_TILT_DEG, offset_in_words, plane_warning

    print(
        f"{looked.source}: the table {offset_in_words(plane)} the configured one, "
        f"tilted by {plane.tilt_deg:.2f} degrees"
    )
    print(f"  offset    {1000.0 * plane.offset_m:+8.1f} mm    at the middle of the workspace, along the table's normal")
    print(
        f"  tilt      {plane.tilt_deg:8.2f} deg   up is {_numbers(plane.normal_workspace, 4)} "
        f"in {looked.workspace_frame}"
    )
    print(f"  residual  {1000.0 * plane.residual_m:8.1f} mm    how far single readings scatter about it")
    print(
        f"  image     {100.0 * plane.image_share:8.1f} %     of the readings lie on it; around the workspace "
        f"{plane.inliers} of the {plane.readings} looked at"
    )
    limits = f"{1000.0 * WARN_OFFSET_M:g} mm and {WARN_TILT_DEG:g} degrees"
    if plane_warning(plane) is None:
        print(f"That is within {limits}: good enough to grasp; the correction below is for a finer fit.")
    else:
        print(f"That is more than {limits}: correct one of the following, whichever you trust less.")


def _changes(args: argparse.Namespace, plane: TablePlane, looked: _Looked) -> list[FileChange]:
    """What correcting would change in the files at hand: the extrinsics, and the cell."""
    from giga_bringup.transform_edit import cell_change, extrinsics_change

    changes = []
    if looked.extrinsics is not None:
        changes.append(extrinsics_change(looked.extrinsics, plane.corrected_T_camera_workspace))
    writes_cell = args.write is not None and args.write.suffix.lower() in CELL_SUFFIXES
    cell = args.write if writes_cell else args.cell or _default_cell()
    if cell is not None:
        from giga_sim.config_file import ConfigFileError, read_config

        try:
            T_base_workspace = read_config(cell).transform("T_base_workspace")
        except ConfigFileError as error:
            raise UserError(str(error)) from None
        changes.append(cell_change(cell, T_base_workspace * plane.T_workspace_corrected))
    return changes


def _default_cell() -> Path | None:
    """The checkout's cell; None where there is no checkout."""
    from giga_bringup import checkout

    try:
        path = checkout.repository() / "config" / "cell.yaml"
    except UserError:
        return None
    return path if path.is_file() else None


def _print_corrections(plane: TablePlane, looked: _Looked, changes: list[FileChange]) -> None:
    from giga_bringup.transform_edit import quaternion_words, translation_words

    T_workspace_camera = plane.corrected_T_camera_workspace.inv()
    x, y, z = translation_words(T_workspace_camera)
    qx, qy, qz, qw = quaternion_words(T_workspace_camera)
    print(f"\nThe camera's pose, corrected ({looked.workspace_frame} -> {looked.camera_frame}; x y z qx qy qz qw):")
    print(f"  {x} {y} {z} {qx} {qy} {qz} {qw}")
    print(
        f"  ros2 run tf2_ros static_transform_publisher --x {x} --y {y} --z {z} --qx {qx} --qy {qy} --qz {qz} "
        f"--qw {qw} --frame-id {looked.workspace_frame} --child-frame-id {looked.camera_frame}"
    )
    for change in changes:
        if change.path == looked.extrinsics:
            print("the same in the extrinsics' file:")
        else:
            print("\nOr, where tf hangs the camera on the robot and not on the workspace: the workspace, corrected:")
        for sentence in change.sentences():
            print("\n".join(f"  {line}" for line in sentence.splitlines()))


def _numbers(values: object, decimals: int) -> str:
    return "(" + ", ".join(f"{float(value):.{decimals}f}" for value in values) + ")"  # type: ignore[attr-defined]
