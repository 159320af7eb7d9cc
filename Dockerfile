# docker build -t signup-relay .
# docker run --rm -p 127.0.0.1:8000:8000 -v signups:/app/var -e OCAMBA_TOKEN=… -e ZAPIER_SECRET=… signup-relay
#
# /app/var holds the submissions (SQLite). Keep that volume: a platform without a persistent disk loses
# them with every restart and needs PostgreSQL, RELAY_DATABASE_URL=postgresql+psycopg://… .
# For amd64, and for arm64, where SQLite is Debian's own instead of a newer one. `make image` builds and tries it.

FROM python:3.13-slim-trixie AS packages
WORKDIR /build
# Where the packages are, for machines without PyPI.
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
COPY requirements.txt .
# From wheels only, so that no compiler is needed anywhere; pip itself does not stay.
# Layers round times of files, and bytecode that goes by them would then be stale: made anew at every start, as the
# root is read-only. So it goes by nothing; of other databases there is none.
RUN python3 -m venv /venv \
    && /venv/bin/python -m pip --disable-pip-version-check install \
        --no-cache-dir --no-compile --require-hashes --only-binary :all: -r requirements.txt \
    && /venv/bin/python -m pip uninstall --yes --quiet pip \
    && /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        -x 'sqlalchemy/(testing|dialects/(mssql|mysql|oracle))/' /venv/lib \
    && printf '%s\n' '#!/venv/bin/python' 'import sys' 'from relay.cli.main import main' 'sys.exit(main())' \
        > /venv/bin/relay \
    && chmod 755 /venv/bin/relay

FROM python:3.13-slim-trixie
# The number is fixed so that the owner of a volume stays the same from image to image.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.13/site-packages/pip* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin relay \
    && install -d -o relay -g relay -m 0700 /app/var
WORKDIR /app
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0
COPY --from=packages /venv /venv
COPY app.py gunicorn.conf.py relay.toml ./
COPY relay relay
# Python's own modules come without bytecode; those that are imported here get theirs.
RUN python -m compileall -q --invalidation-mode unchecked-hash app.py gunicorn.conf.py relay \
    && env -u PYTHONDONTWRITEBYTECODE python -c 'import gunicorn.app.wsgiapp, relay.cli.main, relay.server.hooks'
USER 10001:10001
# Docker's default, but said: where it is not, any `docker kill`, as with HUP, ends what --restart promises.
STOPSIGNAL SIGTERM
VOLUME /app/var
EXPOSE 8000
# In bash alone: a Python every 15 seconds costs more than the relay itself does.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT:-8000} && printf 'GET /readyz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
# gunicorn.conf.py is found in the working directory.
CMD ["gunicorn", "app:app"]
