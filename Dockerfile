# The image of the service: one binary, no shell tools beyond the base, no root.
#
#   docker build -t leadvault .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:8620:8620 \
#     -v leadvault:/var/lib/leadvault leadvault
#
# docs/OPERATIONS.md says how to make the data directory first, and which file systems may hold it.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package leadvault

FROM debian:bookworm-slim
# The uid is fixed, so that the owner of a volume is the same on every host.
RUN groupadd --system --gid 10001 leadvault \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/leadvault --shell /usr/sbin/nologin leadvault \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/leadvault
COPY --from=build /src/target/release/leadvault /usr/local/bin/leadvault
USER 10001:10001
WORKDIR /var/lib/leadvault
VOLUME ["/var/lib/leadvault"]
EXPOSE 8620
# Loopback, the default, would be the container's own; what is reachable is decided when it is run.
ENV LEADVAULT_LISTEN=0.0.0.0:8620
# The binary asks itself: the image holds no HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/leadvault", "health", "--url", "http://127.0.0.1:8620/healthz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/leadvault"]
CMD ["serve", "--config", "/var/lib/leadvault/leadvault.toml"]
