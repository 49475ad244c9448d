"""The same credential file given to google-auth and to gauth: what both send must be equal, request by request.

Usage: federation.py GAUTH FOLDER; prints a line for each check. The folder holds key.pem (RSA), ca.pem of a private
authority, and signed by it good.{pem,key} for a server and client.{pem,key} for a client.
"""

import json
import os
import sys
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from recording import AWS_KEYS, Gauth, essence, file_of, serve

GAUTH, FOLDER = sys.argv[1:3]


def at(name):
    return os.path.join(FOLDER, name)


SEEN = []
HOST = serve(SEEN)
TLS_HOST = serve(SEEN, (at("good.pem"), at("good.key")), at("ca.pem"))
HTTP, HTTPS = "http://" + HOST, "https://" + TLS_HOST
os.environ.update(REQUESTS_CA_BUNDLE=at("ca.pem"), NO_PROXY="127.0.0.1")

import google.auth  # noqa: E402
import google.auth.credentials  # noqa: E402
import google.auth.downscoped as downscoped  # noqa: E402
import google.auth.exceptions  # noqa: E402
import google.auth.impersonated_credentials  # noqa: E402
import google.auth.transport.requests  # noqa: E402

gauth = Gauth(GAUTH, FOLDER)
# Where gauth has a setting and google-auth has none: see Transport.
TO_RECORDER = {
    "CLOUDSDK_AUTH_TOKEN_HOST": HTTP + "/token",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": HTTP + "/",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": HTTP + "/",
    "SSL_CERT_FILE": at("ca.pem"),
}
GOOGLE = ("oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com")
PREFIX = "GOOGLE_EXTERNAL_ACCOUNT_"
failed = False


class Transport(google.auth.transport.requests.Request):
    """Sends to the recorder what the library would send to Google."""

    def __call__(self, url, *rest, **more):
        to = urllib.parse.urlsplit(url)
        if to.hostname in GOOGLE:
            url = HTTP + to.path
        return super().__call__(url, *rest, **more)


# --- What may differ: a change to google-auth's requests that makes gauth's of them, and why


def subject_tokens(requests):
    return [field for request in requests for field in request["body"] if field[0] == "subject_token"]


def options_once(requests):
    """google-auth percent-encodes `options` before it encodes the form; Google's other libraries and gauth do not."""
    fields = [field for request in requests for field in request["body"] if field[0] == "options"]
    fields = [field for field in fields if isinstance(field[1], str)]
    for field in fields:
        field[1] = json.loads(urllib.parse.unquote(field[1]))
    return fields


def one_session(requests):
    """google-auth asks AWS's metadata server for a session before each of two questions; gauth has one for both."""
    asked = [request for request in requests if request["path"] == "/latest/api/token"]
    for request in asked[1:]:
        # The last of the equal ones: the first stays where it is.
        del requests[len(requests) - 1 - requests[::-1].index(request)]
    return asked[1:]


def no_delegates(requests):
    """An empty list of delegates in a file is sent as it is by google-auth, by gauth as if it were not there."""
    bodies = [request["body"] for request in requests if isinstance(request["body"], dict)]
    bodies = [body for body in bodies if body.get("delegates") == []]
    for body in bodies:
        body["delegates"] = None
    return bodies


def identity_pays_nothing(requests):
    """The quota project of a federated file goes with the identity's request to IAM, too, from google-auth; from gauth
    only with those of the service account: the identity may have no right to it."""
    federated = any("google-byoid-sdk" in request["kind"] for request in requests)
    paid = [request["headers"] for request in requests if "x-goog-user-project" in request["headers"]]
    for headers in paid if federated else []:
        del headers["x-goog-user-project"]
    return federated and paid


def program_told(requests):
    """With impersonation, google-auth has forgotten the service account when it runs the program; gauth tells it, as
    the AIP wants."""
    if not any("serviceAccounts/" + TARGET in request["path"] for request in requests):
        return []
    fields = [field for field in subject_tokens(requests) if str(field[1]).startswith('[["one"')]
    for field in fields:
        words, told = json.loads(field[1])
        told = {**dict(told), PREFIX + "ID": TARGET, PREFIX + "IMPERSONATED_EMAIL": TARGET}
        field[1] = json.dumps([words, sorted([name, value] for name, value in told.items())])
    return fields


def trimmed(requests):
    """The newline at the end of a file is a part of google-auth's subject token, not of gauth's."""
    fields = [field for field in subject_tokens(requests) if str(field[1]).endswith("\n")]
    for field in fields:
        field[1] = field[1].strip()
    return fields


def resource_signed(requests):
    """google-auth adds x-goog-cloud-target-resource to AWS's request behind the signature; gauth signs it, too."""
    tokens = [field[1] for field in subject_tokens(requests) if isinstance(field[1], dict)]
    for token in tokens:
        token["signed"] = sorted([*token["signed"], "x-goog-cloud-target-resource"])
    return tokens


ALLOWED = [options_once, one_session, no_delegates, identity_pays_nothing, program_told, trimmed, resource_signed]
used = set()


# --- What is signed, taken apart


def aws_request(token):
    """The request in a subject token of AWS's, its signature verified by AWS's own library."""
    request = json.loads(urllib.parse.unquote(token))
    headers = {header["key"].lower(): header["value"] for header in request["headers"]}
    assert len(headers) == len(request["headers"]), "a header twice"
    algorithm, _, rest = headers.pop("authorization").partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    key, date, region, service, end = parts["Credential"].split("/")
    signed = parts["SignedHeaders"].split(";")
    again = AWSRequest(request["method"], request["url"], headers={name: headers[name] for name in signed})
    again.context["timestamp"] = moment = headers.pop("x-amz-date")
    keys = AwsCredentials(AWS_KEYS["AccessKeyId"], AWS_KEYS["SecretAccessKey"])
    auth = SigV4Auth(keys, service, region)
    wanted = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    assert parts["Signature"] == wanted, "AWS's library computes another signature"
    assert moment.startswith(date)
    scope = [algorithm, key, region, service, end]
    return {"url": request["url"], "method": request["method"], "headers": headers, "signed": signed, "scope": scope}


def with_aws_apart(request):
    for field in request["body"]:
        if field[0] == "subject_token" and field[1].startswith("%7B"):
            field[1] = aws_request(field[1])
    return request


with open(at("key.pem"), "rb") as file:
    RSA = serialization.load_pem_private_key(file.read(), None)
EC = ec.generate_private_key(ec.SECP256R1())
PUBLIC = {"RS256": RSA.public_key(), "ES256": EC.public_key()}


def pem(key, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


# --- Comparing


def recorded(action):
    SEEN.clear()
    action()
    return [with_aws_apart(essence(request, PUBLIC)) for request in SEEN]


def same(name, theirs, ours, count, equal=True):
    """Both must send `count` requests, equal but for what is allowed."""
    global failed
    try:
        theirs, ours = recorded(theirs), recorded(ours)
    except Exception as error:  # whatever a library throws
        failed = True
        return print("FAIL requests: %s: %s: %s" % (name, type(error).__name__, error))
    for change in ALLOWED:
        if change(theirs):
            used.add(change)
    if len(ours) == count and (theirs == ours) == equal:
        return print("ok   requests: %s" % name)
    failed = True
    print("FAIL requests: %s, %d of google-auth's, %d of gauth's" % (name, len(theirs), len(ours)))
    for index in range(max(len(theirs), len(ours))):
        pair = [requests[index] if index < len(requests) else {} for requests in (theirs, ours)]
        for key in sorted({*pair[0], *pair[1]}):
            values = [side.get(key) for side in pair]
            if values[0] != values[1]:
                print("     %d %s\n       google-auth %s\n       gauth       %s" % (index, key, *values))


A, B = "https://www.googleapis.com/auth/a", "https://www.googleapis.com/auth/b"


def loaded(path, scopes=(A, B)):
    # With scopes, the loader itself would ask for a token, to look up the project.
    made = google.auth.load_credentials_from_file(path, request=Transport())[0]
    return google.auth.credentials.with_scopes_if_required(made, scopes)


def file_alike(name, value, count, environment=None, **more):
    """The file, as it is, in the hands of both."""
    path = file_of(FOLDER, "given.json", value)
    environment = environment or {}

    def theirs():
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            loaded(path).refresh(Transport())
        finally:
            os.environ.clear()
            os.environ.update(before)

    def ours():
        gauth("--credentials", path, "--scopes", A + "," + B, **TO_RECORDER, **environment)

    same(name, theirs, ours, count, **more)


# --- Federated identities

TARGET = "target@p.iam.gserviceaccount.com"
IMPERSONATION = "%s/v1/projects/-/serviceAccounts/%s:generateAccessToken" % (HTTP, TARGET)
PROVIDER = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p"
WORKFORCE = "//iam.googleapis.com/locations/global/workforcePools/pool/providers/p"


def external(source, kind="urn:ietf:params:oauth:token-type:jwt", **more):
    return {
        "type": "external_account",
        "universe_domain": "googleapis.com",
        "audience": PROVIDER,
        "subject_token_type": kind,
        "token_url": HTTP + "/v1/token",
        "credential_source": source,
        **more,
    }


def external_alike(name, value, count, impersonation=IMPERSONATION, **more):
    """As it is, as a service account, and so for another while."""
    file_alike(name, value, count, **more)
    value = {**value, "service_account_impersonation_url": impersonation}
    file_alike(name + ", as a service account", value, count + 1, **more)
    value["service_account_impersonation"] = {"token_lifetime_seconds": 2800}
    value["quota_project_id"] = "qp"
    file_alike(name + ", as a service account for 2800 s, with quota project", value, count + 1, **more)


with open(at("subject.txt"), "w") as file:
    file.write("subject-by-file+/=&%")
file_of(FOLDER, "subject.json", {"id_token": "subject-by-json"})
JSON = {"type": "json", "subject_token_field_name": "id_token"}

external_alike("a file with text", external({"file": at("subject.txt")}), 1)
with open(at("line.txt"), "w") as file:
    file.write("subject-in-a-line\n")
file_alike("a file with a line", external({"file": at("line.txt")}), 1)
external_alike("a file with JSON", external({"file": at("subject.json"), "format": JSON}), 1)
external_alike("a URL with text", external({"url": HTTP + "/subject.txt?api-version=2&x=%2F"}), 2)
by_url = {"url": HTTP + "/subject.json", "headers": {"X-Example": "value", "Metadata": "True"}, "format": JSON}
external_alike("a URL with JSON and headers", external(by_url), 2)

program = at("program.py")
with open(program, "w") as file:
    # What it is told comes back as the subject token, so that both must say the same to it.
    file.write(
        """import json, os, sys
names = sorted(name for name in os.environ if name.startswith("GOOGLE_EXTERNAL_ACCOUNT_"))
told = json.dumps([sys.argv[1:], [[name, os.environ[name]] for name in names]])
kind = os.environ["GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE"]
field = "saml_response" if kind.endswith("saml2") else "id_token"
print(json.dumps({"version": 1, "success": True, "token_type": kind, field: told, "expiration_time": 4102444800}))
"""
    )
by_program = {"command": "%s %s one 'two words' --three=3" % (sys.executable, program), "timeout_millis": 8000}
allowed = {"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1"}
external_alike("a program", external({"executable": by_program}), 1, environment=allowed)
saml = external({"executable": by_program}, "urn:ietf:params:oauth:token-type:saml2", audience=WORKFORCE)
file_alike("a program with SAML", saml, 1, environment=allowed)
answer = {"version": 1, "success": True, "token_type": "urn:ietf:params:oauth:token-type:jwt", "id_token": "kept"}
kept = file_of(FOLDER, "kept.json", {**answer, "expiration_time": 4102444800})
by_file = external({"executable": {**by_program, "output_file": kept}})
file_alike("a program's file", by_file, 1, environment=allowed)
over = file_of(FOLDER, "kept-over.json", {**answer, "expiration_time": 1})
by_file = external({"executable": {**by_program, "output_file": over}})
file_alike("a program's file, over", by_file, 1, environment=allowed)

aws = {
    "environment_id": "aws1",
    "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
}
machine = {
    **aws,
    "region_url": HTTP + "/latest/meta-data/placement/availability-zone",
    "url": HTTP + "/latest/meta-data/iam/security-credentials",
}
session = {**machine, "imdsv2_session_token_url": HTTP + "/latest/api/token"}
AWS = "urn:ietf:params:aws:token-type:aws4_request"
keys = {"AWS_ACCESS_KEY_ID": AWS_KEYS["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": AWS_KEYS["SecretAccessKey"]}
keys["AWS_REGION"] = "us-east-2"
external_alike("AWS, variables", external(aws, AWS), 1, environment=keys)
temporary = {**keys, "AWS_SESSION_TOKEN": AWS_KEYS["Token"]}
file_alike("AWS, variables of a session", external(machine, AWS), 1, environment=temporary)
file_alike("AWS, the region alone", external(machine, AWS), 3, environment={"AWS_DEFAULT_REGION": "eu-north-1"})
external_alike("AWS, the machine", external(machine, AWS), 4)
external_alike("AWS, the machine with a session", external(session, AWS), 5)

paying = {"audience": WORKFORCE, "workforce_pool_user_project": "payer"}
external_alike("workforce", external({"file": at("subject.txt")}, **paying), 1)
client = {"client_id": "1-x.apps.example.com", "client_secret": "s/e+c=r&t: ä"}
external_alike("workforce with a client", external({"file": at("subject.txt")}, **paying, **client), 1)
file_alike("a client alone", external({"file": at("subject.txt")}, **client), 1)

pair = {"cert_path": at("client.pem"), "key_path": at("client.key")}
config = file_of(FOLDER, "certificate_config.json", {"cert_configs": {"workload": pair}})
MTLS = "urn:ietf:params:oauth:token-type:mtls"
by_config = {"certificate": {"certificate_config_location": config}}
by_usual = {"certificate": {"use_default_certificate_config": True, "trust_chain_path": at("ca.pem")}}
by_variable = {"GOOGLE_API_CERTIFICATE_CONFIG": config}
tls = {"token_url": HTTPS + "/v1/token"}
as_tls = IMPERSONATION.replace(HTTP, HTTPS)
external_alike("a certificate", external(by_config, MTLS, **tls), 1, impersonation=as_tls)
external_alike(
    "a certificate and its issuer", external(by_usual, MTLS, **tls), 1, impersonation=as_tls, environment=by_variable
)

# --- Logins, and service accounts through others

USER = {
    "type": "authorized_user",
    "client_id": "1-x.apps.googleusercontent.com",
    "client_secret": "GOCSPX-s/e+c=r&t",
    "refresh_token": "1//0refresh-token_with%every&thing",
}
ROBOT = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": "0123456789abcdef",
    "private_key": pem(RSA),
    "client_email": "robot@p.iam.gserviceaccount.com",
    "client_id": "1",
    "token_uri": HTTP + "/token",
}
LOGIN = {
    "type": "external_account_authorized_user",
    "audience": WORKFORCE,
    "client_id": "1-x.apps.example.com",
    "client_secret": "s/e+c=r&t",
    "refresh_token": "1//workforce+/=&%",
    "token_url": HTTP + "/v1/oauthtoken",
    "token_info_url": HTTP + "/v1/introspect",
}


def impersonated(source, **more):
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": IMPERSONATION,
        "source_credentials": source,
        **more,
    }


DELEGATES = ["projects/-/serviceAccounts/d%d@p.iam.gserviceaccount.com" % number for number in (1, 2)]
login = file_of(FOLDER, "login.json", LOGIN)
same(
    "workforce login",
    lambda: loaded(login).refresh(Transport()),
    lambda: gauth("--credentials", login, **TO_RECORDER),
    1,
)
file_alike("as a service account, a user", impersonated(USER), 2)
file_alike("as a service account, a user who pays", impersonated({**USER, "quota_project_id": "qp"}), 2)
file_alike(
    "as a service account, a user, delegates, quota project",
    impersonated(USER, delegates=DELEGATES, quota_project_id="qp"),
    2,
)
file_alike("as a service account, a key", impersonated(ROBOT, delegates=DELEGATES[:1]), 2)
file_alike("as a service account, a workforce login", impersonated(LOGIN, delegates=[]), 2)
try:
    google.auth.load_credentials_from_dict(impersonated(external({"file": at("subject.txt")})), scopes=[A])
    file_alike("as a service account, a federated identity", impersonated(external({"file": at("subject.txt")})), 2)
except google.auth.exceptions.GoogleAuthError as error:
    print("skip requests: as a service account, a federated identity (google-auth refuses the file: %s)" % error)

robot = file_of(FOLDER, "robot.json", ROBOT)


def for_user(delegates):
    made = google.auth.impersonated_credentials.Credentials(
        loaded(robot, ()), TARGET, [A, B], delegates=delegates, subject="u@d.example"
    )
    return lambda: made.refresh(Transport())


for_u = ["--scopes", A + "," + B, "--subject", "u@d.example"]
path_of_target = file_of(FOLDER, "target.json", impersonated(ROBOT, delegates=DELEGATES))
same(
    "as a service account for a user",
    for_user(DELEGATES),
    lambda: gauth("--credentials", path_of_target, *for_u, **TO_RECORDER),
    3,
)
chain = ",".join([*(delegate.rsplit("/", 1)[1] for delegate in DELEGATES), TARGET])
same(
    "as a service account for a user, by flags",
    for_user(DELEGATES),
    lambda: gauth("--credentials", robot, "--impersonate-service-account", chain, *for_u, **TO_RECORDER),
    3,
)

# --- GDCH

IDENTITY = {
    "type": "gdch_service_account",
    "format_version": "1",
    "project": "p",
    "private_key_id": "fedcba9876543210",
    "private_key": pem(EC),
    "name": "identity",
    "ca_cert_path": at("ca.pem"),
    "token_uri": HTTPS + "/authenticate",
}
gdch = file_of(FOLDER, "gdch.json", IDENTITY)
older = {**IDENTITY, "private_key": pem(EC, serialization.PrivateFormat.TraditionalOpenSSL)}
older = file_of(FOLDER, "older.json", older)
for name, file in (("GDCH", gdch), ("GDCH, its key in openssl's older form", older)):
    same(
        name,
        lambda: loaded(file).with_gdch_audience("https://a.example").refresh(Transport()),
        lambda: gauth("--credentials", file, "--audience", "https://a.example"),
        1,
    )

# --- Downscoping

RULE = {
    "availableResource": "//storage.googleapis.com/projects/_/buckets/bucket",
    "availablePermissions": ["inRole:roles/storage.objectViewer"],
    "availabilityCondition": {"expression": "resource.name.startsWith('projects/_/buckets/bucket/objects/x')"},
}


WHOLE = "https://www.googleapis.com/auth/cloud-platform"


def narrowed(rule):
    condition = rule.get("availabilityCondition")
    condition = downscoped.AvailabilityCondition(**condition) if condition else None
    rule = downscoped.AccessBoundaryRule(rule["availableResource"], rule["availablePermissions"], condition)
    source = loaded(robot, [WHOLE])
    made = downscoped.Credentials(source, downscoped.CredentialAccessBoundary([rule]))
    return lambda: made.refresh(Transport())


boundary = file_of(FOLDER, "boundary.json", {"accessBoundary": {"accessBoundaryRules": [RULE]}})
same(
    "downscoped by a file",
    narrowed(RULE),
    lambda: gauth("--credentials", robot, "--access-boundary", boundary, **TO_RECORDER),
    2,
)
bucket = {k: v for k, v in RULE.items() if k != "availabilityCondition"}
same(
    "downscoped by a flag",
    narrowed(bucket),
    lambda: gauth("--credentials", robot, "--downscope", "storage.objectViewer@bucket", **TO_RECORDER),
    2,
)

# --- The comparison itself

value = external({"file": at("subject.txt")})
other = file_of(FOLDER, "other.json", {**value, "audience": PROVIDER + "2"})
same(
    "a difference is noticed",
    lambda: loaded(file_of(FOLDER, "given.json", value)).refresh(Transport()),
    lambda: gauth("--credentials", other, "--scopes", A + "," + B),
    1,
    equal=False,
)
for change in ALLOWED:
    if change not in used:
        failed = True
    seen = "ok   requests: known:" if change in used else "FAIL requests: known, but not seen:"
    print(seen, " ".join(change.__doc__.split()))
sys.exit(failed)
