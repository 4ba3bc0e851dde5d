"""Our launch files and parameter files: every argument explained, every parameter one that its node declares."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from giga_bringup import command_line
from giga_bringup.commands import launch as launch_command
from launch import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((REPOSITORY / "launch").glob("*.launch.py"))
# Parameter file -> the package whose node reads it.
PARAMETER_FILES = {
    "sim.yaml": "giga_sim",
    "perception.yaml": "giga_perception",
    "planner.yaml": "giga_grasping",
    "executor.yaml": "giga_grasping",
}


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ament index in which giga_bringup's share folder is the checkout's launch/ and config/."""
    (tmp_path / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/giga_bringup").write_text("")
    (tmp_path / "share/giga_bringup").mkdir()
    for folder in ("launch", "config"):
        (tmp_path / "share/giga_bringup" / folder).symlink_to(REPOSITORY / folder)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.delenv("GIGA_REPOSITORY", raising=False)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_is_explained_and_its_default_is_a_choice(path: Path) -> None:
    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())
    arguments = description.get_launch_arguments()
    assert arguments
    for argument in arguments:
        assert argument.description != "no description given"
        default = "".join(part.perform(LaunchContext()) for part in argument.default_value or ())
        assert not argument.choices or default in argument.choices


@pytest.mark.parametrize("name", PARAMETER_FILES)
def test_parameters_of_config_are_declared_by_their_nodes(name: str) -> None:
    """rclpy ignores a parameter that no node declares, so a misspelt line in a file would go unnoticed."""
    text = (REPOSITORY / "config" / name).read_text()
    parameters = yaml.safe_load(text)["/**"]["ros__parameters"]
    package = PARAMETER_FILES[name]
    words: set[str] = set()
    for source in (REPOSITORY / "src" / package / package).glob("*.py"):
        tree = ast.parse(source.read_text())
        words |= {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    assert set(parameters) <= words, f"{sorted(set(parameters) - words)} appear nowhere in {package}"
    assert all(line.startswith("#") for line in text.splitlines()[:1]), "the file says what it is for"


def giga(*arguments: str) -> int:
    return command_line.main(["launch", *arguments])


def test_show_args_lists_what_is_included_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert giga("sim", "--show-args") == 0
    listing = capsys.readouterr().out
    assert "'scene':" in listing
    assert "one of: packed, pile" in listing
    assert "'use_sim_time':" in listing  # of perception.launch.py


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "there is no launch file nowhere; in launch/ are: perception, sim"),
        (["sim", "scene:=heap"], "argument scene of sim.launch.py is 'heap'; it must be one of packed, pile"),
        (["sim", "seeds:=3"], "sim.launch.py has no argument 'seeds'; it has scene, "),
        (["sim", "scene=pile"], "'scene=pile' is no launch argument: write NAME:=VALUE"),
        ([__file__], "has no function generate_launch_description()"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert giga(*arguments) == command_line.EXIT_USER_ERROR
    assert words in capsys.readouterr().err


def test_the_checkout_s_own_files_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIGA_REPOSITORY", str(REPOSITORY))
    assert launch_command._find("perception") == REPOSITORY / "launch" / "perception.launch.py"
