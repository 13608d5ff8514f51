"""kdcproxy behind TLS: the port, a certificate with its key, and one request after the other."""

import ssl
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import kdcproxy


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


port, certificate, key = sys.argv[1:]
server = make_server("127.0.0.1", int(port), kdcproxy.Application(), handler_class=Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
