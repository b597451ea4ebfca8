"""What Grafana makes of a dashboard file, without Grafana.  Pure: no network, no clock.

Reading: every query of every panel, variable and annotation, with the options that decide how it
is asked.  Asking: the step and the `$__` variables as the Prometheus data source computes them from
the range, the width of the panel and the least intervals; variables expanded as it escapes them.
Showing: which text and which colour a value gets from mappings, thresholds and overrides, and what
stands there when there is no value.
"""

from tests.grafana.answers import (
    Field,
    Frame,
    NotUnderstood,
    Series,
    frames,
    legend,
    reduced,
    transformed,
)
from tests.grafana.boards import DAY, HOUR, MINUTE, SECOND, Dashboard, Panel, Query, read
from tests.grafana.looks import Look, is_green, look, settings
from tests.grafana.steps import Plan, Span, built_in, exact, milliseconds, plan, short
from tests.grafana.variables import ALL, UnknownVariable, Variable, expand

__all__ = [
    "ALL",
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Dashboard",
    "Field",
    "Frame",
    "Look",
    "NotUnderstood",
    "Panel",
    "Plan",
    "Query",
    "Series",
    "Span",
    "UnknownVariable",
    "Variable",
    "built_in",
    "exact",
    "expand",
    "frames",
    "is_green",
    "legend",
    "look",
    "milliseconds",
    "plan",
    "read",
    "reduced",
    "settings",
    "short",
    "transformed",
]
