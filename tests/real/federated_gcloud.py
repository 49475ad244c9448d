"""gcloud and gauth with the same federated logins, in the same gcloud folder: both must send the same.

Usage: federated_gcloud.py GAUTH FOLDER; prints a line for each check. The folder holds subject.txt.
"""

import json
import os
import subprocess
import sys
import urllib.parse

from recording import essence, file_of, serve

GAUTH, FOLDER = sys.argv[1:3]
SEEN = []
HTTP = "http://" + serve(SEEN)
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.path.join(FOLDER, "home"),
    "CLOUDSDK_CONFIG": os.path.join(FOLDER, "gcloud-federated"),
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": HTTP + "/",
    "CLOUDSDK_AUTH_TOKEN_INTROSPECTION_ENDPOINT": HTTP + "/v1/introspect",
    "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
    "CLOUDSDK_CORE_PROJECT": "p",
    "NO_GCE_CHECK": "true",
    # Whatever is not for the recorder goes nowhere: gcloud looks up projects at Google.
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
}
# What gcloud asks for; gauth asks for the third alone unless told otherwise.
SCOPES = ["openid"] + [
    "https://www.googleapis.com/auth/" + name
    for name in ("userinfo.email", "cloud-platform", "appengine.admin", "sqlservice.login", "compute")
]
failed = False


def alike(request):
    """Without what differs for a known reason."""
    request = essence(request)
    # The library in gcloud sends where the account may be used; newer ones and gauth do not, on these requests.
    request["headers"].pop("x-allowed-locations", None)
    if isinstance(request["body"], dict):
        # Order means nothing. gcloud leaves out what the API's description asks for before a delegate's address.
        request["body"]["scope"].sort()
        delegates = request["body"]["delegates"] or []
        request["body"]["delegates"] = [delegate.rsplit("/", 1)[-1] for delegate in delegates]
    else:
        for field in request["body"]:
            if field[0] == "scope":
                field[1] = sorted(field[1].split())
            # Encoded twice, as by the library alone.
            if field[0] == "options" and isinstance(field[1], str):
                field[1] = json.loads(urllib.parse.unquote(field[1]))
    return request


def asked(*commands, good=True, **more):
    SEEN.clear()
    for command in commands:
        done = subprocess.run(command, env={**ENVIRONMENT, **more}, capture_output=True, text=True)
        if good and done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(command), done.stderr))
    return [alike(request) for request in SEEN if not request[1].endswith("/introspect")]


def same(name, theirs, ours, count, equal=True):
    global failed
    try:
        theirs, ours = theirs(), ours()
    except RuntimeError as error:
        failed = True
        return print("FAIL gcloud federated: %s: %s" % (name, error))
    # To act as an account gcloud first asks for its own token, which it then does not use.
    if (theirs[-count:] == ours) == equal and len(ours) == count:
        return print("ok   gcloud federated: %s" % name)
    failed = True
    print("FAIL gcloud federated: %s\n  gcloud %s\n  gauth  %s" % (name, json.dumps(theirs), json.dumps(ours)))


GCLOUD = ["gcloud", "--quiet", "auth"]
TOKEN = [GAUTH, "token", "--no-cache"]
FROM_STORE = [*TOKEN, "--source", "gcloud", "--scopes", ",".join(SCOPES)]
ACT_AS = "--impersonate-service-account=d@p.iam.gserviceaccount.com,t@p.iam.gserviceaccount.com"
WORKLOAD = {
    "type": "external_account",
    "universe_domain": "googleapis.com",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": HTTP + "/v1/token",
    "token_info_url": HTTP + "/v1/introspect",
    "credential_source": {"file": os.path.join(FOLDER, "subject.txt")},
}
WORKFORCE = {
    **WORKLOAD,
    "audience": "//iam.googleapis.com/locations/global/workforcePools/pool/providers/p",
    "workforce_pool_user_project": "payer",
}
URL = HTTP + "/v1/projects/-/serviceAccounts/target@p.iam.gserviceaccount.com:generateAccessToken"
ROBOT = {**WORKLOAD, "service_account_impersonation_url": URL}

for name, value, count in (("workload", WORKLOAD, 1), ("workforce", WORKFORCE, 1), ("as a robot", ROBOT, 2)):
    path = file_of(FOLDER, "for-gcloud.json", value)
    adc = {"GOOGLE_APPLICATION_CREDENTIALS": path}
    # gcloud fails in the end: it wants to know the project, from Google.
    same(
        name + ", ADC",
        lambda: asked([*GCLOUD, "application-default", "print-access-token"], good=False, **adc),
        lambda: asked([*TOKEN, "--source", "env"], **adc),
        count,
    )
    same(
        name + ", logged in",
        lambda: asked([*GCLOUD, "login", "--cred-file=" + path], [*GCLOUD, "print-access-token"]),
        lambda: asked(FROM_STORE),
        count,
    )
    same(
        name + ", logged in, as another",
        lambda: asked([*GCLOUD, "print-access-token", ACT_AS]),
        lambda: asked([*FROM_STORE, ACT_AS]),
        count + 1,
    )
same(
    "a difference is noticed",
    lambda: asked([*GCLOUD, "print-access-token", ACT_AS]),
    lambda: asked([*FROM_STORE, ACT_AS.replace("t@", "u@")]),
    3,
    equal=False,
)
sys.exit(failed)
