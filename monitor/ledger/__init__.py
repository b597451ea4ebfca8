"""The ledger: what was confirmed once is remembered, in one SQLite file beside nothing else.

Each fact has one home; everything else is derived from it when it is asked for:

    outages   one row each, open or ended, with the evidence           for ever
    spans     the timeline; a span's row is also the change of state
              that began it, and the seconds of a day are its spans'   for ever
    days      rounds, bad rounds and money per UTC day, counted as
              they happen, because the rounds themselves are forgotten for ever
    probes    one row a round                                          for `retention`
    tracks    streaks and the like, to go on from after a restart;
              the open outage in it is a reference into `outages`      while watched
    runs      when a monitor was at work; between two runs nobody
              looked, so reading shows every check `unknown` there     for ever

A provider's incident is no fact of its own: it is the outages of its checks that overlap.
"""

from monitor.ledger.read import LedgerError, Reader
from monitor.ledger.records import Day, Result, Span
from monitor.ledger.thread import Ledger
from monitor.ledger.writer import Recalled

__all__ = ["Day", "Ledger", "LedgerError", "Reader", "Recalled", "Result", "Span"]
