FROM python:3.13-slim AS packages

# In layers of their own: they change less often than the code.
COPY requirements/uv.txt requirements/serve.txt /requirements/
RUN pip install --no-cache-dir --require-hashes --requirement /requirements/uv.txt \
    && python -m venv --without-pip /venv \
    && uv pip sync --no-cache --python /venv/bin/python --require-hashes /requirements/serve.txt


FROM python:3.13-slim

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

WORKDIR /app
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app \
    && install --directory --owner=app --group=app /app/staticfiles

COPY --from=packages /venv /venv
COPY . .

USER 10001
EXPOSE 8000
# No host name is needed, and the answer depends on the database's.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "-m", "config.running", "serve", "--host", "0.0.0.0", "--port", "8000", "--migrate"]
