"""The way from the top of a file to a value: `("checks", 3, "timeout", "connect")`."""

Trail = tuple[str | int, ...]
