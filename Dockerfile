# WallTrack, without the embedded PostgreSQL: DATABASE_URL names the server. docker-compose.yml runs it.
# Plain Dockerfile syntax, so that builders without BuildKit can build it too.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# Two environments without a pip of their own: what the image gets, and what makes the project's wheel.
RUN python -m venv --without-pip /opt/walltrack && python -m venv --without-pip /opt/builder
COPY requirements.txt requirements-build.txt ./
RUN pip --python /opt/walltrack/bin/python install --require-hashes --only-binary :all: -r requirements.txt
RUN pip --python /opt/builder/bin/python install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE requirements.in requirements-embedded.in ./
COPY src src
RUN pip --python /opt/builder/bin/python wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && pip --python /opt/walltrack/bin/python install --no-deps --no-index /wheel/*.whl

FROM python:3.11-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="WallTrack" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
# A number, so that Kubernetes and the like can tell that it is not root's. Its home is the one writable place.
RUN groupadd --system --gid 10001 walltrack \
    && useradd --system --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin walltrack
COPY --from=build /opt/walltrack /opt/walltrack
ENV PATH=/opt/walltrack/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    WALLTRACK_API_HOST=0.0.0.0 \
    WALLTRACK_DASHBOARD_HOST=0.0.0.0 \
    WALLTRACK_DATA_DIR=/tmp/walltrack
WORKDIR /tmp
USER 10001:10001
EXPOSE 8000 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["python", "-m", "walltrack.healthcheck"]
CMD ["walltrack", "serve", "--roles", "api,scheduler"]
