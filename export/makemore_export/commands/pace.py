"""How fast a training is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Pace(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="progress"):
    """How far a training is: `step` of `steps` in all components of its model.

    `loss` is the mean in nats per token since the last evaluation, None before a step is taken;
    `tokens_per_second` is of this process, since the last such record.
    """

    model: str
    step: int
    steps: int
    loss: float | None
    tokens_per_second: float
    seconds_left: float


class Stopwatch:
    """Makes a `Pace` every few seconds of a training of `steps`, of which `done` are behind it.

    Its time begins with the end of the first step: before that, much is done only once. After the
    last step `closing` seconds more are needed.
    """

    def __init__(
        self,
        steps: int,
        done: int,
        clock: Callable[[], float],
        *,
        every: float = 10.0,
        closing: float = 0.0,
    ) -> None:
        self._steps = steps
        self._done = done
        self._first = done + 1
        self._clock = clock
        self._every = every
        self._closing = closing
        self._began = self._last = 0.0
        self._tokens = 0

    def expect(self, steps: int) -> int:
        """So many steps are left; returns how many there are with those that are done."""
        self._steps = self._done + steps
        return self._steps

    def advance(self, model: str, tokens: int, loss: Callable[[], float | None]) -> Pace | None:
        """One step more of so many tokens is done; `loss` is asked only where a pace is due."""
        self._done += 1
        now = self._clock()
        if self._done == self._first:
            self._began = self._last = now
            return None
        self._tokens += tokens
        if now - self._last < self._every:
            return None
        per_step = (now - self._began) / (self._done - self._first)
        pace = Pace(
            model=model,
            step=self._done,
            steps=self._steps,
            loss=loss(),
            tokens_per_second=round(self._tokens / (now - self._last), 1),
            seconds_left=round(per_step * (self._steps - self._done) + self._closing, 1),
        )
        self._last, self._tokens = now, 0
        return pace


def pace_line(pace: Pace) -> str:
    """That of people who read a log."""
    loss = "" if pace.loss is None else f"  loss {pace.loss:.4f}"
    minutes, seconds = divmod(round(pace.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"step {pace.step:6,} of {pace.steps:,}{loss}  {pace.tokens_per_second:,.0f} tokens/s  "
        f"{hours}:{minutes:02}:{seconds:02} left"
    )
