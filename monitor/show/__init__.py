"""What is shown: metrics, the built-in page, the HTTP server, the log.  Nothing here probes."""
