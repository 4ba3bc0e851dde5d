"""Bring-up of the GIGA grasping stack: the `giga` command, launch files and configuration."""
