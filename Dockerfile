# The page in the browser, on a CPU: docs/how-to/deploy.md.
FROM python:3.12-slim
RUN useradd --create-home --uid 1000 painter && mkdir /data && chown painter /data
COPY . /source
RUN pip install --no-cache-dir '/source[web,postgres,heif]' && rm -r /source
USER painter
ENV JAXSTYLE_WEB_DATA=/data XDG_CACHE_HOME=/data/cache
VOLUME /data
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthy')"]
# Without a password in JAXSTYLE_WEB_PASSWORD it does not start: a container is there for others.
CMD ["jaxstyle", "serve", "--host", "0.0.0.0"]
