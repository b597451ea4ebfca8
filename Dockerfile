# Two stages: build a virtual environment with pinned, hashed packages, then copy nothing but it.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python3 -m venv /opt/monitor
COPY requirements.lock .
RUN /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
# setuptools comes with no virtual environment; it builds our own package and stays behind.
RUN /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/monitor/bin/pip uninstall --yes --quiet pip \
    && /opt/monitor/bin/python -m compileall -q /opt/monitor/lib

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="AI chat outage monitor" \
      org.opencontainers.image.description="Talks to AI chat endpoints on a schedule and tells up from down" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/monitor /opt/monitor
COPY checks.yaml /etc/monitor/checks.yaml
RUN mkdir -p /data && chown 65532:65532 /data
ENV PATH=/opt/monitor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MONITOR_CONFIG=/etc/monitor/checks.yaml \
    MONITOR_LISTEN=0.0.0.0:9817 \
    MONITOR_DATA_DIR=/data
# A number, since Kubernetes' runAsNonRoot cannot look a name up.
USER 65532:65532
VOLUME /data
EXPOSE 9817
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s \
  CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9817/-/healthy', timeout=2)"]
ENTRYPOINT ["monitor"]
CMD ["run"]
