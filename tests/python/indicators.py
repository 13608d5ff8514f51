"""What MIT's acceptor makes of the authorization data in a ticket for a service: prints the client's name, then each
attribute of it that was authenticated. Both sides of the context are here; the cache and the keytab are those of the
environment. Usage: indicators.py SERVICE-PRINCIPAL"""

import sys

import gssapi
import gssapi.raw

service = gssapi.Name(sys.argv[1], gssapi.NameType.kerberos_principal)
initiator = gssapi.SecurityContext(name=service, usage="initiate")
acceptor = gssapi.SecurityContext(usage="accept", creds=gssapi.Credentials(usage="accept"))
acceptor.step(initiator.step())
client = acceptor.initiator_name
print("client", client)
for attribute in gssapi.raw.inquire_name(client, mech_name=False).attrs:
    value = gssapi.raw.get_name_attribute(client, attribute)
    if value.authenticated:
        print(attribute.decode(), *sorted(one.decode("utf-8", "replace") for one in value.values))
