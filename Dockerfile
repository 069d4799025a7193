# The image of sidelight: the static binary and nothing else.
#
#   docker buildx build --platform linux/amd64,linux/arm64 .
#
# Nothing here needs more than a Dockerfile of old, so that buildah builds it as well. The binary is compiled on
# the machine's own platform for the one that is asked for; no emulator runs. The base image is an argument: any
# Debian or Ubuntu with the Rust of Cargo.toml will do. The same sources and the same compiler give the same bytes
# (`tests/image/run` compares two builds), because paths of the machine do not get into the binary.
ARG BUILDER=docker.io/library/rust:1.95-slim-bookworm
# BuildKit sets it; buildah wants --build-arg BUILDPLATFORM=linux/amd64 beside --platform
ARG BUILDPLATFORM

FROM --platform=${BUILDPLATFORM} ${BUILDER} AS build
ARG TARGETARCH=amd64
WORKDIR /src
COPY . .
RUN deploy/image/compile "${TARGETARCH}" /out/sidelight \
    && mkdir -p /out/run/sidelight && chown -R 65532:65532 /out/run && chmod 0750 /out/run/sidelight

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sidelight" \
      org.opencontainers.image.description="Turns the log lines of the application beside it into metrics, spans and a health verdict" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/sidelight /sidelight
# a place for the sockets where nothing is mounted
COPY --from=build --chown=65532:65532 /out/run/sidelight /run/sidelight
# by number: runAsNonRoot cannot look a name up
USER 65532:65532
EXPOSE 19464
ENV SIDELIGHT_LISTEN_DEFAULT=[::]:19464
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s --retries=6 CMD ["/sidelight", "healthcheck"]
ENTRYPOINT ["/sidelight"]
CMD ["run"]
