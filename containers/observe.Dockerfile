# Metrics of the simulated systems, kept and drawn by Prometheus as Debian packages it.
# Packages come from containers/debs/observe where containers/images put them, else from the mirror of the base image.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY containers/debs/.gitkeep containers/debs/observ[e]/ /debs/
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
    && if ls /debs/*.deb >/dev/null 2>&1; then dpkg --install /debs/*.deb >/dev/null; \
       else apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus >/dev/null; fi \
    && rm -rf /var/lib/apt/lists/* && install -d -o 10001 -g 10001 /state
COPY containers/prometheus.yml /etc/stepwedge/
COPY containers/prometheus-console.html /etc/stepwedge/consoles/index.html
USER 10001:10001
ENTRYPOINT ["prometheus"]
