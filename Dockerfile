# Untried: linters have checked this file, nobody has built it yet. CONTRIBUTING.md says how.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 lab && install --directory --owner=lab --group=lab /data
WORKDIR /app

COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .

USER 1000
# Runs, caches, data sets and downloaded weights. Whoever reaches the port is a visitor: start it with
# `-e CXR_LAB_SHARED=0` for yourself alone.
ENV CXR_LAB_HOME=/data KERAS_HOME=/data/keras CXR_LAB_SHARED=1 PYTHONUNBUFFERED=1
VOLUME /data

EXPOSE 8501
# The slim image has no curl.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["streamlit", "run", "streamlit_app.py", "--server.address=0.0.0.0", "--server.port=8501", "--server.headless=true"]
