# A real archive: Orthanc as Debian packages it, in the place of the simulated PACS.
# Packages come from containers/debs/orthanc where containers/images put them, else from the mirror of the base image.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
COPY containers/debs/.gitkeep containers/debs/orthan[c]/ /debs/
# policy-rc.d: the package must not start its own service while the image is built
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
    && if ls /debs/*.deb >/dev/null 2>&1; then dpkg --install /debs/*.deb >/dev/null; \
       else apt-get update -qq && apt-get install -y -qq --no-install-recommends orthanc orthanc-dicomweb >/dev/null; fi \
    && rm -rf /var/lib/apt/lists/* && install -d -o 10001 -g 10001 /state
COPY containers/orthanc.json /etc/stepwedge/
USER 10001:10001
ENTRYPOINT ["Orthanc", "/etc/stepwedge/orthanc.json"]
