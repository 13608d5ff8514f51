"""MIT's libgssapi as a service that asks the KDC for its client: iakerb.py PORT. Each token stands behind its length."""

import socket
import struct
import sys

import gssapi

IAKERB = gssapi.OID.from_int_seq("1.3.6.1.5.2.5")

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
credentials = gssapi.Credentials(usage="accept", mechs=[IAKERB])
print("ready", flush=True)
stream, _ = listener.accept()


def receive():
    (length,) = struct.unpack(">I", stream.recv(4, socket.MSG_WAITALL))
    return stream.recv(length, socket.MSG_WAITALL)


def send(token):
    stream.sendall(struct.pack(">I", len(token)) + token)


context = gssapi.SecurityContext(creds=credentials, usage="accept")
while not context.complete:
    token = context.step(receive())
    if token is not None:
        send(token)
said = context.unwrap(receive()).message
send(context.wrap(said + b" from " + str(context.initiator_name).encode(), True).message)
