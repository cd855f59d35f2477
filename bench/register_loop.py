"""Post each of a list of JSON documents, one after another over one connection; a script of its own.

Takes the URL and ``user:password`` as arguments, and the list on standard input.
"""

import base64
import http.client
import json
import sys
from urllib.parse import urlsplit


def main() -> None:
    url = urlsplit(sys.argv[1])
    credentials = base64.b64encode(sys.argv[2].encode()).decode()
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Authorization": f"Basic {credentials}",
    }
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    for document in json.load(sys.stdin):
        connection.request("POST", url.path, json.dumps(document).encode(), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 201:
            sys.exit(f"{answer.status}: {content.decode(errors='replace')}")


if __name__ == "__main__":
    main()
