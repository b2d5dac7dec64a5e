# The wheel is built apart, so that no build tool stays in the image.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY leadflow leadflow
COPY domain domain
COPY projections projections
COPY consumers consumers
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/postgres.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir --no-deps /tmp/wheels/*.whl && rm -r /tmp/wheels /tmp/requirements.txt \
    && useradd --system --create-home --home-dir /var/lib/leadflow leadflow
USER leadflow
WORKDIR /var/lib/leadflow
ENTRYPOINT ["leadflow"]
CMD ["--help"]
