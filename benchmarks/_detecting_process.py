"""Peak memory of a process that loads a model and detects: VIEW_FILE THREADS MODEL. Prints one line of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from _view_file import read_view

from giga_perception import GraspDetector

DETECTIONS = 20


def peak_mb() -> float:
    """The most memory this program has ever held. Not getrusage's figure, which begins with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024.0


def main() -> None:
    view_file, threads, model = sys.argv[1:]
    torch.set_num_threads(int(threads))
    view = read_view(Path(view_file))
    before_mb = peak_mb()
    detector = GraspDetector.from_file(Path(model) if model else None)
    for _ in range(DETECTIONS):
        detector.detect([view])
    print(json.dumps({"peak_mb": peak_mb(), "beyond_imports_mb": peak_mb() - before_mb}))


if __name__ == "__main__":
    main()
