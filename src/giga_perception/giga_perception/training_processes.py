"""The processes that train one network together, each on its share of every batch (started by `torchrun`).

Gradients are added up by hand, not by DistributedDataParallel: that one averages over processes, which is wrong when
their shares hold unequal numbers of successes, and it wants the network called whole, not by the quicker encoder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

Value = TypeVar("Value")

# The others wait while the first process validates by simulation.
_WAIT_FOR_OTHERS = timedelta(hours=6)


class LaunchError(Exception):
    """Processes that are to train together cannot; the message says why and what to do."""


@dataclass(frozen=True)
class TrainingProcesses:
    """This process among those of a run. `rank` counts from 0; the first one alone writes and reports."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def agreed(self, value: Value) -> Value:
        """The first process's value."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def make_equal(self, tensors: Iterable[Tensor]) -> None:
        """Gives the tensors the first process's values, in place."""
        if self.count > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, src=0)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Puts the sums over all processes into the tensors, in place, in one exchange."""
        if self.count == 1:
            return
        parts = list(tensors)
        flat = torch.cat([part.detach().float().flatten() for part in parts])
        distributed.all_reduce(flat)
        for part, total in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
            part.detach().copy_(total.view_as(part))


ALONE = TrainingProcesses()


@contextmanager
def launched_processes(device: str) -> Iterator[tuple[TrainingProcesses, str]]:
    """The processes that `torchrun` started, joined while the context lasts, and the device of this one.

    Without torchrun: this process alone, and the device as it was. On several GPUs each process of a machine takes
    one. Raises LaunchError when the processes do not find each other.
    """
    if not distributed.is_torchelastic_launched():
        yield ALONE, device
        return
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=_WAIT_FOR_OTHERS)
    except RuntimeError as error:
        raise LaunchError(
            f"the processes that torchrun started do not find each other ({error}): on one machine start them with "
            "`torchrun --standalone`, on several give each the same --rdzv-endpoint"
        ) from error
    try:
        yield TrainingProcesses(distributed.get_rank(), distributed.get_world_size()), device
    finally:
        distributed.destroy_process_group()
