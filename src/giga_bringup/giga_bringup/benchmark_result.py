"""What a benchmark leaves behind: a JSON file that says on what machine and by which commit it was made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from giga_perception.source_commit import source_commit


def machine_description() -> str:
    """Processor, cores and Python of this machine, without its name."""
    processor = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}"


def write_result(file: Path, report: Mapping[str, Any]) -> None:
    """Writes the report, with commit and machine, to a temporary name first. Raises OSError."""
    document = {**report, "commit": source_commit(), "machine": machine_description()}
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(temporary, file)
