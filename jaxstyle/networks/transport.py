"""Transfers one file over HTTP: goes on where it broke off, and stops above the size it expects.

Between a program and a server there are proxies, and login pages of hotels and trains that answer
in the server's place. What came instead of a file is told apart here, so that the message can say
what to do.
"""

import datetime
import email.utils
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jaxstyle._common.terminal import Stream
from jaxstyle._common.text import printable

# Some servers say with a status in the 400s that they are busy.
_BUSY = (408, 425, 429)
_MANY = float("inf")
# Seconds that a server may ask to wait before the next attempt; nobody sits through more.
_LONGEST_WAIT = 60.0
_CHUNK = 2**16
# The beginning of a page, after a byte order mark, a declaration and comments.
_PAGE = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]{0,200}>\s*)?(<!--.{0,2000}?-->\s*){0,9}<(!doctype html|html)",
    re.IGNORECASE | re.DOTALL,
)

_REMEDY = "set http_proxy and https_proxy to one that works, or unset them"


class TransferError(Exception):
    """An attempt failed.

    Args:
      reason: why, in a few words.
      retries: how many further attempts are worth making.
      wait: how many seconds the server asks to wait before the next.
    """

    def __init__(self, reason: str, retries: float, wait: float = 0.0):
        super().__init__(reason)
        self.retries, self.wait = retries, wait


class Transfer:
    """A file on its way, in one or several attempts.

    Args:
      url: the file's address.
      target: where to put it.
      size: the most bytes that it may have, or None.
      label: what a progress bar says.
      progress: whether to show one on stderr.
      timeout: how many seconds without a byte make a server count as silent.
    """

    def __init__(
        self, url: str, target: Path, size: int | None, label: str, progress: bool, timeout: float
    ):
        self._url, self._target, self._size = url, target, size
        self._label, self._progress, self._timeout = label, progress, timeout
        self._version = ""

    def attempt(self) -> None:
        """Transfers the file, or what an earlier attempt has left of it.

        Raises:
          TransferError: if that failed.
        """
        import requests

        # A server accepts a connection soon; a firewall that drops packets never answers.
        limits = (min(self._timeout, 10.0), self._timeout)
        done = self._target.stat().st_size if self._target.exists() else 0
        # Packed on the way, a file could unpack to any size, and could not be resumed.
        asked = {"Accept-Encoding": "identity"}
        if done:
            asked |= {"Range": f"bytes={done}-"}
            asked |= {"If-Range": self._version} if self._version else {}
        with (
            _explained(self._url, limits),
            requests.get(self._url, headers=asked, stream=True, timeout=limits) as answer,
        ):
            resumed = self._check_status(answer, done)
            self._receive(answer, done if resumed else 0)

    def _check_status(self, answer: Any, done: int) -> bool:
        """Returns whether the answer goes on where the last one ended, or is a whole file."""
        status = answer.status_code
        reason = printable(f"HTTP {status} {answer.reason or ''}".strip())
        if status == 206:
            form = r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)"
            place = re.match(form, answer.headers.get("Content-Range", ""))
            if place and done and int(place[1]) == done:
                return True
            if place and place[1] == "0" and place[3] == str(int(place[2]) + 1):
                return False  # all of it, which some servers call a part
            self._target.unlink(missing_ok=True)
            raise TransferError(f"{reason}, another part of the file than asked for", 1)
        if status == 416:  # what is here already is longer than the file, or of another one
            self._target.unlink(missing_ok=True)
            raise TransferError(reason, 1)
        if status == 511:  # what a login page of this network should say, and few do
            raise TransferError(f"{reason}; open a page in a browser first", 0)
        if status >= 500 or status in _BUSY:
            wait = _seconds(answer.headers)
            if wait > _LONGEST_WAIT:
                raise TransferError(f"{reason}; it asks to come back in {wait:,.0f} s", 0)
            raise TransferError(reason, _MANY, wait)
        if status != 200:
            raise TransferError(reason, 0)
        return False

    def _receive(self, answer: Any, done: int) -> None:
        from tqdm import tqdm

        self._version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if self._version.startswith("W/"):  # such a tag does not promise the same bytes
            self._version = ""
        length = answer.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() and len(length) < 16 else None
        self._check_size(total or 0)
        with (
            self._target.open("ab" if done else "wb") as file,
            tqdm(
                desc=self._label,
                total=total,
                initial=done,
                unit="B",
                unit_scale=True,
                file=Stream(sys.stderr),
                disable=not self._progress,
            ) as bar,
        ):
            for chunk in answer.iter_content(_CHUNK):
                if not done:
                    _check_no_page(answer, chunk)
                done += len(chunk)
                self._check_size(done)
                file.write(chunk)
                bar.update(len(chunk))
        if not done:
            raise TransferError("the answer was empty", 1)

    def _check_size(self, size: int) -> None:
        if self._size is not None and size > self._size:
            self._target.unlink(missing_ok=True)
            raise TransferError(
                f"more than the {self._size:,} bytes that the file has, so something else", 0
            )


def _check_no_page(answer: Any, start: bytes) -> None:
    """Refuses a page that came with a status of success."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    host = printable(urlsplit(answer.url).hostname or "")
    if kind in ("application/json", "application/problem+json"):
        text = printable(" ".join(start[:200].decode("utf-8", "replace").split()))
        raise TransferError(f"a message from {host} came instead of the file: {text}", 0)
    if kind in ("text/html", "application/xhtml+xml") or _PAGE.match(start):
        raise TransferError(
            f"a web page from {host} came instead of the file; if this network wants a login, "
            "open a page in a browser first",
            0,
        )


def _seconds(headers: Mapping[str, str]) -> float:
    """Returns how long a server asks to wait, in either form of Retry-After."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
        return max(0.0, (date - datetime.datetime.now(datetime.UTC)).total_seconds())
    except (ValueError, OverflowError):  # there is none, it is neither form, or no such zone
        return 0.0


@contextmanager
def _explained(url: str, limits: tuple[float, float]) -> Iterator[None]:
    """Turns the errors of requests into a `TransferError` that says what happened."""
    import requests

    proxy = _proxy(url)
    through = f" through the proxy {proxy}" if proxy else ""
    try:
        yield
    except requests.exceptions.ProxyError as error:
        raise TransferError(
            f"the proxy {proxy} failed ({_innermost(error)}); {_REMEDY}",
            1,
        ) from error
    except requests.ConnectTimeout as error:
        # The operating system has retried it already.
        raise TransferError(f"no connection within {limits[0]:g} s{through}", 0) from error
    except requests.Timeout as error:
        raise TransferError(f"no answer for {limits[1]:g} s{through}", _MANY) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise TransferError(f"the connection broke during the transfer{through}", _MANY) from error
    except requests.ConnectionError as error:
        # A server that falls silent in the middle of a file is a ConnectionError, not a Timeout.
        silent = "timed out" in str(error)
        reason = f"no answer for {limits[1]:g} s" if silent else _innermost(error)
        # Without a network, the error should not take long to appear.
        unknown_host = "resolve" in str(error)
        raise TransferError(f"{reason}{through}", 1 if unknown_host else _MANY) from error
    except (requests.RequestException, ValueError) as error:
        reason = _innermost(error)
        if proxy and isinstance(error, ValueError):  # no address, or none of a kind that works
            reason = f"the proxy {proxy} cannot be used ({reason}); {_REMEDY}"
        raise TransferError(reason, 0) from error


def _proxy(url: str) -> str:
    """Returns the proxy that requests takes for an address, without name and password."""
    from requests.utils import get_environ_proxies, select_proxy

    try:
        proxy = select_proxy(url, get_environ_proxies(url)) or ""
        parts = urlsplit(proxy if "://" in proxy or not proxy else f"//{proxy}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "of the environment"
    return printable(f"{parts.hostname or ''}{port}")


def _innermost(error: BaseException) -> str:
    """Returns what the operating system said, from inside the errors of requests."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return printable(inner.strerror.lower())
        inner = inner.__cause__ or inner.__context__
    return printable(" ".join(str(error).split())[:200])
