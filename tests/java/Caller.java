// Java as a caller over HTTP, with the tickets of the cache in KRB5CCNAME. Prints a line: the status
// of the answer, whether the server has proven itself to JGSS, and the page.
//
//   connection URL     HttpURLConnection, which speaks Negotiate by itself
//   client URL         java.net.http.HttpClient, which does not: JGSS makes its tokens here

import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Base64;
import java.util.Map;
import javax.security.auth.login.AppConfigurationEntry;
import javax.security.auth.login.Configuration;
import org.ietf.jgss.GSSContext;
import org.ietf.jgss.GSSManager;
import org.ietf.jgss.GSSName;
import org.ietf.jgss.Oid;

public class Caller {
    public static void main(String[] words) throws Exception {
        System.setProperty("javax.security.auth.useSubjectCredsOnly", "false");
        Configuration.setConfiguration(new TicketCache());
        URI uri = URI.create(words[1]);
        switch (words[0]) {
            case "connection" -> connection(uri);
            case "client" -> client(uri);
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    static void connection(URI uri) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
        int status = connection.getResponseCode();
        try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            System.out.println(status + " unproven " + new String(body.readAllBytes()).strip());
        }
    }

    static void client(URI uri) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpResponse<String> answer = client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 401 || !answer.headers().firstValue("WWW-Authenticate").orElse("").equals("Negotiate")) {
            throw new IOException("not the challenge that was expected: " + answer);
        }
        GSSManager manager = GSSManager.getInstance();
        GSSName service = manager.createName("HTTP@" + uri.getHost(), GSSName.NT_HOSTBASED_SERVICE);
        GSSContext context = manager.createContext(service, new Oid("1.3.6.1.5.5.2"), null, GSSContext.DEFAULT_LIFETIME);
        context.requestMutualAuth(true);
        String token = Base64.getEncoder().encodeToString(context.initSecContext(new byte[0], 0, 0));
        HttpRequest request = HttpRequest.newBuilder(uri).header("Authorization", "Negotiate " + token).build();
        answer = client.send(request, HttpResponse.BodyHandlers.ofString());
        String[] proof = answer.headers().firstValue("WWW-Authenticate").orElse("").split(" ");
        if (answer.statusCode() == 200 && proof.length == 2) {
            byte[] its = Base64.getDecoder().decode(proof[1]);
            context.initSecContext(its, 0, its.length);
        }
        String proven = context.isEstablished() && context.getMutualAuthState() ? "proven" : "unproven";
        System.out.println(answer.statusCode() + " " + proven + " " + answer.body().strip());
    }

    /** Whoever asks is given the tickets of the cache, and nobody is asked for a password. */
    static class TicketCache extends Configuration {
        @Override
        public AppConfigurationEntry[] getAppConfigurationEntry(String name) {
            return new AppConfigurationEntry[] {
                new AppConfigurationEntry(
                        "com.sun.security.auth.module.Krb5LoginModule",
                        AppConfigurationEntry.LoginModuleControlFlag.REQUIRED,
                        Map.of("useTicketCache", "true", "doNotPrompt", "true"))
            };
        }
    }
}
