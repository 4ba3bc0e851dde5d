"""Which ROS domain a session gets."""

from __future__ import annotations

import os
import socket

import pytest

from giga_bringup import ros_domain
from giga_bringup.errors import UserError
from giga_bringup.ros_domain import session_domain


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.setenv(name, "")  # remembered by monkeypatch, so restored after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(ros_domain.tempfile, "gettempdir", lambda: str(tmp_path))


def test_the_user_s_own_choice_is_kept() -> None:
    os.environ["ROS_DOMAIN_ID"] = "42"
    with session_domain(None) as domain:
        assert domain == 42
    with session_domain(7) as domain:
        assert domain == 7
        assert os.environ["ROS_DOMAIN_ID"] == "7"


def test_two_sessions_get_two_domains_on_this_machine_only() -> None:
    with session_domain(None) as first:
        assert os.environ["ROS_DOMAIN_ID"] == str(first)
        assert os.environ.pop("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST"
        del os.environ["ROS_DOMAIN_ID"]
        with session_domain(None) as second:
            assert second != first


def test_a_domain_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros_domain, "DOMAINS", range(97, 99))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", 7400 + 250 * 97 + 10))
        with session_domain(None) as domain:
            assert domain == 98
            del os.environ["ROS_DOMAIN_ID"]
            with pytest.raises(UserError, match="every ROS domain"), session_domain(None):
                pass


@pytest.mark.parametrize("domain", [-1, 233])
def test_a_domain_that_does_not_exist(domain: int) -> None:
    with pytest.raises(UserError, match=f"ROS domain {domain} does not exist"), session_domain(domain):
        pass
