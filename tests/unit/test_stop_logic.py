"""What a stop cancels, and until when."""

from __future__ import annotations

from giga_grasping.stop_logic import StopLogic


class FakeServers:
    def __init__(self, **there: bool) -> None:
        self.there = there
        self.canceled: list[str] = []

    def logic(self) -> StopLogic:
        def cancel(name: str) -> bool:
            if self.there[name]:
                self.canceled.append(name)
            return self.there[name]

        return StopLogic({name: lambda name=name: cancel(name) for name in self.there})


def test_a_stop_cancels_every_server_that_is_there_and_names_the_others() -> None:
    servers = FakeServers(controller=True, move=True, grasp=False)
    report = servers.logic().stop()
    assert servers.canceled == ["controller", "move"]
    assert (report.asked, report.missing) == (("controller", "move"), ("grasp",))
    assert "grasp" in report.sentence()


def test_it_keeps_canceling_until_released() -> None:
    servers = FakeServers(controller=True)
    logic = servers.logic()
    assert logic.tick() is None
    logic.stop()
    logic.tick()
    logic.tick()
    assert servers.canceled == ["controller"] * 3
    assert logic.release() is True
    assert logic.tick() is None
    assert servers.canceled == ["controller"] * 3


def test_it_holds_even_when_nothing_is_there_yet() -> None:
    servers = FakeServers(controller=False)
    logic = servers.logic()
    assert "none" in logic.stop().sentence()
    servers.there["controller"] = True
    logic.tick()
    assert servers.canceled == ["controller"]


def test_releasing_what_was_not_stopped() -> None:
    assert FakeServers(controller=True).logic().release() is False
