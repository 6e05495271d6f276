# Built in one stage, run in another: no compiler, no uv, no development group and no pretend AWS in the image.
FROM python:3.11.14-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /app
# The version the Makefile uses; a test compares the two.
RUN pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project --no-cache
COPY manage.py ./
COPY imdsdash imdsdash
COPY migration migration
COPY static static
COPY templates templates
COPY deploy deploy
# Static files are compressed once, here. The key is only for this step: the settings ask for one.
RUN python -m compileall -q deploy imdsdash migration manage.py \
    && SECRET_KEY="only-while-the-image-is-being-built" IMDSDASH_DATA_DIR=/data \
       .venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && rm -f /data/secret.key

FROM python:3.11.14-slim-bookworm
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    IMDSDASH_DATA_DIR=/data
RUN groupadd --gid 10001 imdsdash \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin imdsdash \
    && install --directory --owner=10001 --group=10001 --mode=0700 /anchors
WORKDIR /app
COPY --from=build /app /app
COPY --from=build --chown=10001:10001 /data /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["python", "deploy/healthcheck.py", "web"]
# Nothing is written but to /dev/shm and /tmp, so the root file system may be read-only.
CMD ["gunicorn", "imdsdash.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", \
     "--threads", "8", "--timeout", "60", "--graceful-timeout", "30", "--worker-tmp-dir", "/dev/shm", \
     "--no-control-socket"]
