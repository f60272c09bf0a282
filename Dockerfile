# One image for every part of a cluster: driver, executors, master, workers. From the checkout:
#   docker build -t cymbal-sales:0.2.0 .
FROM python:3.13-slim-bookworm

# Java for Spark; tini reaps what a driver leaves behind; procps has the ps that Spark asks about its workers.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless procps tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/cymbal

# What changes seldom first: packages, Java and jars are set up again only where a lock file or a pin changed.
COPY requirements.lock requirements-java.lock ./
COPY configs/jars.toml configs/
COPY report/__init__.py report/structured.py report/
COPY scripts scripts
RUN PYTHONPATH=/opt/cymbal python -P -S -m scripts.setup --with s3 --with openlineage \
    && mkdir jars && find var/jars -name '*.jar' -exec ln -s /opt/cymbal/{} jars/ \;

COPY . .
# The path at which Kubernetes finds Python, and Spark's at one that holds no version.
RUN mkdir bin && ln -s /opt/cymbal/docker/python bin/python \
    && ln -s /opt/cymbal/.venv/lib/python3.13/site-packages/pyspark /opt/spark \
    && useradd --uid 10001 --home-dir /opt/cymbal --shell /usr/sbin/nologin cymbal \
    && mkdir -p var/log /data && chown -R cymbal var /data
ENV SPARK_HOME=/opt/spark JAVA_HOME=/opt/cymbal/var/java/home PYTHONPATH=/opt/cymbal
USER 10001

ENTRYPOINT ["/usr/bin/tini", "--", "/opt/cymbal/docker/entrypoint.sh"]
CMD ["submit", "--help"]
