# One image for producer, consumers, console and the command; docker-compose.yml says which of them a container runs.
FROM node:24.19.0-bookworm-slim AS base
WORKDIR /conveyor

# What npm ci needs and no more, so that its layers last until a package.json changes.
FROM base AS manifests
COPY . .
RUN find . -type f ! -name 'package*.json' ! -name .npmrc -delete && find . -type d -empty -delete

FROM base AS build
COPY --from=manifests /conveyor ./
RUN npm ci
COPY . .
RUN node_modules/.bin/tsc -b producer consumer console source rabbitmq telemetry cli \
 && node console/bundle.mjs \
 && mkdir /app \
 && find . -path ./node_modules -prune -o \( -path '*/dist/*.js' -o -path '*/dist/page/*' -o -path '*/lua/*' -o -path '*/migrations/*' -o -path '*/bin/*' \) -type f -exec cp --parents {} /app \;

FROM base AS dependencies
COPY --from=manifests /conveyor ./
RUN npm ci --omit=dev --workspace=producer --workspace=consumer --workspace=console --workspace=source --workspace=rabbitmq --workspace=telemetry --workspace=cli \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.[cm]ts' \) -delete

FROM base
ENV NODE_ENV=production
COPY --from=dependencies /conveyor ./
COPY --from=build /app ./
RUN ln -s /conveyor/cli/bin/conveyor.mjs /usr/local/bin/conveyor
USER node
ENTRYPOINT ["node", "--import", "@conveyor/telemetry"]
CMD ["producer/dist/main.js"]
