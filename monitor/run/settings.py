"""What the command line decided about a service; light enough for every command to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from monitor.run.address import Address
from monitor.run.web_config import WebFile


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line decided."""

    listen: Address
    data_dir: Path
    lifecycle: bool = False
    config_path: Path | None = None
    """The file to follow; None where there is none to reload (the demo)."""
    revision: str = ""
    """What this was built from, as the image's build was told."""
    web: WebFile = field(default_factory=lambda: WebFile(None))
    """Who may ask, and how."""
