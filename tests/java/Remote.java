// JGSS, one call at a time: calls the address it is given, does what it is told there, and tells what
// came of it; tests/gss/peer.py says in which words. Started from its source:
//
//   java -Djavax.security.auth.useSubjectCredsOnly=false Remote.java ADDRESS PORT
//
// Credentials are those that JGSS finds by itself: the cache of KRB5CCNAME, and the keytab that is
// default_keytab_name in krb5.conf.

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.ietf.jgss.ChannelBinding;
import org.ietf.jgss.GSSContext;
import org.ietf.jgss.GSSCredential;
import org.ietf.jgss.GSSException;
import org.ietf.jgss.GSSManager;
import org.ietf.jgss.GSSName;
import org.ietf.jgss.MessageProp;
import org.ietf.jgss.Oid;

public class Remote {
    static final GSSManager MANAGER = GSSManager.getInstance();
    static final Map<Integer, String> REASONS = Map.of(
            GSSException.BAD_MECH, "bad mech",
            GSSException.BAD_BINDINGS, "bad bindings",
            GSSException.BAD_MIC, "bad mic",
            GSSException.NO_CRED, "no cred",
            GSSException.NO_CONTEXT, "no context",
            GSSException.DEFECTIVE_TOKEN, "defective token",
            GSSException.FAILURE, "failure");

    static GSSContext context;

    public static void main(String[] words) throws Exception {
        try (Socket socket = new Socket(words[0], Integer.parseInt(words[1]))) {
            DataInputStream in = new DataInputStream(socket.getInputStream());
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            while (true) {
                List<byte[]> asked = receive(in);
                if (text(asked.get(0)).equals("end")) {
                    return;
                }
                Answer answer = new Answer();
                try {
                    answer(asked, answer);
                } catch (GSSException refused) {
                    answer = new Answer();
                    String reason = REASONS.getOrDefault(refused.getMajor(), refused.getMajorString());
                    answer.add("refused").add(reason).add(String.valueOf(refused.getMessage())).add(new byte[0]);
                }
                out.writeInt(answer.bytes.size());
                answer.bytes.writeTo(out);
                out.flush();
            }
        }
    }

    static void answer(List<byte[]> asked, Answer answer) throws GSSException {
        switch (text(asked.get(0))) {
            case "initiate" -> {
                initiate(null, text(asked.get(1)), text(asked.get(2)), number(asked.get(3)));
                bind(asked, 4);
                answer.add("ok");
            }
            case "accept" -> {
                context = MANAGER.createContext((GSSCredential) null);
                bind(asked, 1);
                answer.add("ok");
            }
            case "step" -> step(context, asked.get(1), answer);
            case "wrap" -> {
                MessageProp about = new MessageProp(0, number(asked.get(1)) != 0);
                byte[] message = asked.get(2);
                answer.add("ok").add(context.wrap(message, 0, message.length, about)).add(about.getPrivacy() ? "1" : "0");
            }
            case "unwrap" -> {
                MessageProp about = new MessageProp(0, false);
                byte[] token = asked.get(1);
                answer.add("ok").add(context.unwrap(token, 0, token.length, about));
                answer.add(about.getPrivacy() ? "1" : "0").add(notes(about));
            }
            case "mic" -> {
                byte[] message = asked.get(1);
                answer.add("ok").add(context.getMIC(message, 0, message.length, new MessageProp(0, false)));
            }
            case "verify" -> {
                byte[] message = asked.get(1);
                byte[] token = asked.get(2);
                MessageProp about = new MessageProp(0, false);
                context.verifyMIC(token, 0, token.length, message, 0, message.length, about);
                answer.add("ok").add(notes(about));
            }
            case "limit" -> {
                int limit = context.getWrapSizeLimit(0, number(asked.get(1)) != 0, number(asked.get(2)));
                answer.add("ok").add(String.valueOf(limit));
            }
            case "hop" -> {
                GSSCredential handed = context.getDelegCred();
                initiate(handed, "krb5", text(asked.get(1)), 2);
                step(context, new byte[0], answer);
            }
            default -> answer.add("refused").add("unavailable").add("JGSS has no such call").add(new byte[0]);
        }
    }

    static void initiate(GSSCredential with, String mechanism, String service, int flags) throws GSSException {
        Oid oid = new Oid(mechanism.equals("krb5") ? "1.2.840.113554.1.2.2" : "1.3.6.1.5.5.2");
        GSSName name = MANAGER.createName(service, GSSName.NT_HOSTBASED_SERVICE);
        context = MANAGER.createContext(name, oid, with, GSSContext.DEFAULT_LIFETIME);
        context.requestCredDeleg((flags & 1) != 0);
        context.requestMutualAuth((flags & 2) != 0);
        context.requestReplayDet((flags & 4) != 0);
        context.requestSequenceDet((flags & 8) != 0);
        context.requestConf((flags & 16) != 0);
        context.requestInteg((flags & 32) != 0);
    }

    static void bind(List<byte[]> asked, int place) throws GSSException {
        if (asked.size() > place) {
            context.setChannelBinding(new ChannelBinding(asked.get(place)));
        }
    }

    static void step(GSSContext context, byte[] token, Answer answer) throws GSSException {
        byte[] made = context.isInitiator()
                ? context.initSecContext(token, 0, token.length)
                : context.acceptSecContext(token, 0, token.length);
        answer.add(context.isEstablished() ? "open" : "continue").add(made == null ? new byte[0] : made);
        int flags = (context.getCredDelegState() ? 1 : 0) | (context.getMutualAuthState() ? 2 : 0)
                | (context.getReplayDetState() ? 4 : 0) | (context.getSequenceDetState() ? 8 : 0)
                | (context.getConfState() ? 16 : 0) | (context.getIntegState() ? 32 : 0);
        answer.add(String.valueOf(flags));
        boolean open = context.isEstablished();
        answer.add(!open ? "" : String.valueOf(context.isInitiator() ? context.getTargName() : context.getSrcName()));
    }

    static String notes(MessageProp about) {
        List<String> notes = new ArrayList<>();
        if (about.isDuplicateToken()) {
            notes.add("duplicate");
        }
        if (about.isOldToken()) {
            notes.add("old");
        }
        if (about.isUnseqToken()) {
            notes.add("unseq");
        }
        if (about.isGapToken()) {
            notes.add("gap");
        }
        return String.join(" ", notes);
    }

    static String text(byte[] octets) {
        return new String(octets, StandardCharsets.UTF_8);
    }

    static int number(byte[] octets) {
        return Integer.parseInt(text(octets));
    }

    static List<byte[]> receive(DataInputStream in) throws IOException {
        byte[] whole = new byte[in.readInt()];
        in.readFully(whole);
        ByteBuffer rest = ByteBuffer.wrap(whole);
        List<byte[]> fields = new ArrayList<>();
        while (rest.hasRemaining()) {
            byte[] field = new byte[rest.getInt()];
            rest.get(field);
            fields.add(field);
        }
        return fields;
    }

    /// The octet strings of an answer.
    static class Answer {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Answer add(byte[] field) {
            bytes.writeBytes(ByteBuffer.allocate(4).putInt(field.length).array());
            bytes.writeBytes(field);
            return this;
        }

        Answer add(String field) {
            return add(field.getBytes(StandardCharsets.UTF_8));
        }
    }
}
