"""One provider's checks going up and down in invented time, and a target that hears of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from monitor.model import Moment, NotifyTarget, Outage, Reason, Secret
from monitor.notify import book
from monitor.notify.plan import Notice, Scene, Told, step

WALL = 1_795_000_000.0
TARGET = NotifyTarget("ops", "webhook", Secret("http://127.0.0.1:9/"))


def outage_of(check: str, started: float, lag: float = 0.0, **changes: object) -> Outage:
    """An outage that began `started` seconds into the story and was confirmed `lag` later."""
    begin = Moment(WALL + started, started)
    made = Outage(
        f"{check}-{started:.0f}", check, "openai", "gpt", begin, begin.plus(lag), Reason.OVERLOADED
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class World:
    """`at` moves on, checks go down and up, and what is due is told meanwhile."""

    checks: int = 3
    target: NotifyTarget = TARGET
    at: float = 0.0
    told: Told = field(default_factory=Told)
    due: float = inf
    open: dict[str, Outage] = field(default_factory=dict)
    ended: dict[str, Outage] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)

    @property
    def now(self) -> Moment:
        return Moment(WALL + self.at, self.at)

    @property
    def events(self) -> list[str]:
        return [notice.event.value for notice in self.notices]

    def look(self) -> None:
        """Everything that is to be told now."""
        found = sorted(self.open.values(), key=lambda outage: outage.started.wall)
        scene = Scene("openai", tuple(found), self.ended, self.checks)
        for _ in range(20):
            self.told, notice, self.due = step(self.told, scene, self.target, self.now)
            if notice:
                self.notices.append(notice)
            elif self.due > self.at:
                return
        raise AssertionError("it never comes to rest")

    def wait(self, seconds: float) -> World:
        until = self.at + seconds
        while self.due <= until:
            self.at = max(self.at, self.due)
            self.look()
        self.at = until
        return self

    def down(self, *checks: str, lag: float = 0.0) -> World:
        for check in checks:
            if check not in self.open:
                self.open[check] = outage_of(check, self.at - lag, lag)
        self.look()
        return self

    def up(self, *checks: str, known: bool = True) -> World:
        for check in checks:
            if check in self.open:
                over = replace(self.open.pop(check), ended=self.now, end_known=known)
                self.ended[over.id] = over
        self.look()
        return self

    def restart(self, folder: Path) -> World:
        """A new process: what was delivered is in the book, and its clock begins anew."""
        settled = self.notices[-1].told if self.notices else Told()
        book.write(folder / "book", {("ops", "openai"): settled}, self.now)
        self.told = book.read(folder / "book", self.now).get(("ops", "openai"), Told())
        self.look()
        return self
