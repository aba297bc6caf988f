"""One GET, in a process of its own: what another machine says must not get into riskd's.

Run as a file, by itself: it knows nobody and needs nothing but the standard library. The question
comes as JSON on its input: url, timeout_s, token and ca_file. The body goes to its output, and its
status says how it went; whoever started it ends it when its time is up. A redirect is not followed,
no proxy is asked, and of a long body the beginning is no answer. WHAT IT SAYS IS KEPT AND SHOWN:
the token is in none of it.
"""

import http.client
import json
import ssl
import sys
from urllib.parse import urlsplit

BODY_BYTES_MAX = 65_536
UNREACHABLE = 3
UNUSABLE = 4
"""It answered, and not with what was asked for."""
OK = 200


class UnusableError(Exception):
    """What came is no answer."""


def get(url: str, timeout_s: float, token: str | None, ca_file: str | None) -> bytes:
    """The body. Raises UnusableError, OSError or HTTPException."""
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout_s, ca_file)
    headers = {"Accept": "application/json", "User-Agent": "riskd", "Connection": "close"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != OK:
            said = f"it answered with status {response.status}, not {OK}"
            raise UnusableError(said)
        body = response.read(BODY_BYTES_MAX + 1)
    finally:
        connection.close()
    if len(body) > BODY_BYTES_MAX:
        said = f"its answer is longer than {BODY_BYTES_MAX} bytes"
        raise UnusableError(said)
    return body


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float, ca_file: str | None
) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    context = ssl.create_default_context(cafile=ca_file)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def main() -> int:
    """The status."""
    try:
        body = get(**json.load(sys.stdin))
    except UnusableError as error:
        sys.stdout.write(str(error))
        return UNUSABLE
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
        return UNREACHABLE
    except ValueError:
        # The library's words have the header in them, and that is the token.
        sys.stdout.write("the url or the token is such that it can't be asked for")
        return UNREACHABLE
    sys.stdout.buffer.write(body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
