# Weir needs no build step: Node strips the types. test/interop/image.test.ts runs these steps in a clean folder.
FROM node:26-slim

ENV NODE_ENV=production \
    WEIR_DATA=/var/lib/weir \
    WEIR_LISTEN=0.0.0.0:5000 \
    WEIR_TLS_LISTEN=0.0.0.0:5443

WORKDIR /opt/weir
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --cache /tmp/npm && rm -rf /tmp/npm
COPY src ./src
COPY config ./config

# 1000 is the image's user `node`; a number lets Kubernetes see that it is not root.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/weir && ln -s /opt/weir/src/main.js /usr/local/bin/weir
USER 1000:1000
VOLUME /var/lib/weir
EXPOSE 5000 5443
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", "fetch('http://127.0.0.1:5000/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/main.js", "serve"]
