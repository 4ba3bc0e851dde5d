"""Where a network runs: on the processor unless a CUDA device is asked for."""

from __future__ import annotations

import torch


def usable_device(name: str) -> torch.device:
    """The device of this name ("cpu", "cuda", "cuda:1"). Raises ValueError, saying why, when it cannot be used."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"no device is called '{name}': say cpu, cuda, or cuda:N") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise ValueError(f"device '{name}' is not supported: say cpu, cuda, or cuda:N")
    if not torch.cuda.is_available():
        raise ValueError(
            f"device '{name}' was asked for, but PyTorch {torch.__version__} finds no CUDA device: use cpu, or install "
            "PyTorch for CUDA and its driver"
        )
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise ValueError(f"device '{name}' was asked for, but there are {torch.cuda.device_count()} CUDA devices")
    return device
