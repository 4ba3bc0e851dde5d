"""How good a network in training is: figures on held-out scenes and, if asked for, grasping in simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from giga_perception.model_family import GraspModel
from giga_perception.scene_query import GraspNetwork
from giga_perception.training_balance import balancing_weights
from giga_perception.training_batches import CompactScene
from giga_perception.training_recipe import TrainingRecipe
from giga_perception.training_run import SimulatedRecord, TrainingRun
from giga_perception.validation import ValidationFigures, validate

SimulatedCheck = Callable[[GraspNetwork], Mapping[str, float]]
"""Lets a network grasp in simulation: rates in per cent by name, the higher the better; `giga_sim` supplies one."""


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """The averaged network and what all parts of the run took.

    figures: None without validation scenes. simulated: rates by name, None when grasping was not simulated.
    """

    model: GraspModel
    figures: ValidationFigures | None
    steps: int
    seconds: float
    simulated: Mapping[str, float] | None = None


@dataclass(frozen=True)
class SimulatedValidation:
    """Validation by simulated grasping every `every` steps and at the end.

    keep_best: is given each network whose mean rate is higher than that of all before it in the run.
    """

    check: SimulatedCheck
    every: int = 1000
    keep_best: Callable[[TrainingResult], None] | None = None


class TrainingChecks:
    """The checks of one run, made when they are due."""

    def __init__(
        self,
        run: TrainingRun,
        train: Sequence[CompactScene],
        validation: Sequence[CompactScene],
        *,
        recipe: TrainingRecipe,
        validate_every: int,
        simulation: SimulatedValidation | None,
    ) -> None:
        """All checks are due after the last step of the recipe."""
        self._run = run
        self._validation = validation
        self._steps = recipe.steps
        self._recipe = recipe
        self._validate_every = validate_every
        self._simulation = simulation
        self._validated: tuple[int, ValidationFigures | None] = (-1, None)
        # Figures are of balanced labels however training balances them, so that those of different runs compare.
        self._positive_weight, self._negative_weight = balancing_weights(train)

    def due(self, done: int) -> tuple[ValidationFigures | None, Mapping[str, float] | None]:
        """Figures and simulated rates after so many steps, each None when not due; hands on a network that is best."""
        last = done == self._steps
        validated = self._validate(done) if last or done % self._validate_every == 0 else None
        simulation = self._simulation
        if simulation is None or not (last or done % simulation.every == 0):
            return validated, None
        return validated, self._simulate(simulation, done)

    def result(self, done: int) -> TrainingResult:
        """The run after its last step of now; looks again only at what is not known of just this step."""
        record = self._run.simulated
        simulated: Mapping[str, float] | None = None
        if record is not None and record.step == done:
            simulated = record.rates
        if simulated is None and self._simulation is not None and done == self._steps:
            simulated = self._simulate(self._simulation, done)
        return TrainingResult(self._run.averaged(), self._validate(done), done, self._run.seconds, simulated)

    def _validate(self, done: int) -> ValidationFigures | None:
        if self._validation and self._validated[0] != done:
            figures = validate(
                self._run.averaged(),
                self._validation,
                positive_weight=self._positive_weight,
                negative_weight=self._negative_weight,
                views=self._recipe.views,
                views_a_sample=self._recipe.views_a_sample,
            )
            self._validated = (done, figures)
        return self._validated[1]

    def _simulate(self, simulation: SimulatedValidation, done: int) -> Mapping[str, float]:
        model = self._run.averaged()
        rates = dict(simulation.check(model))
        mean = sum(rates.values()) / len(rates)
        before = self._run.simulated
        is_best = before is None or mean > before.best_mean
        self._run.simulated = SimulatedRecord(done, rates, mean if before is None else max(mean, before.best_mean))
        if is_best and simulation.keep_best is not None:
            simulation.keep_best(TrainingResult(model, self._validate(done), done, self._run.seconds, rates))
        return rates
