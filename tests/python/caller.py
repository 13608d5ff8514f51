# Python's requests as a caller over HTTP: caller.py URL required|optional|disabled [COUNT [bound]]
# calls the URL so many times in one session, perhaps bound to the server's certificate, and prints a
# line for each answer: its status, whether the server has proven itself to gssapi, and the page. No
# certificate is looked at in any other way.

import sys
import warnings

import requests
import requests_gssapi

url, mutual, count = sys.argv[1], sys.argv[2].upper(), int(sys.argv[3]) if len(sys.argv) > 3 else 1
auth = requests_gssapi.HTTPSPNEGOAuth(
    mutual_authentication=getattr(requests_gssapi, mutual),
    opportunistic_auth=count > 1,
    channel_bindings="tls-server-end-point" if "bound" in sys.argv else None,
)
warnings.simplefilter("ignore")
session = requests.Session()
session.verify = False
session.auth = auth
for _ in range(count):
    try:
        answer = session.get(url)
    except requests_gssapi.exceptions.MutualAuthenticationError:
        print("not authenticated: the server has not proven itself")
        continue
    complete = any(context.complete for context in auth.context.values())
    print(answer.status_code, "proven" if complete else "unproven", answer.text.strip(), flush=True)
