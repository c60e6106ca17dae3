# syntax=docker/dockerfile:1
# The image of the service: one binary on a plain base, nobody's root, nothing written outside the volume.
#
#   docker build -t leadvault .
#   docker run --rm -v leadvault:/var/lib/leadvault leadvault init --data /var/lib/leadvault --durability accept-total-loss
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -p 127.0.0.1:8620:8620 -v leadvault:/var/lib/leadvault leadvault
#
# docs/OPERATIONS.md says which durability to choose and which file systems may hold the volume.

# Both stages stand on one release of Debian, so that the binary finds the C library it was linked with.
ARG DEBIAN=bookworm

# The toolchain is `rust-version` of Cargo.toml. It brings the C compiler that ring and SQLite are built with.
FROM rust:1.95-${DEBIAN} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package leadvault

# No package is installed, so none has to be pinned: the binary needs the C library, and as a client (health, import, verify)
# the certificates of the build stage.
FROM debian:${DEBIAN}-slim
# The uid is fixed, so that the owner of a volume is the same on every host.
RUN groupadd --system --gid 10001 leadvault \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/leadvault --shell /usr/sbin/nologin leadvault \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/leadvault
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=0:0 --chmod=0755 /src/target/release/leadvault /usr/local/bin/leadvault
USER 10001:10001
WORKDIR /var/lib/leadvault
VOLUME ["/var/lib/leadvault"]
EXPOSE 8620
# Loopback, the default, would be the container's own; what is reachable is decided when it is run.
ENV LEADVAULT_LISTEN=0.0.0.0:8620
# The binary asks itself: the image holds no HTTP client. With `[tls]` configured, ask https by a name of the certificate.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/leadvault", "health", "--url", "http://127.0.0.1:8620/healthz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/leadvault"]
CMD ["serve", "--config", "/var/lib/leadvault/leadvault.toml"]
