// Java as a Kerberos peer: logs in through JAAS, and lets a JGSS initiator and acceptor talk to each
// other. Prints one fact a line for the test to read. Started from its source: java Peer.java COMMAND ...
//
//   login CLIENT                     the password comes from standard input
//   login-keytab CLIENT KEYTAB
//   talk CLIENT SERVICE KEYTAB [BACKEND BACKEND-KEYTAB]
//       CLIENT (password from standard input) opens a context with SERVICE, both sides protect
//       messages; with BACKEND the service goes on to it with the client's forwarded ticket.
//   initiate ADDRESS PORT CLIENT SERVICE [KEYTAB]
//       CLIENT (with KEYTAB, or the password from standard input) calls the address and opens a
//       context with SERVICE, handing on its ticket if that is forwardable.
//   accept ADDRESS PORT SERVICE KEYTAB
//       Calls the address and is SERVICE there; at the end accepts the first token once more.
//
// In a call each token comes behind its length, four octets in network order: the AP-REQ, the
// AP-REP, then a MIC of "a message" from the initiator and one from the acceptor.

import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.security.PrivilegedActionException;
import java.security.PrivilegedExceptionAction;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import javax.security.auth.Subject;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.NameCallback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.auth.kerberos.KerberosTicket;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.Configuration;
import javax.security.auth.login.LoginContext;
import org.ietf.jgss.GSSContext;
import org.ietf.jgss.GSSCredential;
import org.ietf.jgss.GSSException;
import org.ietf.jgss.GSSManager;
import org.ietf.jgss.GSSName;
import org.ietf.jgss.MessageProp;
import org.ietf.jgss.Oid;

public class Peer {
    static final GSSManager MANAGER = GSSManager.getInstance();
    static final byte[] MESSAGE = "a message".getBytes();

    public static void main(String[] words) throws Exception {
        switch (words[0]) {
            case "login" -> show(login(words[1], password(), null, true));
            case "login-keytab" -> show(login(words[1], null, words[2], true));
            case "talk" -> talk(words);
            case "initiate" -> initiate(words);
            case "accept" -> accept(words);
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    static void talk(String[] words) throws Exception {
        Subject client = login(words[1], password(), null, true);
        boolean goOn = words.length > 4;
        Pair pair = open(client, null, words[2], words[3], goOn);
        say(pair, "");
        if (goOn) {
            GSSCredential forwarded = pair.acceptor.getDelegCred();
            System.out.println("forwarded " + forwarded.getName());
            say(open(new Subject(), forwarded, words[4], words[5], false), "backend ");
        }
    }

    static void initiate(String[] words) throws Exception {
        String keytab = words.length > 5 ? words[5] : null;
        Subject client = login(words[3], keytab == null ? password() : null, keytab, true);
        GSSContext context = initiator(client, null, words[4], true);
        try (Call call = new Call(words)) {
            call.send(as(client, () -> context.initSecContext(new byte[0], 0, 0)));
            byte[] reply = call.receive();
            as(client, () -> context.initSecContext(reply, 0, reply.length));
            call.send(context.getMIC(MESSAGE, 0, MESSAGE.length, new MessageProp(0, false)));
            verify(context, call.receive());
        }
        System.out.println("acceptor " + context.getTargName());
        System.out.println("mutual " + context.getMutualAuthState());
    }

    static void accept(String[] words) throws Exception {
        Subject server = login(words[3], null, words[4], false);
        GSSContext context = acceptor(server);
        byte[] first;
        try (Call call = new Call(words)) {
            first = call.receive();
            byte[] reply = as(server, () -> context.acceptSecContext(first, 0, first.length));
            call.send(reply);
            verify(context, call.receive());
            call.send(context.getMIC(MESSAGE, 0, MESSAGE.length, new MessageProp(0, false)));
        }
        System.out.println("initiator " + context.getSrcName());
        System.out.println("mutual " + context.getMutualAuthState());
        System.out.println("delegated " + context.getCredDelegState());
        try {
            GSSContext again = acceptor(server);
            as(server, () -> again.acceptSecContext(first, 0, first.length));
            System.out.println("again accepted");
        } catch (PrivilegedActionException refused) {
            System.out.println("again " + refused.getCause().getMessage());
        }
    }

    static void verify(GSSContext context, byte[] mic) throws GSSException {
        context.verifyMIC(mic, 0, mic.length, MESSAGE, 0, MESSAGE.length, new MessageProp(0, false));
    }

    /// A connection that bears one token after the other.
    static class Call implements AutoCloseable {
        final Socket socket;

        Call(String[] words) throws IOException {
            socket = new Socket(words[1], Integer.parseInt(words[2]));
        }

        void send(byte[] token) throws IOException {
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            out.writeInt(token.length);
            out.write(token);
        }

        byte[] receive() throws IOException {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] token = new byte[in.readInt()];
            in.readFully(token);
            return token;
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    static GSSContext initiator(Subject client, GSSCredential with, String service, boolean delegate)
            throws Exception {
        GSSName name = MANAGER.createName(service, new Oid("1.2.840.113554.1.2.2.1"));
        return as(client, () -> {
            GSSContext context = MANAGER.createContext(name, kerberos(), with, GSSContext.DEFAULT_LIFETIME);
            context.requestMutualAuth(true);
            context.requestCredDeleg(delegate);
            return context;
        });
    }

    /// An acceptor, which never talks to the KDC.
    static GSSContext acceptor(Subject server) throws Exception {
        return as(server, () -> MANAGER.createContext(MANAGER.createCredential(
                null, GSSCredential.INDEFINITE_LIFETIME, kerberos(), GSSCredential.ACCEPT_ONLY)));
    }

    static Oid kerberos() throws GSSException {
        return new Oid("1.2.840.113554.1.2.2");
    }

    record Pair(GSSContext initiator, GSSContext acceptor) {}

    /// Opens a context with mutual authentication.
    static Pair open(Subject client, GSSCredential with, String service, String keytab, boolean delegate)
            throws Exception {
        Subject server = login(service, null, keytab, false);
        GSSContext initiator = initiator(client, with, service, delegate);
        GSSContext acceptor = acceptor(server);
        byte[] token = new byte[0];
        while (!initiator.isEstablished() || !acceptor.isEstablished()) {
            byte[] sent = token;
            byte[] request = as(client, () -> initiator.initSecContext(sent, 0, sent.length));
            token = request == null ? token : as(server, () -> acceptor.acceptSecContext(request, 0, request.length));
        }
        return new Pair(initiator, acceptor);
    }

    static void say(Pair pair, String prefix) throws GSSException {
        System.out.println(prefix + "initiator " + pair.acceptor.getSrcName());
        System.out.println(prefix + "acceptor " + pair.initiator.getTargName());
        System.out.println(prefix + "mutual " + pair.initiator.getMutualAuthState());
        byte[] sealed = pair.initiator.wrap(MESSAGE, 0, MESSAGE.length, new MessageProp(0, true));
        byte[] opened = pair.acceptor.unwrap(sealed, 0, sealed.length, new MessageProp(0, true));
        verify(pair.initiator, pair.acceptor.getMIC(MESSAGE, 0, MESSAGE.length, new MessageProp(0, false)));
        System.out.println(prefix + "message " + Arrays.equals(MESSAGE, opened));
    }

    static <T> T as(Subject subject, PrivilegedExceptionAction<T> action) throws Exception {
        return Subject.doAs(subject, action);
    }

    static void show(Subject subject) {
        System.out.println("principal " + subject.getPrincipals().iterator().next().getName());
        for (KerberosTicket ticket : subject.getPrivateCredentials(KerberosTicket.class)) {
            System.out.println("ticket " + ticket.getServer() + " etype " + ticket.getSessionKeyType()
                    + (ticket.isInitial() ? " initial" : "") + (ticket.isForwardable() ? " forwardable" : ""));
        }
    }

    static String password() throws Exception {
        return new BufferedReader(new InputStreamReader(System.in)).readLine();
    }

    static Subject login(String principal, String password, String keytab, boolean initiator) throws Exception {
        Map<String, String> options = new HashMap<>();
        options.put("principal", principal);
        options.put("isInitiator", String.valueOf(initiator));
        options.put("storeKey", String.valueOf(!initiator));
        if (keytab != null) {
            options.put("useKeyTab", "true");
            options.put("keyTab", keytab);
            options.put("doNotPrompt", "true");
        }
        Configuration configuration = new Configuration() {
            @Override
            public AppConfigurationEntry[] getAppConfigurationEntry(String name) {
                return new AppConfigurationEntry[] {
                    new AppConfigurationEntry("com.sun.security.auth.module.Krb5LoginModule",
                            AppConfigurationEntry.LoginModuleControlFlag.REQUIRED, options)
                };
            }
        };
        LoginContext context = new LoginContext("peer", new Subject(), callbacks -> {
            for (Callback callback : callbacks) {
                if (callback instanceof NameCallback ask) {
                    ask.setName(principal);
                } else if (callback instanceof PasswordCallback ask) {
                    ask.setPassword(password.toCharArray());
                }
            }
        }, configuration);
        context.login();
        return context.getSubject();
    }
}
