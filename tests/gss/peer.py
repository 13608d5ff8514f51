"""GSS-API of somebody else, one call at a time: calls the address it is given, does what it is told
there, and tells what came of it. For the tests in tests/tests/interop_libgssapi.

    peer.py LIBRARY ADDRESS PORT

LIBRARY is a libgssapi of MIT or Heimdal, or "python" for the module gssapi. A message is a list of
octet strings: its length, then each string behind its own, four octets in network order. The first
string names what is asked or how it went.
"""

import ctypes
import socket
import struct
import sys
from ctypes import POINTER, Structure, byref, c_int, c_size_t, c_ssize_t, c_uint32, c_void_p

MECHANISMS = {
    b"krb5": bytes.fromhex("2a864886f712010202"),
    b"spnego": bytes.fromhex("2b0601050502"),
}
SERVICE_NAME = bytes.fromhex("2a864886f71201020104")
CONTINUE_NEEDED = 1
REASONS = {
    1: "bad mech", 4: "bad bindings", 6: "bad mic", 7: "no cred", 8: "no context", 9: "defective token",
    10: "defective credential", 13: "failure",
}
EARLIER = {2: "duplicate", 4: "old", 8: "unseq", 16: "gap"}


class Refused(Exception):
    """A call that failed: what it was, in words, and the token that it made nevertheless."""

    def __init__(self, major, text, token=b""):
        super().__init__(major, text, token)
        self.answer = [b"refused", REASONS.get(major >> 16 & 0xFF, f"{major:#x}").encode(), text, token]


def notes(major):
    """What a call that succeeded says about order."""
    return " ".join(word for bit, word in EARLIER.items() if major & bit).encode()


class Oid(Structure):
    _fields_ = [("length", c_uint32), ("elements", c_void_p)]


class OidSet(Structure):
    _fields_ = [("count", c_size_t), ("elements", POINTER(Oid))]


class Buffer(Structure):
    _fields_ = [("length", c_size_t), ("value", c_void_p)]


class Bindings(Structure):
    _fields_ = [
        ("initiator_kind", c_uint32), ("initiator", Buffer), ("acceptor_kind", c_uint32), ("acceptor", Buffer),
        ("application", Buffer),
    ]


def oid(octets):
    kept = ctypes.create_string_buffer(octets, len(octets))
    made = Oid(len(octets), ctypes.cast(kept, c_void_p))
    made.kept = kept
    return made


def oids(several):
    made = OidSet(len(several), (Oid * len(several))())
    made.kept = [oid(octets) for octets in several]
    for place, kept in enumerate(made.kept):
        made.elements[place] = kept
    return made


def buffer(octets):
    kept = ctypes.create_string_buffer(octets, len(octets))
    made = Buffer(len(octets), ctypes.cast(kept, c_void_p))
    made.kept = kept
    return made


def bindings(octets):
    if octets is None:
        return None
    made = Bindings(0, Buffer(), 0, Buffer(), buffer(octets))
    return byref(made)


class Library:
    """The calls of RFC 2744 by way of a shared library."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.minor = c_uint32()

    def call(self, function, *arguments, token=None):
        call = getattr(self.library, function)
        call.restype = c_uint32
        major = call(byref(self.minor), *arguments)
        if major >> 16:
            raise Refused(major, self.words(major), self.take(token) if token is not None else b"")
        return major

    def words(self, major):
        """Everything that the library has to say about the last call."""
        said = []
        for code, kind in ((major, 1), (self.minor.value, 2)):
            more, text, minor = c_uint32(0), Buffer(), c_uint32()
            while True:
                self.library.gss_display_status(
                    byref(minor), c_uint32(code), c_int(kind), None, byref(more), byref(text))
                said.append(self.take(text))
                if more.value == 0:
                    break
        return b"; ".join(said)

    def take(self, made):
        octets = ctypes.string_at(made.value, made.length) if made.length else b""
        self.library.gss_release_buffer(byref(c_uint32()), byref(made))
        return octets

    def name(self, service):
        made = c_void_p()
        self.call("gss_import_name", byref(buffer(service)), byref(oid(SERVICE_NAME)), byref(made))
        return made

    def initiator(self, mechanism, service, flags, bound, credential=None):
        return Initiator(self, mechanism, service, flags, bound, credential)

    def acceptor(self, bound):
        return Acceptor(self, bound)


class Context:
    """What both ends have in common."""

    def __init__(self, library, bound):
        self.library, self.bound, self.handle = library, bindings(bound), c_void_p()
        self.flags, self.peer, self.credential = c_uint32(), c_void_p(), c_void_p()

    def stepped(self, major, token):
        open_now = not major & CONTINUE_NEEDED
        return [b"open" if open_now else b"continue", self.library.take(token), str(self.flags.value).encode(),
                self.shown() if open_now else b""]

    def shown(self):
        """Who the other side is; in this the initiator and the acceptor of a library differ not."""
        source, target, mine = c_void_p(), c_void_p(), c_int()
        self.library.call("gss_inquire_context", self.handle, byref(source), byref(target), None, None, None,
                          byref(mine), None)
        text = Buffer()
        self.library.call("gss_display_name", target if mine.value else source, byref(text), None)
        return self.library.take(text)

    def wrap(self, confidential, message):
        token, sealed = Buffer(), c_int()
        self.library.call("gss_wrap", self.handle, c_int(confidential), c_uint32(0), byref(buffer(message)),
                          byref(sealed), byref(token))
        return [b"ok", self.library.take(token), str(sealed.value).encode()]

    def unwrap(self, token):
        message, sealed = Buffer(), c_int()
        major = self.library.call("gss_unwrap", self.handle, byref(buffer(token)), byref(message), byref(sealed), None)
        return [b"ok", self.library.take(message), str(sealed.value).encode(), notes(major)]

    def mic(self, message):
        token = Buffer()
        self.library.call("gss_get_mic", self.handle, c_uint32(0), byref(buffer(message)), byref(token))
        return [b"ok", self.library.take(token)]

    def verify(self, message, token):
        major = self.library.call("gss_verify_mic", self.handle, byref(buffer(message)), byref(buffer(token)), None)
        return [b"ok", notes(major)]

    def limit(self, confidential, most):
        length = c_uint32()
        self.library.call("gss_wrap_size_limit", self.handle, c_int(confidential), c_uint32(0), c_uint32(most),
                          byref(length))
        return [b"ok", str(length.value).encode()]

    def prf(self, which, message, length):
        made = Buffer()
        self.library.call("gss_pseudo_random", self.handle, c_int(which), byref(buffer(message)), c_ssize_t(length),
                          byref(made))
        return [b"ok", self.library.take(made)]

    def hop(self, service):
        """The first token of a context that is opened with the ticket that was handed over."""
        if not self.credential:
            return [b"refused", b"no cred", b"nothing was handed over", b""]
        onward = self.library.initiator(b"krb5", service, 2, None, self.credential)
        return onward.step(b"")


class Initiator(Context):
    def __init__(self, library, mechanism, service, flags, bound, credential):
        super().__init__(library, bound)
        self.mechanism, self.service = oid(MECHANISMS[mechanism]), library.name(service)
        self.wanted, self.with_credential = flags, credential

    def step(self, token):
        made = Buffer()
        major = self.library.call(
            "gss_init_sec_context", self.with_credential, byref(self.handle), self.service, byref(self.mechanism),
            c_uint32(self.wanted), c_uint32(0), self.bound, byref(buffer(token)) if token else None, None, byref(made),
            byref(self.flags), None, token=made)
        return self.stepped(major, made)


    def prefer(self, *mechanisms):
        """Says what SPNEGO shall offer, in the order of preference."""
        made, wanted, offered = c_void_p(), oids([*mechanisms, MECHANISMS[b"spnego"]]), oids(mechanisms)
        self.library.call("gss_acquire_cred", None, c_uint32(0), byref(wanted), c_int(1), byref(made), None, None)
        self.library.call("gss_set_neg_mechs", made, byref(offered))
        self.with_credential = made
        return [b"ok"]


class Acceptor(Context):
    def step(self, token):
        made = Buffer()
        major = self.library.call(
            "gss_accept_sec_context", byref(self.handle), None, byref(buffer(token)), self.bound, byref(self.peer),
            None, byref(made), byref(self.flags), None, byref(self.credential), token=made)
        return self.stepped(major, made)


class Module:
    """The same calls by way of the module gssapi."""

    def __init__(self):
        import gssapi
        import gssapi.raw
        self.gssapi, self.raw = gssapi, gssapi.raw

    def initiator(self, mechanism, service, flags, bound, credential=None):
        return ModuleContext(self, bound, dict(
            name=self.gssapi.Name(service, self.gssapi.NameType.hostbased_service), mech=self.mechanism(mechanism),
            flags=self.gssapi.IntEnumFlagSet(self.gssapi.RequirementFlag, flags), usage="initiate", creds=credential))

    def acceptor(self, bound):
        return ModuleContext(self, bound, dict(usage="accept"))

    def mechanism(self, name):
        return self.raw.OID(elements=MECHANISMS[name])


class ModuleContext:
    def __init__(self, module, bound, how):
        self.raw = module.raw
        self.module = module
        if bound is not None:
            how["channel_bindings"] = self.raw.ChannelBindings(application_data=bound)
        self.context = module.gssapi.SecurityContext(**how)

    def step(self, token):
        made = self.told(lambda: self.context.step(token or None)) or b""
        # A call that failed and made a token returns that; the next one tells of the failure.
        if not self.told(lambda: self.context.complete, made):
            return [b"continue", made, b"0", b""]
        mine = self.context.locally_initiated
        peer = self.context.target_name if mine else self.context.initiator_name
        return [b"open", made, str(int(self.context.actual_flags)).encode(), bytes(peer)]

    def told(self, call, token=b""):
        try:
            return call()
        except self.raw.GSSError as error:
            raise Refused(error.maj_code, str(error).encode(), token) from error

    def wrap(self, confidential, message):
        made = self.told(lambda: self.raw.wrap(self.context, message, bool(confidential)))
        return [b"ok", made.message, str(int(made.encrypted)).encode()]

    def unwrap(self, token):
        made = self.told(lambda: self.raw.unwrap(self.context, token))
        return [b"ok", made.message, str(int(made.encrypted)).encode(), b""]

    def mic(self, message):
        return [b"ok", self.told(lambda: self.raw.get_mic(self.context, message))]

    def verify(self, message, token):
        self.told(lambda: self.raw.verify_mic(self.context, message, token))
        return [b"ok", b""]

    def limit(self, confidential, most):
        return [b"ok", str(self.raw.wrap_size_limit(self.context, most, bool(confidential))).encode()]

    def prf(self, which, message, length):
        # Not in the module: its author left GSS_Pseudo_random out.
        return [b"refused", b"unavailable", b"the module has no gss_pseudo_random", b""]

    def hop(self, service):
        onward = self.module.initiator(b"krb5", service, 2, None, self.context.delegated_creds)
        return onward.step(b"")


def octets(stream, length):
    found = b""
    while len(found) < length:
        more = stream.recv(length - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def receive(stream):
    whole = octets(stream, struct.unpack("!I", octets(stream, 4))[0])
    fields = []
    while whole:
        length = struct.unpack("!I", whole[:4])[0]
        fields.append(whole[4:4 + length])
        whole = whole[4 + length:]
    return fields


def send(stream, fields):
    whole = b"".join(struct.pack("!I", len(field)) + field for field in fields)
    stream.sendall(struct.pack("!I", len(whole)) + whole)


def serve(library, stream):
    context = None
    while True:
        verb, *words = receive(stream)
        try:
            if verb == b"initiate":
                mechanism, service, flags, *bound = words
                context = library.initiator(mechanism, service, int(flags), *(bound or [None]))
                answer = [b"ok"]
            elif verb == b"accept":
                context = library.acceptor(*(words or [None]))
                answer = [b"ok"]
            elif verb == b"end":
                return
            else:
                numbers = {b"wrap": [0], b"limit": [0, 1], b"prf": [0, 2]}.get(verb, [])
                words = [int(word) if place in numbers else word for place, word in enumerate(words)]
                answer = getattr(context, verb.decode())(*words)
        except Refused as refused:
            answer = refused.answer
        send(stream, answer)


if __name__ == "__main__":
    which, address, port = sys.argv[1:]
    serve(Module() if which == "python" else Library(which), socket.create_connection((address, int(port))))
