"""gauth's request for AWS's GetCallerIdentity, given to moto, which checks keys and signatures as AWS does.

Usage: aws.py GAUTH FOLDER; prints a line for each check.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree

import boto3
import botocore.exceptions
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from recording import Gauth, file_of, serve

GAUTH, FOLDER = sys.argv[1:3]
SEEN = []
STS = serve(SEEN)
PROVIDER = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p"
RESOURCE = "x-goog-cloud-target-resource"
REGION = "eu-west-3"
os.environ.update(NO_PROXY="127.0.0.1", AWS_EC2_METADATA_DISABLED="true")
gauth = Gauth(GAUTH, FOLDER)
failed = False

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]
MOTO = "http://127.0.0.1:%d" % PORT
CREDENTIAL = file_of(
    FOLDER,
    "aws.json",
    {
        "type": "external_account",
        "audience": PROVIDER,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": "http://%s/v1/token" % STS,
        "credential_source": {"environment_id": "aws1"},
    },
)


# Where a body is empty, moto takes the query for it: it would refuse requests of AWS's own library (the second check).
SERVER = """
import sys
from moto.iam.access_control import IAMRequestBase
from moto.server import main

made = IAMRequestBase.__init__

def with_its_body(self, *words, **named):
    made(self, *words, **named)
    self._data = "" if "?" in self._path else self._data

IAMRequestBase.__init__ = with_its_body
main(sys.argv[1:])
"""


def check(name, good, more=""):
    global failed
    failed |= not good
    print("%s AWS: %s" % ("ok  " if good else "FAIL", name) + ("" if good else "\n     %s" % (more,)))


def service(name, keys):
    return boto3.client(
        name,
        endpoint_url=MOTO,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
    )


def subject(keys, **more):
    """The request that gauth signed with these keys, as Google's STS reads it."""
    variables = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        **({"AWS_SESSION_TOKEN": keys["SessionToken"]} if "SessionToken" in keys else {}),
        **more,
    }
    SEEN.clear()
    gauth("--credentials", CREDENTIAL, **variables)
    (_, path, _, body, _), = SEEN
    assert path == "/v1/token", path
    token = dict(urllib.parse.parse_qsl(body))["subject_token"]
    request = json.loads(urllib.parse.unquote(token))
    return request["method"], request["url"], {header["key"]: header["value"] for header in request["headers"]}


def signed_by_aws(keys):
    """The same request by AWS's own library."""
    made = AWSRequest("POST", "https://sts.%s.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15" % REGION)
    SigV4Auth(Credentials(keys["AccessKeyId"], keys["SecretAccessKey"]), "sts", REGION).add_auth(made)
    return made.method, made.url, {**made.headers, "host": urllib.parse.urlsplit(made.url).hostname}


def replayed(request, **changed):
    """What moto says to it: status and the name of the caller, or of the error."""
    method, url, headers = request
    to = urllib.parse.urlsplit(url)
    headers = {**headers, **changed}
    sent = requests.Request(method, "%s%s?%s" % (MOTO, to.path or "/", to.query), headers=headers).prepare()
    answer = requests.Session().send(sent)
    found = xml.etree.ElementTree.fromstring(answer.content).iter()
    told = {element.tag.rsplit("}", 1)[-1]: element.text for element in found}
    return answer.status_code, told.get("Arn") or told.get("Code")


def accepted(name, keys, arn, **more):
    request = subject(keys, **more)
    said = replayed(request)
    check("%s is accepted" % name, said == (200, arn), said)
    return request


def refused(name, request, code="SignatureDoesNotMatch", **changed):
    said = replayed(request, **changed)
    check("%s is refused" % name, said == (403, code), said)


server = subprocess.Popen(
    [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(PORT)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
try:
    for _ in range(300):
        try:
            requests.get(MOTO + "/moto-api/", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.1)

    # A user with a key and a role that the user assumes; from then on moto asks for signatures.
    iam = service("iam", {"AccessKeyId": "AKIAANYBODY", "SecretAccessKey": "any"})
    arn = iam.create_user(UserName="ada")["User"]["Arn"]
    account = arn.split(":")[4]
    user = iam.create_access_key(UserName="ada")["AccessKey"]
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=policy)
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="builder", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    requests.post(MOTO + "/moto-api/reset-auth", data="0").raise_for_status()

    # moto is as strict as it should be, and no stricter: with AWS's own library.
    told = service("sts", user).get_caller_identity()["Arn"]
    try:
        service("sts", {**user, "SecretAccessKey": "wrong"}).get_caller_identity()
        told = "anything goes"
    except botocore.exceptions.ClientError:
        pass
    check("moto checks signatures", told == arn, told)
    said = replayed(signed_by_aws(user))
    check("moto accepts a request without a body", said == (200, arn), said)

    request = accepted("a user's request", user, arn)
    method, url, headers = request
    signature = headers["Authorization"].rsplit("=", 1)[1]
    other = headers["Authorization"].replace(signature, signature[:-1] + ("0" if signature[-1] != "0" else "1"))
    refused("another signature", request, Authorization=other)
    refused("another moment", request, **{"x-amz-date": headers["x-amz-date"][:-2] + "xZ"})
    refused("a request for another provider", request, **{RESOURCE: PROVIDER + "2"})
    without = {k: v for k, v in headers.items() if k != RESOURCE}
    refused("a request for no provider", (method, url, without))
    refused("another action", (method, url.replace("GetCallerIdentity", "GetSessionToken"), headers))
    refused("a wrong secret", subject({**user, "SecretAccessKey": user["SecretAccessKey"][::-1]}))
    refused("an unknown key", subject({**user, "AccessKeyId": "AKIAUNKNOWN"}), "InvalidClientTokenId")

    assumed = service("sts", user).assume_role(RoleArn=role, RoleSessionName="build-7")["Credentials"]
    arn = "arn:aws:sts::%s:assumed-role/builder/build-7" % account
    request = accepted("an assumed role's request", assumed, arn)
    method, url, headers = request
    refused("another session", request, "InvalidClientTokenId", **{"x-amz-security-token": "other"})
    without = {k: v for k, v in headers.items() if k != "x-amz-security-token"}
    refused("no session", (method, url, without), "InvalidClientTokenId")
finally:
    server.terminate()
    server.wait()
sys.exit(failed)
