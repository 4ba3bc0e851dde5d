"""Ranked grasps to motion to a lifted object: planner, executor and safety nodes."""
