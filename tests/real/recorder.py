"""The same credential given to google-auth and to gauth: both must send the same, but for times, audience and names.

Usage: recorder.py GAUTH FOLDER; prints one line for each check.
"""

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

GAUTH, FOLDER = sys.argv[1:3]
SEEN = []
failed = False


class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps every request and answers like a token endpoint or a metadata server."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        SEEN.append((self.command, self.path, dict(self.headers.lower_items), body))
        value = {"access_token": "ya29.recorded", "expires_in": 3599, "token_type": "Bearer"}
        if "recursive=true" in self.path:
            value = {"email": "vm@p.iam.gserviceaccount.com", "aliases": ["default"], "scopes": ["s"]}
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def parse_request(self):
        good = super().parse_request()
        if good:
            self.headers.lower_items = [(k.lower(), v) for k, v in self.headers.items()]
        return good

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=server.serve_forever, daemon=True).start()
HOST = "127.0.0.1:%d" % server.server_address[1]
URL = "http://%s/token" % HOST
os.environ.update(GCE_METADATA_HOST=HOST, GCE_METADATA_IP=HOST, GCE_METADATA_ROOT=HOST)

import google.auth.compute_engine  # noqa: E402  (reads the variables above)
import google.auth.transport.requests  # noqa: E402
import google.oauth2.credentials  # noqa: E402
import google.oauth2.service_account  # noqa: E402


def part(jwt, index):
    text = jwt.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def essence(request):
    """What must be equal: method, path, query, media type, fields in order, the JWT but for its times."""
    method, path, headers, body = request
    path, _, query = path.partition("?")
    fields = []
    for name, value in urllib.parse.parse_qsl(body, keep_blank_values=True):
        if name == "assertion":
            claims = part(value, 1)
            life = claims["exp"] - claims["iat"]
            value = {
                "header": part(value, 0),
                "claims": {k: v for k, v in claims.items() if k not in ("iat", "exp", "aud")},
                "names": sorted(claims),
                "an hour at most": 0 < life <= 3600,
            }
        fields.append((name, value))
    return {
        "method": method,
        "path": path,
        "query": urllib.parse.parse_qs(query),
        "media type": (headers.get("content-type") or "").partition(";")[0],
        "flavour": headers.get("metadata-flavor"),
        "secret headers": sorted(k for k in headers if k in ("authorization", "cookie")),
        "kind": headers.get("x-goog-api-client", "").split(" ", 2)[2:],
        "fields": fields,
    }


def recorded(action, wanted):
    SEEN.clear()
    action()
    found = [request for request in SEEN if wanted in request[1]]
    return [essence(request) for request in found]


def gauth(*words, **environment):
    home = os.path.join(FOLDER, "home")
    kept = {"HOME": home, "PATH": os.environ["PATH"], **environment}
    subprocess.run([GAUTH, "token", "--no-cache", *words], env=kept, check=True, stdout=subprocess.DEVNULL)


def compare(name, theirs, ours, wanted="/token", equal=True):
    global failed
    try:
        theirs, ours = recorded(theirs, wanted), recorded(ours, wanted)
    except Exception as error:  # whatever a library throws
        failed = True
        return print("FAIL requests: %s: %s" % (name, error))
    if len(theirs) == 1 and (theirs == ours) == equal:
        return print("ok   requests: %s" % name)
    failed = True
    print("FAIL requests: %s\n  google-auth %s\n  gauth       %s" % (name, theirs, ours))


def refresh(credentials):
    credentials.refresh(google.auth.transport.requests.Request())


def file_of(name, value):
    path = os.path.join(FOLDER, name)
    with open(path, "w") as file:
        json.dump(value, file)
    return path


with open(os.path.join(FOLDER, "key.pem")) as file:
    KEY = file.read()
ROBOT = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": "0123456789abcdef",
    "private_key": KEY,
    "client_email": "robot@p.iam.gserviceaccount.com",
    "client_id": "1",
    "token_uri": URL,
}
USER = {
    "type": "authorized_user",
    "client_id": "1-x.apps.googleusercontent.com",
    "client_secret": "GOCSPX-s/e+c=r&t",
    "refresh_token": "1//0refresh-token_with%every&thing",
}
A, B = "https://www.googleapis.com/auth/a", "https://www.googleapis.com/auth/b"
robot = file_of("robot.json", ROBOT)
user = file_of("user.json", {**USER, "token_uri": URL})


def service_account(**more):
    made = google.oauth2.service_account.Credentials.from_service_account_file(robot, **more)
    return lambda: refresh(made)


def authorized_user(**more):
    members = {k: v for k, v in USER.items() if k != "type"}
    made = google.oauth2.credentials.Credentials(None, token_uri=URL, **members, **more)
    return lambda: refresh(made)


compare("service account", service_account(scopes=[A]), lambda: gauth("--credentials", robot, "--scopes", A))
compare(
    "service account, two scopes",
    service_account(scopes=[A, B]),
    lambda: gauth("--credentials", robot, "--scopes", A + "," + B),
)
compare(
    "service account for a user",
    service_account(scopes=[A], subject="u@d.example"),
    lambda: gauth("--credentials", robot, "--scopes", A, "--subject", "u@d.example"),
)
compare("user", authorized_user(), lambda: gauth("--credentials", user))
compare(
    "user, fewer scopes",
    authorized_user(scopes=[A, B]),
    lambda: gauth("--credentials", user, "--scopes", A + "," + B),
)
compare(
    "metadata",
    lambda: refresh(google.auth.compute_engine.Credentials(scopes=[A, B])),
    lambda: gauth("--scopes", A + "," + B, GCE_METADATA_HOST=HOST),
    "/default/token",
)
compare(
    "a difference is noticed",
    service_account(scopes=[A]),
    lambda: gauth("--credentials", robot, "--scopes", B),
    equal=False,
)
sys.exit(failed)
