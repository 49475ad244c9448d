"""A server that keeps every request and answers like Google and AWS, and what of two requests must be equal."""

import base64
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

import jwt

# What belongs to an HTTP client, not to the request.
OF_THE_CLIENT = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length"}

AWS_KEYS = {
    "Code": "Success",
    "AccessKeyId": "AKIDEXAMPLE",
    "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "Token": "IQoJ/session+token==",
}


def answer(method, path):
    """What is said at a path, whoever asks: an object, or text."""
    end = path.partition("?")[0].rsplit("/", 1)[-1]
    if path.startswith("/computeMetadata/") and "recursive=true" in path:
        return {"email": "vm@p.iam.gserviceaccount.com", "aliases": ["default"], "scopes": ["s"]}
    if path.startswith("/computeMetadata/"):
        end = "token"
    if end.endswith(":generateAccessToken"):
        end_of_life = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return {"accessToken": "ya29.impersonated", "expireTime": end_of_life}
    if end.endswith(":signJwt"):
        return {"keyId": "k", "signedJwt": "signed.by.iam"}
    if path.startswith("/latest/"):
        texts = {"token": "imds-session", "availability-zone": "eu-west-3b", "security-credentials": "a-role"}
        return AWS_KEYS if end == "a-role" else texts[end]
    if path.startswith("/subject"):
        return {"id_token": "subject-by-url"} if end == "subject.json" else "subject-by-url"
    if end == "introspect":
        return {"active": True, "username": "principal://iam.googleapis.com/subject/s"}
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return {"access_token": "ya29.recorded", "expires_in": 3599, "token_type": "Bearer", "issued_token_type": kind}


class Recorder(http.server.BaseHTTPRequestHandler):
    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        shown = self.connection.getpeercert(True) if self.server.encrypted else None
        self.server.seen.append((self.command, self.path, headers, body, shown))
        value = answer(self.command, self.path)
        text = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = handle_one

    def log_message(self, *_):
        pass


def serve(seen, certificate=None, clients=None):
    """Serves in the background, with TLS if there is a certificate: (file, key). Clients may show one that the
    file `clients` has signed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen, server.encrypted = seen, certificate is not None
    server.handle_error = lambda *_: None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(clients)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "127.0.0.1:%d" % server.server_address[1]


def assertion(token, keys):
    """A JWT as far as it does not depend on the time, its signature verified if there are keys."""
    header = jwt.get_unverified_header(token)
    key = keys.get(header["alg"]) if keys else None
    claims = jwt.decode(
        token,
        key,
        algorithms=[header["alg"]],
        options={"verify_signature": key is not None, "verify_aud": False},
        leeway=60,
    )
    return {"header": header, "claims": timeless(claims)}


def timeless(claims):
    claims["life"] = claims.pop("exp") - claims.pop("iat")
    # Google's library names Google here, whatever the file says; gauth names where it sends it.
    if claims["aud"].endswith("/token"):
        claims["aud"] = "the token endpoint"
    return claims


def understood(body, media_type, keys):
    """The fields of a form in order, or JSON; what is signed is taken apart."""
    if media_type == "application/json" and body:
        value = json.loads(body)
        if "payload" in value:
            value["payload"] = timeless(json.loads(value["payload"]))
        if value.get("subject_token_type", "").startswith("urn:k8s:"):
            value["subject_token"] = assertion(value["subject_token"], keys)
        return value
    fields = []
    for name, value in urllib.parse.parse_qsl(body, keep_blank_values=True):
        if name == "assertion" and value != "signed.by.iam":
            value = assertion(value, keys)
        elif name == "options" and value.startswith("{"):
            value = json.loads(value)
        fields.append([name, value])
    return fields


def essence(request, keys=None):
    """What must be equal of a request: all but what is the client's, times and random numbers."""
    method, path, headers, body, shown = request
    path, _, query = path.partition("?")
    headers = {k: v for k, v in headers.items() if k not in OF_THE_CLIENT}
    media_type = headers.pop("content-type", "").partition(";")[0] if body else ""
    headers.pop("content-type", None)
    # Language and version of the library come first. Google's libraries have the rest in different orders.
    kind = sorted(headers.pop("x-goog-api-client", "").split(" ")[2:])
    return {
        "method": method,
        "path": path,
        "query": urllib.parse.parse_qs(query),
        "media type": media_type,
        "headers": headers,
        "kind": kind,
        "body": understood(body, media_type, keys),
        "certificate": base64.b64encode(shown).decode() if shown else None,
    }


class Gauth:
    """Runs the program with nothing of ours but its folder."""

    def __init__(self, program, folder):
        self.program, self.home = program, os.path.join(folder, "home")

    def __call__(self, *words, **environment):
        kept = {"HOME": self.home, "PATH": os.environ["PATH"], "NO_GCE_CHECK": "true", **environment}
        done = subprocess.run([self.program, "token", "--no-cache", *words], env=kept, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("gauth: exit %d, %s" % (done.returncode, done.stderr.strip()))
        return done.stdout.strip()


def file_of(folder, name, value):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        json.dump(value, file)
    return path
