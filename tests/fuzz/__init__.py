"""Fuzzing: bytes of strangers in, nothing but a verdict out.

`mutate` breaks bytes, `targets` says what is fed and what must hold, `explore` runs and guides by
coverage, `wire` is a whole probe against a server that breaks its answers.  `python -m tests.fuzz`
is the long run; the suite runs a bounded one.
"""
