"""The same credential given to google-auth and to gauth: both must send the same, but for times and audience.

Usage: recorder.py GAUTH FOLDER; prints one line for each check.
"""

import os
import sys

from recording import Gauth, essence, file_of, serve

GAUTH, FOLDER = sys.argv[1:3]
SEEN = []
failed = False

HOST = serve(SEEN)
URL = "http://%s/token" % HOST
os.environ.update(GCE_METADATA_HOST=HOST, GCE_METADATA_IP=HOST, GCE_METADATA_ROOT=HOST)

import google.auth.compute_engine  # noqa: E402  (reads the variables above)
import google.auth.transport.requests  # noqa: E402
import google.oauth2.credentials  # noqa: E402
import google.oauth2.service_account  # noqa: E402


def recorded(action, wanted):
    SEEN.clear()
    action()
    found = [request for request in SEEN if wanted in request[1]]
    return [essence(request) for request in found]


gauth = Gauth(GAUTH, FOLDER)


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
robot = file_of(FOLDER, "robot.json", ROBOT)
user = file_of(FOLDER, "user.json", {**USER, "token_uri": URL})


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
    lambda: gauth("--scopes", A + "," + B, GCE_METADATA_HOST=HOST, NO_GCE_CHECK=""),
    "/default/token",
)
compare(
    "a difference is noticed",
    service_account(scopes=[A]),
    lambda: gauth("--credentials", robot, "--scopes", B),
    equal=False,
)
sys.exit(failed)
