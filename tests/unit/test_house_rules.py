"""The shape of the project: imports run one way, packages agree on a version, interfaces are listed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OWN_PACKAGES = ("giga_msgs", "giga_perception", "giga_sim", "giga_grasping", "giga_bringup")
MAY_IMPORT = {
    "giga_perception": {"giga_msgs"},
    "giga_sim": {"giga_msgs", "giga_perception"},
    "giga_grasping": {"giga_msgs"},
    "giga_bringup": {"giga_msgs", "giga_perception", "giga_sim", "giga_grasping"},
}
ROS_MODULES = ("rclpy", "tf2_ros", "message_filters", "cv_bridge", "tf_transformations", "giga_msgs")
LIBRARIES = (
    "giga_perception.detection",
    "giga_perception.reconstruction",
    "giga_perception.training",
    "giga_sim.label_generation",
    "giga_sim.simulated_cell",
    "giga_grasping.grasp_planner",
    "giga_grasping.pick_sequence",
)


def imported_modules(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def python_files(package: str) -> list[Path]:
    return sorted((REPOSITORY / "src" / package / package).glob("**/*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_between_packages_run_one_way(package: str) -> None:
    assert python_files(package)
    for file in python_files(package):
        others = imported_modules(file) & (set(OWN_PACKAGES) - {package})
        assert others <= MAY_IMPORT[package], f"{file} imports {sorted(others - MAY_IMPORT[package])}"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_what_a_package_imports_stands_in_its_package_xml(package: str) -> None:
    root = ElementTree.parse(REPOSITORY / "src" / package / "package.xml").getroot()
    declared = {element.text for element in root if element.tag.endswith("depend")}
    known = {path.parent.name for path in (REPOSITORY / "underlay" / "src").glob("*/package.xml")}
    known |= {"rclpy", *OWN_PACKAGES}
    known |= {
        "sensor_msgs",
        "geometry_msgs",
        "std_msgs",
        "shape_msgs",
        "std_srvs",
        "trajectory_msgs",
        "diagnostic_msgs",
    }
    known |= {"visualization_msgs", "lifecycle_msgs", "action_msgs", "rosgraph_msgs", "diagnostic_msgs"}
    used = set().union(*(imported_modules(file) for file in python_files(package))) & known
    assert used - declared - {package} == set()


@pytest.mark.parametrize("module", LIBRARIES)
def test_libraries_know_no_ros(module: str) -> None:
    """The science can be imported on a machine that has never seen ROS."""
    probe = f"import sys, {module}; print([name for name in {ROS_MODULES!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith("[]")


def test_all_packages_carry_one_version() -> None:
    versions = set()
    for package in OWN_PACKAGES:
        folder = REPOSITORY / "src" / package
        versions.add(ElementTree.parse(folder / "package.xml").getroot().findtext("version"))
        if (folder / "setup.py").is_file():
            versions.update(re.findall(r'version="([^"]+)"', (folder / "setup.py").read_text()))
    assert len(versions) == 1


def test_every_interface_is_generated_and_commented() -> None:
    folder = REPOSITORY / "src" / "giga_msgs"
    cmake = (folder / "CMakeLists.txt").read_text()
    files = [file for kind in ("msg", "srv", "action") for file in (folder / kind).iterdir()]
    assert files
    for file in files:
        assert f'"{file.parent.name}/{file.name}"' in cmake
        assert "#" in file.read_text()
