"""Removes credentials from the default cache with MIT's library, which no program of Debian's MIT does.

Words are a service, the library's flags for what has to fit, and the end of the ticket. Prints the library's answer."""

import ctypes
import sys


class Data(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_int), ("length", ctypes.c_uint), ("data", ctypes.c_char_p)]


class Key(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_int), ("etype", ctypes.c_int), ("length", ctypes.c_uint), ("bytes", ctypes.c_void_p)]


class Credential(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_int), ("client", ctypes.c_void_p), ("server", ctypes.c_void_p), ("key", Key),
        ("authtime", ctypes.c_int32), ("starttime", ctypes.c_int32), ("endtime", ctypes.c_int32),
        ("renew_till", ctypes.c_int32), ("is_skey", ctypes.c_uint), ("flags", ctypes.c_int32),
        ("addresses", ctypes.c_void_p), ("ticket", Data), ("second_ticket", Data), ("authdata", ctypes.c_void_p),
    ]


krb5 = ctypes.CDLL("libkrb5.so.3")


def ask(function, *arguments):
    result = ctypes.c_void_p()
    status = getattr(krb5, function)(*arguments, ctypes.byref(result))
    if status:
        sys.exit(f"{function}: {status}")
    return result


service, flags, end = sys.argv[1], int(sys.argv[2], 0), int(sys.argv[3])
context = ask("krb5_init_context")
cache = ask("krb5_cc_default", context)
wanted = Credential(endtime=end)
wanted.client = ask("krb5_cc_get_principal", context, cache)
wanted.server = ask("krb5_parse_name", context, service.encode())
print(krb5.krb5_cc_remove_cred(context, cache, flags, ctypes.byref(wanted)))
