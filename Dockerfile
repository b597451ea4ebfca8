# Two stages: build a virtual environment with pinned, hashed packages, then copy nothing but it.
#
#   docker build -t aichat-monitor --build-arg REVISION="$(git rev-parse HEAD)" .
#
# The base is pinned to a patch release; whoever builds for production adds the digest that their
# registry shows (python:3.13.15-slim-bookworm@sha256:...).  Both stages need the same base: the
# environment's `python` is a link to the base's.
ARG BASE=python:3.13.15-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/monitor
COPY requirements.lock ./
RUN /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check \
      --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
# What builds and installs packages stays behind.  Byte code is checked against nothing at run
# time: the files are read-only, and their dates do not survive every builder.
RUN /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/monitor/bin/pip uninstall --yes --quiet setuptools pip \
    && /opt/monitor/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/monitor/lib

FROM ${BASE}
COPY --from=build /opt/monitor /opt/monitor
COPY checks.yaml /etc/monitor/checks.yaml
RUN install -d -o 65532 -g 65532 -m 0755 /data
# Temporary files (the demo's) go to the one place that can be written when the root cannot.
ENV PATH=/opt/monitor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/data \
    MONITOR_CONFIG=/etc/monitor/checks.yaml \
    MONITOR_LISTEN=0.0.0.0:9817 \
    MONITOR_DATA_DIR=/data
# Last, since they change with every build.  The revision is shown by aichat_build_info.
ARG VERSION=0.1.0
ARG REVISION=
ENV MONITOR_REVISION=$REVISION
LABEL org.opencontainers.image.title="AI chat outage monitor" \
      org.opencontainers.image.description="Talks to AI chat endpoints on a schedule and tells up from down" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# A number, since Kubernetes' runAsNonRoot cannot look a name up.
USER 65532:65532
VOLUME /data
EXPOSE 9817
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python3", "-I", "-m", "monitor.healthcheck"]
ENTRYPOINT ["monitor"]
CMD ["run"]
