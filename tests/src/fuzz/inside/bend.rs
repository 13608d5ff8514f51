//! Changes one of the many places of a message, before what lies around it is sealed, signed or measured:
//! elements of DER that move, grow, vanish or lie about their length, or plain octets.

use super::super::script::Script;

/// Decides which place of a message is changed, and changes it.
pub struct Bender<'a, 'b> {
    script: &'a mut Script<'b>,
    places: [u8; 2],
    passed: u8,
    /// The places that were changed, by the order in which they were passed.
    pub changed: Vec<u8>,
}

impl<'a, 'b> Bender<'a, 'b> {
    /// By the script's decisions: none, one or two places.
    pub fn new(script: &'a mut Script<'b>) -> Self {
        let places = match script.byte() % 4 {
            0 => [u8::MAX; 2],
            3 => [script.byte() % 16, script.byte() % 16],
            _ => [script.byte() % 16, u8::MAX],
        };
        Bender { script, places, passed: 0, changed: vec![] }
    }

    /// Lets a place pass, changed or as it is.
    pub fn pass(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let here = self.passed;
        self.passed += 1;
        if self.places.contains(&here) {
            let before = bytes.clone();
            if self.script.seldom(4) {
                self.script.bend(&mut bytes)
            } else {
                element(self.script, &mut bytes)
            }
            if bytes != before {
                self.changed.push(here);
            }
        }
        bytes
    }

    /// One of several; the first by default.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        self.script.choose(from)
    }

    /// True seldom.
    pub fn seldom(&mut self, times: u8) -> bool {
        self.script.seldom(times)
    }

    /// Whether nothing was changed.
    pub fn is_honest(&self) -> bool {
        self.changed.is_empty()
    }

    /// How many places have been passed.
    pub fn passed(&self) -> u8 {
        self.passed
    }
}

/// An element of DER that can be changed.
#[derive(Clone)]
struct Node {
    tag: u8,
    inside: Inside,
    /// What its length says instead of the truth.
    lie: Option<usize>,
}

#[derive(Clone)]
enum Inside {
    Octets(Vec<u8>),
    Elements(Vec<Node>),
}

const DEEPEST: u8 = 40;

/// Tag, contents, rest.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        0x80 | 0x84.. => return None,
        _ => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn parse(mut bytes: &[u8], depth: u8) -> Option<Vec<Node>> {
    let mut nodes = vec![];
    while !bytes.is_empty() {
        let (tag, contents, rest) = split(bytes)?;
        // What is DER within octets is told by its first octet: a sequence, an application's or a choice.
        let within = tag == 4 && matches!(contents.first(), Some(0x30 | 0x60..=0x7e | 0xa0..=0xa3));
        let inner = (tag & 0x20 != 0 || within).then(|| (depth < DEEPEST).then(|| parse(contents, depth + 1))?);
        let inside = inner.flatten().map_or_else(|| Inside::Octets(contents.to_vec()), Inside::Elements);
        nodes.push(Node { tag, inside, lie: None });
        bytes = rest;
    }
    Some(nodes)
}

fn write(nodes: &[Node]) -> Vec<u8> {
    let mut out = vec![];
    for node in nodes {
        let contents = match &node.inside {
            Inside::Octets(octets) => octets.clone(),
            Inside::Elements(nodes) => write(nodes),
        };
        let length = node.lie.unwrap_or(contents.len()) as u32;
        out.push(node.tag);
        match length {
            0..0x80 => out.push(length as u8),
            0x80..0x100 => out.extend([0x81, length as u8]),
            0x100..0x10000 => out.extend([0x82, (length >> 8) as u8, length as u8]),
            _ => out.extend([&[0x84][..], &length.to_be_bytes()].concat()),
        }
        out.extend(contents);
    }
    out
}

/// How many elements there are; how many `leaves`, which hold no others.
fn count(nodes: &[Node], leaves: bool) -> usize {
    let below = |node: &Node| match &node.inside {
        Inside::Octets(_) => 1,
        Inside::Elements(nodes) => usize::from(!leaves) + count(nodes, leaves),
    };
    nodes.iter().map(below).sum()
}

/// Hands the element of a number, in the order in which they begin, with its neighbours to `change`.
fn visit(nodes: &mut Vec<Node>, leaves: bool, left: &mut usize, change: &mut dyn FnMut(&mut Vec<Node>, usize)) -> bool {
    for at in 0..nodes.len() {
        if !leaves || matches!(nodes[at].inside, Inside::Octets(_)) {
            if *left == 0 {
                change(nodes, at);
                return true;
            }
            *left -= 1;
        }
        if let Inside::Elements(inner) = &mut nodes[at].inside
            && visit(inner, leaves, left, change)
        {
            return true;
        }
    }
    false
}

/// Changes one element, half of the time to something that such an element may hold; octets that are no
/// DER are bent.
fn element(script: &mut Script<'_>, bytes: &mut Vec<u8>) {
    let Some(mut nodes) = parse(bytes, 0).filter(|nodes| !nodes.is_empty()) else { return script.bend(bytes) };
    let gently = script.seldom(2);
    let mut which = usize::from(script.byte()) << 8 | usize::from(script.byte());
    which %= count(&nodes, gently).max(1);
    visit(&mut nodes, gently, &mut which, &mut |nodes, at| {
        if gently { another(script, &mut nodes[at]) } else { change(script, nodes, at) }
    });
    *bytes = write(&nodes);
}

const NUMBERS: [&[u8]; 22] = [
    &[0],
    &[1],
    &[2],
    &[3],
    &[4],
    &[5],
    &[7],
    &[10],
    &[16],
    &[17],
    &[18],
    &[19],
    &[20],
    &[23],
    &[0xff],
    &[0xff, 0x76],
    &[0, 0x80],
    &[0, 0x81],
    &[2, 0],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0, 0xff, 0xff, 0xff, 0xff],
];

const TEXTS: [&str; 20] = [
    "alice",
    "bob",
    "robert",
    "olga",
    "armored",
    "krbtgt",
    "EXAMPLE.ORG",
    "OTHER.ORG",
    "ORG",
    "host",
    "gate",
    "behind",
    "a.example.org",
    "kadmin",
    "changepw",
    "WELLKNOWN",
    "ANONYMOUS",
    "WELLKNOWN:ANONYMOUS",
    "alice@EXAMPLE.ORG",
    "",
];

const TIMES: [&str; 10] = [
    "19700101000000Z",
    "20270115074000Z",
    "20270115075600Z",
    "20270115080000Z",
    "20270115080400Z",
    "20270115082000Z",
    "20270115230000Z",
    "20270201000000Z",
    "20370101000000Z",
    "99991231235959Z",
];

/// Another value of the same kind.
fn another(script: &mut Script<'_>, node: &mut Node) {
    let Inside::Octets(octets) = &mut node.inside else { return };
    match node.tag {
        2 | 10 => *octets = script.choose(&NUMBERS).to_vec(),
        3 if octets.len() > 1 => {
            for _ in 0..=script.byte() % 3 {
                let bit = usize::from(script.byte()) % (8 * (octets.len() - 1));
                octets[1 + bit / 8] ^= 0x80 >> (bit % 8);
            }
        }
        0x18 => *octets = script.choose(&TIMES).into(),
        0x1b | 0x0c => *octets = script.choose(&TEXTS).into(),
        1 => octets.iter_mut().for_each(|octet| *octet = !*octet),
        _ => script.bend(octets),
    }
}

fn change(script: &mut Script<'_>, nodes: &mut Vec<Node>, at: usize) {
    let node = &mut nodes[at];
    match script.byte() % 11 {
        0 => drop(nodes.remove(at)),
        1 => {
            let copies = 1 + usize::from(script.byte() % 40);
            let node = node.clone();
            nodes.splice(at..at, std::iter::repeat_n(node, copies));
        }
        2 => {
            let other = usize::from(script.byte()) % nodes.len();
            nodes.swap(at, other);
        }
        3 => node.tag = script.choose(&[0x30, 0x02, 0x04, 0x1b, 0xa0, 0xa1, 0xa4, 0x80, 0x0c, 0x60, 0x6e, 0x7f, 0]),
        4 => node.tag = node.tag.wrapping_add(1),
        5 => node.lie = Some(script.choose(&[0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0xffff_ffff])),
        6 => node.inside = Inside::Octets(script.bytes().to_vec()),
        7 => node.inside = Inside::Octets(vec![]),
        8 => {
            let edges: [&[u8]; 6] = [&[0], &[1], &[0x7f; 4], &[0xff; 4], &[0x80, 0, 0, 0], &[0x7f; 9]];
            node.inside = Inside::Octets(script.choose(&edges).to_vec());
        }
        _ => {
            let mut octets = match &node.inside {
                Inside::Octets(octets) => octets.clone(),
                Inside::Elements(nodes) => write(nodes),
            };
            script.bend(&mut octets);
            node.inside = Inside::Octets(octets);
        }
    }
}
