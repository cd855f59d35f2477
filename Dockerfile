# The image of pypx: every tool of the suite by its name, px-listen where none is named (docs/container.rst).
#
# Behind a proxy: --build-arg HTTP_PROXY=…, HTTPS_PROXY and NO_PROXY. They are not declared with ARG: an engine
# knows them without, gives them to each RUN, and keeps what is declared in the history of the image.

FROM debian:bookworm-slim AS build

# The Debian release is what pins the versions: it keeps only the last of each, with its security fixes.
# hadolint ignore=DL3008
RUN export http_proxy="${http_proxy:-$HTTP_PROXY}" https_proxy="${https_proxy:-$HTTPS_PROXY}" \
           no_proxy="${no_proxy:-$NO_PROXY}" \
 && apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3-venv \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /source
RUN python3 -m venv /builder
COPY pyproject.toml README.rst LICENSE ./
COPY src src
RUN /builder/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python3 -m venv --without-pip /opt/pypx \
 && /builder/bin/pip --python /opt/pypx install --no-cache-dir "$(echo /wheels/pypx-*.whl)[postgresql]"


FROM debian:bookworm-slim

LABEL org.opencontainers.image.title="pypx" \
      org.opencontainers.image.description="A complete client-side PACS Query/Retrieve/Storage suite" \
      org.opencontainers.image.version="4.0.0" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"

# hadolint ignore=DL3008
RUN export http_proxy="${http_proxy:-$HTTP_PROXY}" https_proxy="${https_proxy:-$HTTPS_PROXY}" \
           no_proxy="${no_proxy:-$NO_PROXY}" \
 && apt-get update \
 && apt-get install --yes --no-install-recommends dcmtk python3 \
 && rm -rf /var/lib/apt/lists/*

COPY --from=build /opt/pypx /opt/pypx
COPY --chmod=0755 docker/entrypoint.py /usr/local/bin/pypx-entrypoint

# Who the images belong to: --build-arg UID="$(id -u)" --build-arg GID="$(id -g)" for a BASEMOUNT of your own.
ARG UID=1000
ARG GID=1000
RUN { getent group "$GID" || groupadd --gid "$GID" pypx; } \
 && useradd --no-log-init --uid "$UID" --gid "$GID" --home-dir /home/dicom --no-create-home pypx \
 && install --directory --owner="$UID" --group="$GID" --mode=0750 /home/dicom

ENV PATH=/opt/pypx/bin:$PATH \
    BASEMOUNT=/home/dicom
USER $UID:$GID
WORKDIR /home/dicom
VOLUME ["/home/dicom"]
EXPOSE 10402
# px-listen takes no more associations, finishes those that are open, packs what came, and ends with 0.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["px-listen", "--status"]
ENTRYPOINT ["pypx-entrypoint"]
