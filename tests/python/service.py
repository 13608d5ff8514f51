# A service over HTTP built on Python's gssapi, which is MIT's libgssapi: service.py PORT [loose]
# It takes a token with each request, proves itself, and answers with who called and what was posted.
# "loose" leaves out the proof.

import base64
import http.server
import sys

import gssapi

port, loose = int(sys.argv[1]), "loose" in sys.argv[2:]
credentials = gssapi.Credentials(usage="accept")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text, token=None):
        body = text.encode()
        self.send_response(status)
        if token is not None and not loose:
            words = ["Negotiate"] + ([base64.b64encode(token).decode()] if token else [])
            self.send_header("WWW-Authenticate", " ".join(words))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        posted = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "negotiate":
            return self.answer(401, "who are you?", b"")
        context = gssapi.SecurityContext(creds=credentials, usage="accept")
        try:
            proof = context.step(base64.b64decode(token))
        except gssapi.exceptions.GSSError as error:
            print(error, flush=True)
            return self.answer(401, "no", error.token or b"")
        if not context.complete:
            return self.answer(401, "go on", proof)
        delegated = context.delegated_creds.name if context.delegated_creds else "nothing"
        self.answer(200, f"{context.initiator_name} says '{posted}' and hands over {delegated}", proof)

    do_GET = do_POST


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
print("listening", flush=True)
server.serve_forever()
