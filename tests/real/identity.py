"""Verifies an ID token from standard input as a service would, for the audience that is given: with google-auth and with
PyJWT, and the keys of the sandbox it runs in."""

import os
import sys

import google.auth.transport.requests
import jwt
from google.oauth2 import id_token

audience = sys.argv[1]
token = sys.stdin.read().strip()
certs = f"http://{os.environ['GCE_METADATA_HOST']}/oauth2/v3/certs"
request = google.auth.transport.requests.Request()
seen = id_token.verify_token(token, request, audience=audience, certs_url=certs, clock_skew_in_seconds=10)
key = jwt.PyJWKClient(certs).get_signing_key_from_jwt(token)
required = {"require": ["exp", "iat", "iss", "sub"]}
claims = jwt.decode(token, key.key, algorithms=["RS256"], audience=audience, leeway=10, options=required)
assert claims == seen, (claims, seen)
assert claims["iss"] in ("https://accounts.google.com", "accounts.google.com"), claims
