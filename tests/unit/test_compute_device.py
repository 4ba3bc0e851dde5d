"""A device that cannot be used is refused in words."""

from __future__ import annotations

import pytest
import torch

from giga_perception.compute_device import usable_device


def test_the_processor_is_always_there() -> None:
    assert usable_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:-3"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="say cpu, cuda"):
        usable_device(name)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no CUDA device"):
        usable_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="there are 1 CUDA devices"):
        usable_device("cuda:1")
