"""A GitHub of one's own for tests: stateful, at the wire, on real git. See docs/fake-github.md."""

from refinery.testing.clock import Clock
from refinery.testing.faults import Fault, Faults
from refinery.testing.hub import FakeGitHub
from refinery.testing.world import ProblemError, World

__all__ = ["Clock", "FakeGitHub", "Fault", "Faults", "ProblemError", "World"]
