"""`FindPackageShare`: where a package's files are installed."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_prefix

from launch import LaunchContext, Substitution, SubstitutionFailure
from launch.substitution import SomeText, text_of


class FindPackageShare(Substitution):
    """`<prefix>/share/<package>` by the ament index."""

    def __init__(self, package: SomeText) -> None:
        self._package = package

    def perform(self, context: LaunchContext) -> str:
        package = text_of(context, self._package)
        return str(find_package_prefix(package) / "share" / package)


def find_package_prefix(package: str) -> Path:
    """The prefix that a package is installed in. Raises SubstitutionFailure."""
    try:
        return Path(get_package_prefix(package))
    except (LookupError, OSError) as error:  # not in the index; no AMENT_PREFIX_PATH at all
        raise SubstitutionFailure(f"package '{package}' is not installed: {error}") from None
