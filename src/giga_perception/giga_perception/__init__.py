"""Depth images to ranked 6-DoF grasps and a scene mesh: TSDF fusion, the GIGA network, training, and the perception node."""
