"""PyBullet: objects, scenes, hand trials, data generation, the clutter benchmark, and a mock Panda."""
