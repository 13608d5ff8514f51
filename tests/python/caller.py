# Python's requests as a caller over HTTP: caller.py URL required|optional|disabled [COUNT]
# calls the URL so many times in one session and prints a line for each answer: its status, whether
# the server has proven itself to gssapi, and the page.

import sys

import requests
import requests_gssapi

url, mutual, count = sys.argv[1], sys.argv[2].upper(), int(sys.argv[3]) if len(sys.argv) > 3 else 1
auth = requests_gssapi.HTTPSPNEGOAuth(
    mutual_authentication=getattr(requests_gssapi, mutual),
    opportunistic_auth=count > 1,
)
session = requests.Session()
session.auth = auth
for _ in range(count):
    try:
        answer = session.get(url)
    except requests_gssapi.exceptions.MutualAuthenticationError:
        print("not authenticated: the server has not proven itself")
        continue
    complete = any(context.complete for context in auth.context.values())
    print(answer.status_code, "proven" if complete else "unproven", answer.text.strip(), flush=True)
