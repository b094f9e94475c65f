# syntax=docker/dockerfile:1
# The sidecar's image: a virtual environment made from the wheel alone, on a slim Python, without compiler and source.
#
#   docker build --build-arg PYTHON_DIGEST=sha256:... --build-arg REVISION="$(git rev-parse HEAD)" -t signalbox:0.1.0 .
#
# The digest of the base image has no default: nobody shall get another one than they looked at. Add `--sbom=true
# --provenance=true` for an inventory; packages keep their metadata for it. tests/chart/image.py runs the same steps into a folder.
ARG PYTHON_IMAGE=python:3.13-slim
ARG PYTHON_DIGEST

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST} AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /build
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE NOTICE ./
COPY csrc csrc
COPY src src
COPY image image
RUN image/wheel.sh /build/dist
RUN image/install.sh /build/dist /opt/signalbox

FROM ${PYTHON_IMAGE}@${PYTHON_DIGEST}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="signalbox" \
      org.opencontainers.image.description="The routing brain beside Envoy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/signalbox /opt/signalbox
# The file system may be read-only: everything is compiled already, and nothing is written but to mounted folders.
ENV PATH=/opt/signalbox/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["signalbox"]
