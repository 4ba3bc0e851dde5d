"""The cube in which grasps are detected: frame `workspace`, origin at its lower corner, z up."""

# Side length of the cube in metres (paper, section IV.A).
WORKSPACE_SIZE_M = 0.30

# Height of the table top above the bottom of the cube, in metres. Below it lies the space the fingers may need.
TABLE_HEIGHT_M = 0.05
