# syntax=docker/dockerfile:1.7
# The `hephaestus` program and a base system: one image for every stage, the gateway and the tools. It runs as a user
# without rights, writes to its volumes and /tmp alone, and says what is wrong on standard error.

# The toolchain that CI compiles with, on the base of the final image: both have the same C library.
FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
# The caches stay between builds and never become part of an image; the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --package hephaestus --bin hephaestus \
    && install -D --mode=0755 --strip target/release/hephaestus /out/hephaestus

FROM debian:12.12-slim
# Authorities to trust, for brokers and registries behind TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/hephaestus \
        --shell /usr/sbin/nologin hephaestus \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/hephaestus /srv/repositories
COPY --from=build /out/hephaestus /usr/local/bin/hephaestus
USER 10001:10001
ENV HOME=/var/lib/hephaestus
WORKDIR /var/lib/hephaestus
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/hephaestus"]
CMD ["--help"]
