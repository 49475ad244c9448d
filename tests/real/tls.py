"""A token endpoint behind TLS: tls.py CERTIFICATE KEY ADDRESS; prints its port and serves until killed."""

import http.server
import ssl
import sys

CERTIFICATE, KEY, ADDRESS = sys.argv[1:4]
ANSWER = b'{"access_token":"ya29.behind-tls","expires_in":3599,"token_type":"Bearer"}'


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer((ADDRESS, 0), Endpoint)
server.handle_error = lambda *_: None
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
