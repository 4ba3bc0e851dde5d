"""A two-stage detector of GPD's kind, as a baseline: grasp candidates from the seen points, each classified by a CNN.

First hands are placed at sampled points of the cloud and those kept that fit around something; then a small network
looks at the points around each hand, projected onto the hand's planes, and says how likely it holds.
"""
