"""A bucket for terraform's state: notes who asks, and lets in whoever has a bearer token.

usage: terraform.py SEEN PORT   the file for the tokens, the file for the port
"""

import http.server
import sys

seen, port = sys.argv[1:]
LIST = b'{"kind": "storage#objects"}'
STATE = b'{"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "l", "outputs": {}, "resources": []}'


class Bucket(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        with open(seen, "a") as file:
            print(token, file=file)
        self.send_response(200 if scheme == "Bearer" else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(LIST if "prefix=" in self.path else STATE)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Bucket)
with open(port, "w") as file:
    print(server.server_port, file=file)
server.serve_forever()
