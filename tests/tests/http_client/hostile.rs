//! Answers that no server gives.

use libkrb::http::client::Negotiator;
use tests::Pair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{alice, plain, realm, run};

/// Gives every connection this answer, and says where it is.
async fn answering(answer: String) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let host = format!("localhost:{}", listener.local_addr().expect("an address").port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 1 << 16];
                (stream.read(&mut request).await.ok()? > 0).then_some(())?;
                // Whoever hangs up has heard enough.
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()
            });
        }
    });
    host
}

pub fn no_answer_makes_the_client_believe_or_wait_or_fall(pair: Pair) {
    let realm = realm(pair);
    let seat = pair.seat(&realm);
    let header = |value: &str| format!("HTTP/1.1 200 OK\r\nwww-authenticate: {value}\r\ncontent-length: 0\r\n\r\n");
    let answers = [
        header(&format!("Negotiate {}", "A".repeat(2 << 20))),
        header(&format!("Negotiate {}", "A".repeat(200_000))),
        header(&"Basic, ".repeat(20_000)),
        header(&"Negotiate, ".repeat(20_000)),
        header("Negotiate \u{1}"),
        header("Negotiate ////"),
        header("Negotiate"),
        header(""),
        "HTTP/1.1 200 OK\r\n".to_owned() + &"www-authenticate: Negotiate YA==\r\n".repeat(2000) + "\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://localhost/\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\nkrb-session: krb1.x; max-age=9999999999999999999999\r\n\r\n".to_owned(),
        "HTTP/1.1 401 \r\nwww-authenticate: Negotiate\r\n".to_owned(),
        String::new(),
    ];
    run(async {
        let credentials = alice(&seat).await;
        for answer in answers {
            let shown: String = answer.chars().take(80).collect();
            let host = answering(answer).await;
            let negotiator = Negotiator::new(credentials.clone(), plain(&host)).sessions_over_plain_http();
            let client = negotiator.reqwest(reqwest::Client::builder()).expect("a client");
            let error = client.get(format!("http://{host}/")).send().await.expect_err(&shown);
            let words = error.to_string();
            assert!(words.len() < 300 && !words.contains("AAAA"), "{shown}: {words}");
        }
    });
}
