"""A token endpoint behind TLS: tls.py CERTIFICATE KEY ADDRESS [AUTHORITY]; prints its port and serves until killed.

With an authority, clients must show a certificate it has signed. Says on standard error what was asked, and by whom.
"""

import http.server
import os
import socket
import ssl
import sys

CERTIFICATE, KEY, ADDRESS, *AUTHORITY = sys.argv[1:]
ANSWER = b'{"access_token":"ya29.behind-tls","expires_in":3599,"token_type":"Bearer"}'


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        shown = self.connection.getpeercert() or {}
        names = [value for parts in shown.get("subject", ()) for name, value in parts if name == "commonName"]
        print("POST", self.path, *names, file=sys.stderr, flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


def drained(connection, _):
    """Reads the rest, so that a client hears why it was not let in before the connection is reset."""
    with socket.socket(fileno=os.dup(connection.fileno())) as plain:
        plain.settimeout(2)
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(4096):
            pass


server = http.server.ThreadingHTTPServer((ADDRESS, 0), Endpoint)
server.handle_error = drained
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
if AUTHORITY:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(AUTHORITY[0])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
