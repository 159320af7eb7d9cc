# docker build -t signup-relay .
# docker run --rm -p 127.0.0.1:8000:8000 -v signups:/app/var -e OCAMBA_TOKEN=… -e ZAPIER_SECRET=… signup-relay
#
# /app/var holds the submissions (SQLite). Keep that volume: a platform without a persistent disk loses
# them with every restart and needs PostgreSQL, RELAY_DATABASE_URL=postgresql+psycopg://… .

FROM python:3.13-slim-bookworm AS packages
WORKDIR /build
COPY requirements.txt .
# Without pip, and from wheels only, so that no compiler is needed anywhere.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python --disable-pip-version-check install \
        --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt

FROM python:3.13-slim-bookworm
# The number is fixed so that the owner of a volume stays the same from image to image.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin relay \
    && install -d -o relay -g relay -m 0700 /app/var
WORKDIR /app
COPY --from=packages /venv /venv
COPY app.py gunicorn.conf.py relay.toml ./
COPY relay relay
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0
USER 10001:10001
VOLUME /app/var
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
# gunicorn.conf.py is found in the working directory.
CMD ["gunicorn", "app:app"]
