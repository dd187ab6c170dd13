"""Time that passes as a test has it, whoever else uses the machine."""

from metamodel.flavor.remote.rate_limit import RateLimiter


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limiter(rate: float) -> tuple[RateLimiter, Clock]:
    """A limiter and its clock."""
    clock = Clock()
    return RateLimiter(rate, clock, clock.sleep), clock
