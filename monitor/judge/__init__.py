"""Verdicts and states: pure, no I/O, no clock; `now` always comes in as an argument."""
