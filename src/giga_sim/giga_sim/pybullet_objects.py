"""Objects that come with PyBullet, in its package pybullet_data, and that a hand can grasp on a table.

Only names stand here, chosen from what the package holds; shapes and collision shapes are as shipped. Left out are what
is larger than the hand or the cube (the football, trays, tables), what cannot move (the samurai's monastery), cloth,
parts of robots, and the domino, which is thinner than the 8 mm that a trial counts as held.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from giga_sim.urdf_meshes import ObjectSetError

# File, and whether it stands as shipped: dropped from 2 mm, it tilts by less than 3 degrees.
_HOUSEHOLD = {
    "cube_small.urdf": True,
    "duck_vhacd.urdf": False,
    "jenga/jenga.urdf": True,
    "lego/lego.urdf": True,
    "objects/mug.urdf": True,
    "sphere_small.urdf": False,
    "teddy_vhacd.urdf": False,
}
# What is seen of it are its convex parts, which overlap.
_UNIONS_OF_PARTS = ("teddy_vhacd.urdf",)

# 1000 bodies of a few blocks, about 3 x 9 x 12 cm, each the union of its convex parts.
_BLOCKS = range(1000)
# Not these: more than 20 parts (splinters of a failed decomposition), thinner than 12 mm, less than 5 ml, or a corner
# that is no number (168).
_BAD_BLOCKS = """
037 072 086 109 110 123 127 134 167 168 178 230 232 267 278 284 292 295 297 302 304 315 316 321 338 350 355 357 360
362 378 384 395 429 433 439 444 454 479 503 505 507 524 546 552 570 578 580 602 703 706 741 748 777 782 784 795 806
817 824 853 858 859 882 895 897 922 933 990
"""
# These stand as shipped; the others lie down when they are put on a table.
_STANDING_BLOCKS = """
000 001 002 004 005 009 011 014 023 024 027 032 033 034 038 039 041 053 058 059 066 067 069 070 075 080 081 083 089
090 091 094 095 114 115 116 117 118 122 130 132 133 137 142 143 146 149 154 157 159 161 163 166 171 173 176 183 184
187 194 196 197 198 199 200 202 205 207 209 222 223 226 231 235 236 238 239 244 245 246 248 249 250 255 258 260 269
270 272 275 276 277 279 283 288 298 300 308 313 323 325 326 327 328 335 341 342 343 344 345 347 349 363 366 369 380
386 401 403 405 410 412 414 415 419 422 426 431 441 443 448 455 458 459 460 462 466 471 472 473 476 477 478 480 485
491 493 497 498 499 502 513 514 523 535 536 537 538 539 543 549 554 555 565 569 571 574 576 595 597 604 609 612 614
615 616 618 622 623 624 627 628 629 634 637 641 643 645 647 648 649 651 654 656 666 667 668 676 677 678 685 687 694
695 701 705 715 717 719 720 726 729 730 731 735 736 739 740 743 745 749 752 757 759 761 762 763 772 776 778 790 794
797 805 807 808 830 835 837 842 847 855 860 862 863 865 866 879 881 886 894 896 898 899 902 905 906 913 916 918 921
924 931 935 936 938 942 943 946 953 955 956 958 960 962 963 965 966 973 974 981 984 986 987 989 991 992 994 996 998
"""


@dataclass(frozen=True)
class PybulletObject:
    """What an object of the package is called here, its file, and what is known of it (as in ObjectModel)."""

    name: str
    urdf: Path
    stands: bool
    is_union_of_parts: bool


def pybullet_objects() -> list[PybulletObject]:
    """All of them. Raises ObjectSetError when the package lacks one."""
    import pybullet_data

    folder = Path(pybullet_data.getDataPath())
    objects = [
        PybulletObject(Path(file).stem, folder / file, stands, file in _UNIONS_OF_PARTS)
        for file, stands in _HOUSEHOLD.items()
    ]
    bad, standing = set(_BAD_BLOCKS.split()), set(_STANDING_BLOCKS.split())
    for number in (f"{index:03d}" for index in _BLOCKS):
        if number not in bad:
            urdf = folder / "random_urdfs" / number / f"{number}.urdf"
            objects.append(PybulletObject(f"blocks_{number}", urdf, number in standing, True))
    for each in objects:
        if not each.urdf.is_file():
            raise ObjectSetError(f"{each.urdf} is missing; install the package pybullet again")
    return objects
