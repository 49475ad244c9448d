"""Tokens made by PyJWT, RS256 and ES256, as `gauth inspect --verify` judges them: good ones are good, and one that is
changed, over, for another audience or signed by another key is not. The program is the first word."""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

gauth = sys.argv[1]
ISSUER, AUDIENCE = "https://issuer.example", "https://service.example"


def key_of(algorithm):
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def public(algorithm, key, kid):
    made_by = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}[algorithm]
    return json.loads(made_by.to_jwk(key.public_key())) | {"kid": kid, "alg": algorithm, "use": "sig"}


def verdict(token, keys):
    words = [gauth, "inspect", "--verify", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", keys, "-"]
    return subprocess.run(words, input=token, capture_output=True, text=True, check=False).returncode


def changed(token):
    head, claims, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
    claims["sub"] = "somebody else"
    claims = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{claims}.{signature}"


with tempfile.TemporaryDirectory() as folder:
    for algorithm in "RS256", "ES256":
        key, other = key_of(algorithm), key_of(algorithm)
        keys = pathlib.Path(folder) / f"{algorithm}.json"
        keys.write_text(json.dumps({"keys": [public(algorithm, key, "one")]}))
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + 600}
        sign = lambda more, by=key: jwt.encode(claims | more, by, algorithm, headers={"kid": "one"})
        for name, token, expected in [
            ("good", sign({}), 0),
            ("good for several", sign({"aud": [AUDIENCE, "https://x.example"]}), 0),
            ("changed", changed(sign({})), 10),
            ("signed by another key", sign({}, other), 10),
            ("over", sign({"iat": now - 900, "exp": now - 300}), 10),
            ("for another audience", sign({"aud": "https://x.example"}), 10),
            ("by another issuer", sign({"iss": "https://x.example"}), 10),
        ]:
            found = verdict(token, str(keys))
            assert found == expected, (algorithm, name, found)
