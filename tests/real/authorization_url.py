"""Compares the URL of a login with the one that google-auth-oauthlib makes for the same client and scopes.

usage: authorization_url.py CLIENT_FILE URL

Prints a table of what differs and why; exits with 1 where something differs that is not in it.
"""

import os
import sys
from urllib.parse import parse_qsl, urlsplit

from google_auth_oauthlib.flow import InstalledAppFlow

# Values that must differ, or may, and why.
OTHERWISE = {
    "state": "unguessable, another one each time",
    "code_challenge": "the hash of another verifier each time",
    "redirect_uri": "gauth names the address of this machine where the client allows it: a name may lead elsewhere",
}
# Parameters that the library does not send, and why gauth does.
MORE = {
    "nonce": "the ID token has to be of this very login (OpenID Connect Core, 3.1.2.1)",
    "prompt": "without it Google gives a refresh token only once",
}
LONG_ENOUGH = {"state": 22, "code_challenge": 43, "nonce": 22}

# The sandbox is at a loopback address.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


def parameters(url):
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    found = dict(pairs)
    assert len(found) == len(pairs), f"a parameter twice: {url}"
    return found


def main(client, url):
    ours = parameters(url)
    flow = InstalledAppFlow.from_client_secrets_file(client, scopes=ours["scope"].split(" "))
    flow.redirect_uri = "http://localhost:8080/"
    theirs_url, _ = flow.authorization_url(access_type="offline")
    theirs = parameters(theirs_url)
    assert urlsplit(url)[:3] == urlsplit(theirs_url)[:3], (url, theirs_url)

    wrong = []
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) == theirs.get(name):
            continue
        why = MORE.get(name) if name not in theirs else OTHERWISE.get(name) if name in ours else None
        print(f"{name:14} {'only gauth' if name not in theirs else 'differs':10} {why or 'WHY?'}")
        if why is None:
            wrong.append((name, ours.get(name), theirs.get(name)))
    short = [name for name, length in LONG_ENOUGH.items() if name in ours and len(ours[name]) < length]
    assert not wrong and not short, (wrong, short)


main(*sys.argv[1:])
