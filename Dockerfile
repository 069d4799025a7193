# Builds two images that contain static programs only: the sidecar with sidelight-tee, and the injector.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --target sidecar .
#   docker buildx build --platform linux/amd64,linux/arm64 --target injector .
#
# This file uses only basic Dockerfile features, so that buildah can build it too. The programs are
# cross-compiled on the build platform, without an emulator. The base image is an argument: any Debian or
# Ubuntu with the Rust version of Cargo.toml works. The same sources and compiler give the same bytes
# (`tests/image/run` compares two builds), because the binary contains no paths of the build machine.
ARG BUILDER=docker.io/library/rust:1.95-slim-bookworm
# BuildKit sets this; buildah needs --build-arg BUILDPLATFORM=linux/amd64 in addition to --platform
ARG BUILDPLATFORM

FROM --platform=${BUILDPLATFORM} ${BUILDER} AS source
WORKDIR /src
COPY . .

FROM source AS build-injector
ARG TARGETARCH=amd64
RUN deploy/image/compile "${TARGETARCH}" /out sidelight-injector

FROM scratch AS injector
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sidelight-injector" \
      org.opencontainers.image.description="Puts the sidelight sidecar into pods when they are admitted" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-injector /out/sidelight-injector /sidelight-injector
# a number, because runAsNonRoot cannot resolve a name
USER 65532:65532
EXPOSE 8443 19464
ENTRYPOINT ["/sidelight-injector"]
CMD ["serve"]

FROM source AS build-sidecar
ARG TARGETARCH=amd64
RUN deploy/image/compile "${TARGETARCH}" /out sidelight sidelight-tee \
    && mkdir -p /out/run/sidelight && chown -R 65532:65532 /out/run && chmod 0750 /out/run/sidelight

FROM scratch AS sidecar
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sidelight" \
      org.opencontainers.image.description="Turns the log lines of the application beside it into metrics, spans and a health verdict" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-sidecar /out/sidelight /out/sidelight-tee /
# the directory for the sockets if no volume is mounted there
COPY --from=build-sidecar --chown=65532:65532 /out/run/sidelight /run/sidelight
# a number, because runAsNonRoot cannot resolve a name
USER 65532:65532
EXPOSE 19464
ENV SIDELIGHT_LISTEN_DEFAULT=[::]:19464
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s --retries=6 CMD ["/sidelight", "healthcheck"]
ENTRYPOINT ["/sidelight"]
CMD ["run"]
