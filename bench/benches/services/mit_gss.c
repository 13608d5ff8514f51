/* MIT's libgssapi opens contexts with itself: all tokens are made, then all are accepted with its
 * replay cache, then all answers are checked. Prints the nanoseconds of CPU that one of each took.
 * Usage: mit_gss NAME ROUNDS, with KRB5_CONFIG, KRB5CCNAME, KRB5_KTNAME in the environment. The
 * declarations are those of RFC 2744, so that no headers need be installed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint32_t OM_uint32;
typedef struct { OM_uint32 length; void *elements; } oid;
typedef struct { size_t length; void *value; } buffer;
typedef void *handle;

OM_uint32 gss_import_name(OM_uint32 *, buffer *, oid *, handle *);
OM_uint32 gss_acquire_cred(OM_uint32 *, handle, OM_uint32, void *, int, handle *, void *, OM_uint32 *);
OM_uint32 gss_init_sec_context(OM_uint32 *, handle, handle *, handle, oid *, OM_uint32, OM_uint32, void *,
                               buffer *, oid **, buffer *, OM_uint32 *, OM_uint32 *);
OM_uint32 gss_accept_sec_context(OM_uint32 *, handle *, handle, buffer *, void *, handle *, oid **, buffer *,
                                 OM_uint32 *, OM_uint32 *, handle *);
OM_uint32 gss_display_status(OM_uint32 *, OM_uint32, int, oid *, OM_uint32 *, buffer *);

static oid kerberos = { 9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02" };
static oid nt_principal = { 10, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01" };
enum { MUTUAL = 2, REPLAY = 4, SEQUENCE = 8, CONFIDENTIALITY = 16, INTEGRITY = 32, ACCEPT = 2 };

static void must(const char *what, OM_uint32 major, OM_uint32 minor) {
    OM_uint32 ignored, more = 0;
    buffer text = { 0, NULL };
    if (major < 0x10000) return;
    gss_display_status(&ignored, minor, 2, &kerberos, &more, &text);
    fprintf(stderr, "%s: major %x: %.*s\n", what, major, (int)text.length, (char *)text.value);
    exit(1);
}

static double nanos(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **arguments) {
    int rounds = count == 3 ? atoi(arguments[2]) : 0, i;
    handle name, keys = NULL, *ours = calloc(rounds, sizeof *ours), *theirs = calloc(rounds, sizeof *theirs);
    buffer *tokens = calloc(rounds, sizeof *tokens), *answers = calloc(rounds, sizeof *answers), nothing;
    buffer text = { rounds ? strlen(arguments[1]) : 0, arguments[1] };
    OM_uint32 minor, flags = MUTUAL | REPLAY | SEQUENCE | CONFIDENTIALITY | INTEGRITY;
    double start, made, accepted, checked;
    if (!rounds) return 2;
    must("gss_import_name", gss_import_name(&minor, &text, &nt_principal, &name), minor);
    must("gss_acquire_cred", gss_acquire_cred(&minor, NULL, 0, NULL, ACCEPT, &keys, NULL, NULL), minor);
    start = nanos();
    for (i = 0; i < rounds; i++)
        must("gss_init_sec_context", gss_init_sec_context(&minor, NULL, &ours[i], name, &kerberos, flags, 0, NULL,
             NULL, NULL, &tokens[i], NULL, NULL), minor);
    made = nanos();
    for (i = 0; i < rounds; i++)
        must("gss_accept_sec_context", gss_accept_sec_context(&minor, &theirs[i], keys, &tokens[i], NULL, NULL, NULL,
             &answers[i], NULL, NULL, NULL), minor);
    accepted = nanos();
    for (i = 0; i < rounds; i++)
        must("gss_init_sec_context, the answer", gss_init_sec_context(&minor, NULL, &ours[i], name, &kerberos, flags,
             0, NULL, &answers[i], NULL, &nothing, NULL, NULL), minor);
    checked = nanos();
    printf("%.0f %.0f\n", (made - start + checked - accepted) / rounds, (accepted - made) / rounds);
    return 0;
}
