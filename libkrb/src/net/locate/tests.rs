use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{NULL, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::super::dns::SystemResolver;
use super::super::testing::Table;
use super::super::trace::testing::kept;
use super::*;

struct Script(Vec<u8>);

impl Random for Script {
    fn fill(&mut self, out: &mut [u8]) {
        let number = self.0.pop().unwrap_or(0);
        out.fill(0);
        *out.last_mut().unwrap() = number;
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv { priority, weight, port, target: target.into() }
}

fn uri(priority: u16, target: &str) -> Uri {
    Uri { priority, weight: 1, target: target.into() }
}

async fn found(config: &str, table: &Table, service: Service, realm: &str) -> Vec<String> {
    let config = Config::parse("krb5.conf", config).unwrap();
    let locator = Locator { config: &config, resolver: table, trace: &Trace::off() };
    locator.servers(service, realm).await.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_the_configuration_says_goes_before_dns() {
    let table = Table { uri: [("_kerberos.R.".into(), vec![uri(1, "krb5srv::tcp:dns")])].into(), ..Table::default() };
    let config = "[realms]\nR = {\nkdc = a:1\nkdc = [::1]:2\nadmin_server = b:749\n}\n";
    assert_eq!(found(config, &table, Service::Kdc, "R").await, ["a:1", "[::1]:2"]);
    assert_eq!(found(config, &table, Service::Kpasswd, "R").await, ["b:464"]);
    assert_eq!(found(config, &table, Service::Kadmin, "R").await, ["b:749"]);
    assert_eq!(*table.asked.lock().unwrap(), ["_kpasswd.R.", "_kpasswd._udp.R.", "_kpasswd._tcp.R."]);
}

#[tokio::test]
async fn uri_records_go_before_srv_records() {
    let records = vec![
        uri(20, "krb5srv::udp:10.1.2.3:89"),
        uri(10, "KRB5SRV:m:TCP:kdc1.example.com"),
        uri(30, "krb5srv:x:kkdcp:https://proxy.example.com/KdcProxy"),
        uri(40, "krb5srv::udp:[2001:db8::1]"),
        uri(50, "krb5srv::pigeon:kdc"),
        uri(50, "http://example.com"),
        uri(50, "krb5srv::kkdcp:http://proxy"),
        uri(50, "krb5srv:"),
    ];
    let table = Table {
        uri: [("_kerberos.R.".into(), records)].into(),
        srv: [("_kerberos._udp.R.".into(), vec![srv(1, 1, 88, "srv")])].into(),
        ..Table::default()
    };
    assert_eq!(
        found("", &table, Service::Kdc, "R").await,
        [
            "tcp/kdc1.example.com:88",
            "udp/10.1.2.3:89",
            "https://proxy.example.com:443/KdcProxy",
            "udp/[2001:db8::1]:88"
        ]
    );
    assert_eq!(found("", &table, Service::PrimaryKdc, "R").await, ["tcp/kdc1.example.com:88"]);
    assert_eq!(found("[libdefaults]\ndns_uri_lookup = no\n", &table, Service::Kdc, "R").await, ["udp/srv:88"]);
    assert_eq!(found("[libdefaults]\ndns_lookup_kdc = no\n", &table, Service::Kdc, "R").await, [""; 0]);
}

#[tokio::test]
async fn srv_records_are_ordered_and_useless_ones_left_out() {
    let table = Table {
        srv: [
            (
                "_kerberos._udp.R.".into(),
                vec![srv(20, 0, 88, "c"), srv(10, 0, 750, "b"), srv(5, 0, 88, ""), srv(5, 0, 0, "zero")],
            ),
            (
                "_kerberos._tcp.R.".into(),
                vec![srv(1, 0, 88, "your-dns-needs-immediate-attention.r"), srv(2, 0, 88, "t")],
            ),
            ("_kerberos-master._tcp.R.".into(), vec![srv(1, 1, 88, "m")]),
        ]
        .into(),
        ..Table::default()
    };
    assert_eq!(found("", &table, Service::Kdc, "R").await, ["udp/b:750", "udp/c:88", "tcp/t:88"]);
    assert_eq!(found("", &table, Service::PrimaryKdc, "R").await, ["tcp/m:88"]);
    assert_eq!(found("", &table, Service::Kdc, "OTHER").await, [""; 0]);
}

#[tokio::test]
async fn a_site_is_asked_for_first() {
    let table = Table {
        srv: [
            ("_kerberos._udp.HERE._sites.R.".into(), vec![srv(1, 1, 88, "near")]),
            ("_kerberos._udp.R.".into(), vec![srv(1, 1, 88, "far")]),
        ]
        .into(),
        ..Table::default()
    };
    let config = |site: &str| format!("[realms]\nR = {{\nsitename = {site}\n}}\n");
    assert_eq!(found(&config("HERE"), &table, Service::Kdc, "R").await, ["udp/near:88"]);
    assert_eq!(found(&config("THERE"), &table, Service::Kdc, "R").await, ["udp/far:88"]);
}

#[test]
fn equals_are_drawn_by_their_weight() {
    let records = || vec![(2, 9, "last"), (1, 0, "none"), (1, 10, "ten"), (1, 30, "thirty")];
    assert_eq!(by_weight(records(), &mut Script(vec![])), ["none", "ten", "thirty", "last"]);
    assert_eq!(by_weight(records(), &mut Script(vec![0, 0, 11])), ["thirty", "none", "ten", "last"]);
    assert_eq!(by_weight(records(), &mut Script(vec![0, 5, 10])), ["ten", "thirty", "none", "last"]);
    assert_eq!(by_weight(Vec::<(u16, u16, ())>::new(), &mut Script(vec![])).len(), 0);
}

#[tokio::test]
async fn the_realm_of_a_host_comes_from_dns_only_where_that_is_believed() {
    let table = Table { txt: [("_kerberos.b.c.".into(), vec!["REALM".into()])].into(), ..Table::default() };
    let ask = async |config: &str, host: &str| {
        let config = Config::parse("x", config).unwrap();
        Locator { config: &config, resolver: &table, trace: &Trace::off() }.realm_of_host(host).await
    };
    assert_eq!(ask("[libdefaults]\ndns_lookup_realm = yes\n", "a.b.c.").await.as_deref(), Some("REALM"));
    assert_eq!(ask("[libdefaults]\ndns_lookup_realm = yes\n", "a.x").await, None);
    assert_eq!(ask("", "a.b.c").await, None);
}

/// Answers questions on loopback as a name server does.
async fn name_server(records: Vec<(&'static str, RecordType, RData)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let query = question.queries[0].clone();
            let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
            let name = query.name().to_ascii().to_ascii_lowercase();
            for (owner, kind, data) in &records {
                if *owner == name && *kind == query.query_type() {
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
                }
            }
            if answer.answers.is_empty() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            answer.add_query(query);
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_real_name_server_is_asked_and_understood() {
    let uri_type = RecordType::Unknown(256);
    let uri = |text: &str| {
        let data = [&[0, 10, 0, 1], text.as_bytes()].concat();
        RData::Unknown { code: RecordType::Unknown(256), rdata: NULL::with(data) }
    };
    let target = Name::from_ascii("kdc.example.org.").unwrap();
    let address = name_server(vec![
        ("_kerberos.uri.test.", uri_type, uri("krb5srv:m:tcp:kdc.example.org:89")),
        ("_kerberos._tcp.srv.test.", RecordType::SRV, RData::SRV(SRV::new(1, 2, 750, target))),
        ("_kerberos.srv.test.", RecordType::TXT, RData::TXT(TXT::new(vec!["SRV.TEST".into()]))),
    ])
    .await;
    let config = Config::parse("x", "[libdefaults]\ndns_lookup_realm = true\n").unwrap();
    let (trace, lines) = kept();
    let resolver: Arc<dyn Resolve> = Arc::new(SystemResolver::with_name_server(address));
    let locator = Locator { config: &config, resolver: &*resolver, trace: &trace };
    let tcp = |port| Server::Host { transport: Transport::Tcp, host: "kdc.example.org".into(), port };
    assert_eq!(locator.servers(Service::Kdc, "URI.TEST").await.unwrap(), [tcp(89)]);
    assert_eq!(locator.servers(Service::Kdc, "SRV.TEST").await.unwrap(), [tcp(750)]);
    assert_eq!(locator.servers(Service::Kdc, "NONE.TEST").await.unwrap(), []);
    assert_eq!(locator.servers(Service::Kdc, "no name \0 at all..").await.unwrap(), []);
    assert_eq!(locator.realm_of_host("www.srv.test").await.as_deref(), Some("SRV.TEST"));
    assert!(lines.contains("URI answer: 10 1 \"krb5srv:m:tcp:kdc.example.org:89\""));
    assert!(lines.contains("Sending DNS SRV query for _kerberos._tcp.SRV.TEST."));
    assert!(lines.contains("SRV answer: 1 2 750 \"kdc.example.org\""));
    assert!(lines.contains("No SRV records found"));
}
