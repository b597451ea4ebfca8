"""The AI chat outage monitor: it really talks to chat endpoints and tells up from down."""

__version__ = "0.1.0"
