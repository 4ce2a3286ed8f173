# One image for every stage; `command` says which: run ingest | hydrate | trigger | status.
# By digest, and so the same for ever: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements/product.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r product.lock

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --no-create-home xnovu
COPY --from=build /venv /venv
WORKDIR /app
COPY xnovu ./xnovu
COPY pipelines ./pipelines
COPY local/xnovu_local ./xnovu_local
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 XNOVU_HEALTH__HOST=0.0.0.0
USER xnovu
EXPOSE 8080
# SIGTERM: what is in hand finishes; give it the 35 s of `transport.stop_timeout` and a little more.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["python", "-m", "xnovu"]
CMD ["run", "all"]
