"""How often something went wrong, with what that allows of the true rate."""

from __future__ import annotations

from dataclasses import dataclass

from edgeirf.calib.evaluation.binomial import CONFIDENCE, lower_bound, upper_bound


@dataclass(frozen=True)
class Count:
    """How often something went wrong: ``events`` of ``trials``."""

    events: int
    trials: int

    @property
    def rate(self) -> float | None:
        """Measured share; None of nothing."""
        return self.events / self.trials if self.trials else None

    @property
    def at_least(self) -> float | None:
        """Lower bound of the true rate, exact, one-sided, at 95 % confidence; None of nothing."""
        return lower_bound(self.events, self.trials) if self.trials else None

    @property
    def at_most(self) -> float | None:
        """Upper bound of the true rate, exact, one-sided, at 95 % confidence; None of nothing."""
        return upper_bound(self.events, self.trials) if self.trials else None

    def to_json(self) -> dict[str, int | float | None]:
        """``count``, ``of``, ``rate``, ``upper_bound`` and the bound's ``confidence``."""
        return {
            "count": self.events,
            "of": self.trials,
            "rate": self.rate,
            "upper_bound": self.at_most,
            "confidence": CONFIDENCE,
        }
