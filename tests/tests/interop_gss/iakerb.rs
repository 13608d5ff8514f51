//! IAKERB with MIT's samples: a client that reaches no KDC logs in through the service that it calls, at either end of
//! the call.

use libkrb::client::{AsRequest, Secret};
use libkrb::config::Config;
use libkrb::gss::{
    AcceptStep, AcceptorOptions, IakerbAcceptor, IakerbAnswer, IakerbStep, InitiatorContext, InitiatorOptions, Login,
    Mechanism,
};
use libkrb::net::Transport;
use libkrb::wire::{IakerbHeader, IakerbRealm};
use libkrb::{Error, Principal};
use tests::optional_peer;

use super::*;

const REALM: &str = "EXAMPLE.ORG";

/// A seat that reaches no KDC.
fn apart<'a>(pair: Pair, realm: &'a Realm) -> Seat<'a> {
    let seat = pair.seat(realm);
    seat.reach("127.0.0.1:1", "127.0.0.1:1", "");
    seat
}

/// The way of a service to its KDC.
fn transport(seat: &Seat<'_>) -> Transport {
    let text = std::fs::read_to_string(seat.configuration()).expect("a krb5.conf");
    Transport::new(Arc::new(Config::parse("krb5.conf", &text).expect("a configuration")))
}

fn ask(transport: &Transport, realm: &str, message: &[u8]) -> IakerbAnswer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(transport.send(realm, message)).into()
}

/// Our acceptor, which asks the KDC for its client; or why it refused.
fn serve_apart(keytab: &std::path::Path, transport: &Transport, stream: TcpStream) -> Result<Heard, Error> {
    let mut sample = Sample(stream);
    assert_eq!(sample.hear(), (about::NOTHING | about::CONTEXT_FOLLOWS, vec![]));
    let options = AcceptorOptions::default();
    let mut acceptor = IakerbAcceptor::new(Arc::new(acceptor(keytab)), options, &[REALM]);
    loop {
        let mut about = [0];
        if sample.0.read(&mut about).unwrap_or(0) == 0 {
            return Err(Error::Malformed("the client has gone"));
        }
        assert_eq!(about[0], about::CONTEXT);
        let token = receive(&mut sample.0);
        match acceptor.step(now(), &mut OsRandom::new(), &token, None).map_err(|refusal| refusal.cause)? {
            IakerbStep::Ask { realm, message } => {
                let answer = ask(transport, &realm, &message);
                sample.send(&acceptor.answered(now(), &answer)?);
            }
            IakerbStep::Context(AcceptStep::Done(context, caller, token)) => {
                sample.send(&token.expect("a proof for the client"));
                return Ok(listen(sample, *context, *caller));
            }
            IakerbStep::Context(AcceptStep::Continue(token)) => sample.send(&token),
        }
    }
}

pub fn its_client_logs_in_through_our_acceptor(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let (client, service) = (apart(pair, &realm), pair.seat(&realm));
    let transport = transport(&service);
    let options = ["-iakerb", "-user", "alice", "-pass", "secret", "-mcount", "2"];
    let (said, heard) = call(&client, &options, |stream| serve_apart(&keytab, &transport, stream));
    said.succeeds().saying("Signature verified.");
    let heard = heard.expect("a context");
    assert_eq!(heard.caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    assert_eq!(heard.messages, vec![(MESSAGE.as_bytes().to_vec(), true, true); 2]);
}

pub fn its_client_with_a_wrong_password_gets_nowhere_through_our_acceptor(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let (client, service) = (apart(pair, &realm), pair.seat(&realm));
    let transport = transport(&service);
    let options = ["-iakerb", "-user", "alice", "-pass", "wrong"];
    let (said, heard) = call(&client, &options, |stream| serve_apart(&keytab, &transport, stream).map(drop));
    said.fails();
    heard.expect_err("nobody");
}

fn login() -> Login {
    let alice = Principal::parse("alice", Some(REALM)).expect("a name");
    let service = Principal::parse(SERVICE, Some(REALM)).expect("a name");
    Login::new(AsRequest::new(alice), Secret::password("secret"), service)
}

fn options(mechanism: Mechanism) -> InitiatorOptions {
    InitiatorOptions { mechanism, flags: F::DEFAULT, ..InitiatorOptions::default() }
}

/// Its sample has no credentials for IAKERB, so the service is one of Python's, with the same library.
pub fn our_initiator_logs_in_through_its_library(pair: Pair) {
    let Some(python) = optional_peer("python3", "/usr/bin/python3") else { return };
    if optional_peer("python3-gssapi", "/usr/lib/python3/dist-packages/gssapi/__init__.py").is_none() {
        return;
    }
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let (seat, port) = (pair.seat(&realm), Port::claim());
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("python/iakerb.py");
    let service = seat.program(python).env("KRB5_KTNAME", keytab).args([script]).args([port.number().to_string()]);
    let _service = Daemon::start(service.command(), "ready");
    let mut stream = TcpStream::connect(port.address()).expect("a service");
    stream.set_read_timeout(Some(PATIENCE)).expect("a connection with a timeout");
    let mut initiator = InitiatorContext::through_service(login(), options(Mechanism::Kerberos)).expect("an initiator");
    let mut heard = None;
    let mut context = loop {
        match initiator.step(now(), &mut OsRandom::new(), heard.as_deref()).expect("a context that opens") {
            InitiatorStep::Continue(token) => send(&mut stream, &token),
            InitiatorStep::Done(context, None) => break *context,
            InitiatorStep::Done(..) => panic!("the service has proven itself"),
        }
        heard = Some(receive(&mut stream));
    };
    let services: Vec<_> = initiator.tickets().iter().map(|ticket| ticket.server.to_string()).collect();
    assert_eq!(services, ["krbtgt/EXAMPLE.ORG@EXAMPLE.ORG", "host/localhost@EXAMPLE.ORG"]);
    send(&mut stream, &context.wrap(&mut OsRandom::new(), true, b"a secret").expect("a sealed message"));
    let answer = context.unwrap(&receive(&mut stream)).expect("a sealed answer");
    assert_eq!(answer.message.as_slice(), b"a secret from alice@EXAMPLE.ORG");
}

/// Both ends are ours, and somebody in between bends the answers of the KDC; what the acceptor made of it.
fn joined(
    keytab: &std::path::Path,
    transport: &Transport,
    mechanism: Mechanism,
    bend: impl Fn(Vec<u8>) -> Vec<u8>,
) -> Result<String, Error> {
    let mut client = InitiatorContext::through_service(login(), options(mechanism))?;
    let service = Arc::new(acceptor(keytab));
    let mut server = IakerbAcceptor::new(service, AcceptorOptions::default(), &[REALM]);
    let random = &mut OsRandom::new();
    let mut heard = None;
    loop {
        let InitiatorStep::Continue(token) = client.step(now(), random, heard.as_deref())? else {
            panic!("the server was to say something")
        };
        match server.step(now(), random, &token, None).map_err(|refusal| refusal.cause)? {
            IakerbStep::Ask { realm, message } => {
                let token = server.answered(now(), &ask(transport, &realm, &message))?;
                heard = Some(bend(token));
            }
            IakerbStep::Context(AcceptStep::Done(mut there, caller, token)) => {
                let InitiatorStep::Done(mut here, None) = client.step(now(), random, token.as_deref())? else {
                    panic!("a context")
                };
                let token = here.wrap(random, true, b"a secret")?;
                assert_eq!(there.unwrap(&token)?.message.as_slice(), b"a secret");
                return Ok(caller.accepted.client.to_string());
            }
            IakerbStep::Context(AcceptStep::Continue(_)) => panic!("one token opens a context"),
        }
    }
}

pub fn our_initiator_logs_in_through_our_acceptor_and_nobody_in_between_changes_a_word(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let seat = pair.seat(&realm);
    let transport = transport(&seat);
    for mechanism in [Mechanism::Kerberos, Mechanism::Spnego] {
        let whole = joined(&keytab, &transport, mechanism, |token| token);
        assert_eq!(whole, Ok("alice@EXAMPLE.ORG".to_owned()), "{mechanism:?}");
    }
    // A header that the client has no use for: nothing else would tell that somebody has been here.
    let bent = joined(&keytab, &transport, Mechanism::Kerberos, |token| {
        let (header, message) = IakerbHeader::split(&token[2..]).expect("a header");
        assert_eq!(header.realm, IakerbRealm::Octets(REALM));
        let header = IakerbHeader { cookie: Some(b"mine"), ..header };
        [&token[..2], &header.before(message)].concat()
    });
    assert_eq!(bent.expect_err("changed").wire_code(), ErrorCode::BAD_INTEGRITY);
}
