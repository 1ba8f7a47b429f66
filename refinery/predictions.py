"""What git makes of two commits, remembered: it stays true for as long as a process lives."""

from dataclasses import dataclass, field

from refinery.core.additive import Classification
from refinery.mirror import Mirror, Prediction
from refinery.trees import compare


@dataclass(slots=True)
class Predictions:
    """Merge bases, predicted trees and classified steps on one mirror."""

    mirror: Mirror
    _merges: dict[tuple[str, str], Prediction] = field(default_factory=dict)
    _bases: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _steps: dict[tuple[str, str], Classification] = field(default_factory=dict)

    def bases(self, base: str, head: str) -> tuple[str, ...]:
        """All best common ancestors."""
        if (base, head) not in self._bases:
            self._bases[base, head] = self.mirror.merge_bases(base, head)
        return self._bases[base, head]

    def merge(self, base: str, head: str) -> Prediction:
        """The tree of merging `head` into `base`."""
        if (base, head) not in self._merges:
            self._merges[base, head] = self.mirror.predict(base, head)
        return self._merges[base, head]

    def step(self, old: str, new: str) -> Classification:
        """The classified step from `old` to `new`."""
        if (old, new) not in self._steps:
            self._steps[old, new] = compare(self.mirror.git(), old, new)
        return self._steps[old, new]
