"""Panels as plain dictionaries in Grafana's classic model, and their places on the grid.

Only what Grafana 10 to 13 all read.  Every panel has a title, a sentence that explains it, a unit
or texts, and words for "nothing here".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

Json = dict[str, Any]

#: The least step of what is asked of counters: a check is probed about once a minute.
PROBED = "1m"

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
NOTHING = "No data"

#: Okabe-Ito: told apart with any kind of colour vision.  A text stands beside every colour.
VERMILLION, ORANGE, PURPLE, GREEN = "#D55E00", "#E69F00", "#CC79A7", "#009E73"
GREY, DARK, BLUE, SKY, YELLOW = "#8E8E8E", "#4D4D4D", "#0072B2", "#56B4E9", "#F0E442"

#: The one mapping of states: timeline code, text, colour.
STATES = {
    6: ("Down", VERMILLION),
    5: ("Degraded", ORANGE),
    4: ("Limited", PURPLE),
    3: ("Up", GREEN),
    2: ("Unknown", GREY),
    1: ("Maintenance", BLUE),
    0: (NOTHING, DARK),
}


def mapping(texts: dict[int, tuple[str, str]]) -> list[Json]:
    """Numbers to text and colour."""
    options = {
        str(number): {"text": text, "color": color, "index": index}
        for index, (number, (text, color)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Colours from a value upwards; the first has no lower end."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in pairs],
    }


def ask(expr: str, legend: str = "", *, instant: bool = False, table: bool = False) -> Json:
    """One query: over the range, or `instant` at its end; `table` gives rows with all labels."""
    return {
        "datasource": SOURCE,
        "expr": expr,
        "legendFormat": legend or "__auto",
        "instant": instant or table,
        "range": not (instant or table),
        "format": "table" if table else "time_series",
    }


def panel(
    kind: str, title: str, about: str, width: int, asked: Sequence[Json], **more: Any
) -> Json:
    """A panel without a place; `defaults`, `custom`, `options` and the rest are Grafana's own."""
    defaults = {"noValue": NOTHING, **more.pop("defaults", {}), "custom": more.pop("custom", {})}
    defaults.setdefault("unit", "none")
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"w": width},
        "targets": [{"refId": chr(65 + place), **one} for place, one in enumerate(asked)],
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        **more,
    }


# ---------------------------------------------------------------------------------------- kinds


def stat(title: str, about: str, width: int, asked: Sequence[Json], **more: Any) -> Json:
    """Big words or numbers; coloured as text, or as `background` where the colour is the message."""
    options = {
        "colorMode": more.pop("color_mode", "value"),
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": more.pop("text_mode", "auto"),
        "wideLayout": True,
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "text": {"valueSize": more.pop("size", 32)},
    }
    more.setdefault("defaults", {}).setdefault("color", {"mode": "thresholds"})
    more["defaults"].setdefault("thresholds", steps((None, "text")))
    return panel("stat", title, about, width, asked, options=options, **more)


def timeline(title: str, about: str, width: int, asked: Sequence[Json], **more: Any) -> Json:
    """Rows of coloured spans, one a series.

    A slice is some two pixels wide: what is shorter is seen all the same, and half as much is asked.
    """
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.85,
        **({"perPage": 20} if more.pop("many", True) else {}),
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel(
        "state-timeline", title, about, width, asked,
        options=options | more.pop("options", {}),
        custom={"fillOpacity": 85, "lineWidth": 0, "spanNulls": False},
        defaults={
            "mappings": mapping(STATES), "color": {"mode": "fixed", "fixedColor": DARK},
            **more.pop("defaults", {}),
        },
        **{"interval": "15s", "maxDataPoints": 800, **more},
    )  # fmt: skip


def days(title: str, about: str, width: int, asked: Sequence[Json], **more: Any) -> Json:
    """A cell for each day of the last ninety."""
    return panel(
        "status-history", title, about, width, asked,
        interval="1d", timeFrom="90d", hideTimeOverride=False, maxDataPoints=100,
        options={
            "showValue": "never", "rowHeight": 0.85, "colWidth": 0.9, "perPage": 20,
            "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "single", "sort": "none"},
        },
        custom={"fillOpacity": 85, "lineWidth": 0},
        defaults={
            "mappings": mapping(STATES), "color": {"mode": "fixed", "fixedColor": DARK},
            **more.pop("defaults", {}),
        },
        **more,
    )  # fmt: skip


def lines(
    title: str, about: str, width: int, asked: Sequence[Json], unit: str, **more: Any
) -> Json:
    """Curves with a quiet legend: beside them with their last and highest value, or below.

    Rates are taken over four minutes at least, since a check may be probed once a minute or less;
    the curve reaches over the gap between two probes, and a lone one is a dot.
    """
    beside = more.pop("beside", False)
    legend = {
        "showLegend": more.pop("legend", True),
        "displayMode": "table" if beside else "list",
        "placement": "right" if beside else "bottom",
        "calcs": more.pop("calcs", ["lastNotNull", "max"]) if beside else [],
        **({"sortBy": "Max", "sortDesc": True, "width": 280} if beside else {}),
    }
    custom = {
        "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 8,
        "showPoints": "auto", "spanNulls": 360_000, "axisSoftMin": 0,
        **more.pop("custom", {}),
    }  # fmt: skip
    defaults = {"unit": unit, "color": {"mode": "palette-classic"}, **more.pop("defaults", {})}
    step = more.pop("step", PROBED)
    asked = [{**one, "interval": step} if "$__rate" in one["expr"] else one for one in asked]
    return panel(
        "timeseries", title, about, width, asked, custom=custom, defaults=defaults,
        options={"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}, **more,
    )  # fmt: skip


def bars(title: str, about: str, width: int, asked: Sequence[Json], **more: Any) -> Json:
    """Stacked counts per slice of time."""
    custom = {
        "drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "barAlignment": 0,
        "stacking": {"mode": "normal", "group": "A"}, "spanNulls": False, "axisSoftMax": 1,
    }  # fmt: skip
    return lines(
        title, about, width, asked, "short", custom=custom, interval="1m", step="", calcs=["max"],
        **{"defaults": {"decimals": 0}, **more},
    )  # fmt: skip


def ranking(
    title: str, about: str, width: int, asked: Sequence[Json], unit: str, **more: Any
) -> Json:
    """Horizontal bars, in the order of the query."""
    options = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "text",
        "namePlacement": "left",
        "showUnfilled": True,
        "minVizHeight": 14,
        "minVizWidth": 8,
        "sizing": "auto",
        "text": {"titleSize": 13, "valueSize": 15},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    defaults = {
        "unit": unit, "min": 0, "color": {"mode": "thresholds"},
        "thresholds": steps((None, SKY)), **more.pop("defaults", {}),
    }  # fmt: skip
    return panel("bargauge", title, about, width, asked, options=options, defaults=defaults, **more)


def heatmap(title: str, about: str, width: int, expr: str, unit: str) -> Json:
    """Buckets of a histogram over time."""
    asked = {**ask(expr, "{{le}}"), "format": "heatmap", "exemplar": True, "interval": PROBED}
    options = {
        "calculate": False, "cellGap": 1, "rowsFrame": {"layout": "auto"},
        "color": {"mode": "scheme", "scheme": "Viridis", "steps": 48, "reverse": False, "exponent": 0.5},
        "filterValues": {"le": 1e-9}, "exemplars": {"color": ORANGE},
        "yAxis": {"unit": unit, "axisPlacement": "left", "decimals": 1},
        "legend": {"show": False}, "tooltip": {"mode": "single", "show": True, "yHistogram": False, "showColorScale": False},
    }  # fmt: skip
    return panel("heatmap", title, about, width, [asked], options=options, defaults={"unit": unit})


def table(
    title: str, about: str, width: int, columns: dict[str, Json], labels: dict[str, str],
    sort: str, descending: bool, overrides: Iterable[Json] = (), **more: Any,
) -> Json:  # fmt: skip
    """Instant queries side by side: `columns` name them, `labels` name the labels that are shown.

    Columns appear in the order: columns before `labels` if their name begins with "<", the labels,
    the rest.
    """
    first = [name for name in columns if name.startswith("<")]
    rest = [name for name in columns if not name.startswith("<")]
    places = {name: f"Value #{chr(65 + place)}" for place, name in enumerate(columns)}
    if len(columns) == 1:
        places = dict.fromkeys(columns, "Value")
    order = [places[n] for n in first] + list(labels) + [places[n] for n in rest]
    renamed = {places[name]: name.lstrip("<") for name in columns} | labels
    hidden = dict.fromkeys(more.pop("hidden", ()), True) | {"Time": True}
    return panel(
        "table", title, about, width, list(columns.values()),
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False},
                 "sortBy": [{"displayName": sort, "desc": descending}]},
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False,
                "inspect": False},
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": hidden,
                "indexByName": {name: place for place, name in enumerate(order)},
                "renameByName": renamed}},
        ],
        overrides=[
            {"matcher": {"id": "byType", "options": kind},
             "properties": [{"id": "noValue", "value": "–"}]}
            for kind in ("string", "number")
        ] + list(overrides),
        **{"defaults": {"thresholds": steps((None, "text"))}, **more},
    )  # fmt: skip


def column(name: str, **properties: Any) -> Json:
    """How one column (or series) looks; `__` in a property's name stands for a dot."""
    values = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": values}


def state_column(name: str) -> Json:
    return column(
        name, mappings=mapping(STATES), custom__width=110, noValue=NOTHING,
        thresholds=steps((None, "transparent")),
        custom__cellOptions={"type": "color-background", "mode": "basic", "applyToRow": False},
    )  # fmt: skip


def link(title: str, url: str) -> list[Json]:
    return [{"title": title, "url": url, "targetBlank": False}]


# --------------------------------------------------------------------------------------- layout

WIDTH = 24


def layout(*stripes: tuple[int, Sequence[Json]] | Json) -> list[Json]:
    """Stripes from top to bottom: (height, panels from left to right), or a collapsed row."""
    placed: list[Json] = []
    numbers = count(1)
    y = 0
    for stripe in stripes:
        if isinstance(stripe, dict):
            stripe["id"] = next(numbers)
            stripe["gridPos"] = {"x": 0, "y": y, "w": WIDTH, "h": 1}
            y += 1
            below = y
            for height, panels in stripe.pop("stripes"):
                stripe["panels"] += _stripe(panels, height, below, numbers)
                below += height
            placed.append(stripe)
        else:
            height, panels = stripe
            placed += _stripe(panels, height, y, numbers)
            y += height
    return placed


def _stripe(panels: Sequence[Json], height: int, y: int, numbers: Iterable[int]) -> list[Json]:
    x = 0
    for one in panels:
        one["id"] = next(iter(numbers))
        one["gridPos"] = {"x": x, "y": y, "w": one["gridPos"]["w"], "h": height}
        x += one["gridPos"]["w"]
    if x != WIDTH:
        raise ValueError(f"{[one['title'] for one in panels]} are {x} wide, not {WIDTH}")
    return list(panels)


def collapsed(title: str, *stripes: tuple[int, Sequence[Json]]) -> Json:
    """A row that shows its panels when it is opened."""
    return {"type": "row", "title": title, "collapsed": True, "panels": [], "stripes": stripes}


def heading(title: str) -> Json:
    """A row that only says what follows."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "stripes": ()}


# ------------------------------------------------------------------------------------- dashboard


def variable(name: str, label: str, query: str, **more: Any) -> Json:
    """A list of label values; several or all can be chosen, unless `more` says otherwise."""
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE,
        "query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".+", "hide": 0, "regex": "",
        "current": {"text": "All", "value": "$__all"}, "options": [],
        **more,
    }  # fmt: skip


def annotation(name: str, color: str, expr: str, text: str, *, shown: bool) -> Json:
    return {
        "name": name, "datasource": SOURCE, "enable": shown, "iconColor": color, "expr": expr,
        "step": "60s", "titleFormat": name, "textFormat": text, "tagKeys": "",
        "useValueForTime": False, "hide": False,
    }  # fmt: skip


def dashboard(
    uid: str, title: str, about: str, panels: list[Json], variables: list[Json],
    annotations: list[Json], *, span: str = "now-24h",
) -> Json:  # fmt: skip
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "hide": 0, "refresh": 1, "regex": "", "multi": False, "includeAll": False, "options": [],
        "current": {},
    }  # fmt: skip
    return {
        "id": None, "uid": uid, "title": title, "description": about, "tags": ["aichat"],
        "schemaVersion": 39, "version": 1, "editable": False, "graphTooltip": 1, "refresh": "1m",
        "timezone": "browser", "fiscalYearStartMonth": 0, "weekStart": "",
        "time": {"from": span, "to": "now"},
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m"]},
        "links": [{
            "type": "dashboards", "title": "AI chat", "tags": ["aichat"], "asDropdown": False,
            "includeVars": False, "keepTime": True, "targetBlank": False, "icon": "external link",
            "tooltip": "", "url": "",
        }],
        "annotations": {"list": annotations},
        "templating": {"list": [source, *variables]},
        "panels": panels,
    }  # fmt: skip
