"""What one measured piece of work took."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Took:
    """Seconds, and how many events they were spent on."""

    seconds: float
    events: int
    peak: int = 0
    """The most memory that the process held, bytes."""
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds by part of the work, where they were asked for."""

    @property
    def rate(self) -> float:
        """Return events a second."""
        return self.events / self.seconds
