//! How a client proves itself in an AS exchange: a table of methods, one row and one file each (RFC
//! 4120 5.2.7, RFC 6113 2). Not here: which keys seal what, and what a proof is worth.

mod challenge;
mod hints;
mod otp;
pub mod pkinit;
pub mod spake;
mod timestamp;

use libkrb::codes::PaType;
use libkrb::crypto::{Key, Random};
use libkrb::wire::{KdcReq, PaData};
use libkrb::{ErrorCode, Time};

use super::as_req::Gathered;
use super::asked::Cost;
use super::attempts::{Lockout, Proven, Tried};
use super::policy::Policy;
use super::refuse::Refusal;
use super::second::{Answer, Question};
use super::{Arrival, Kdc, etypes, identify};

pub use hints::{Hints, etype_info2};

/// That a client has proven itself, and how.
#[derive(Debug)]
#[must_use]
pub struct Proof {
    /// The method, for the event.
    pub name: &'static str,
    /// The version of the long-term keys that it was made with; `None`: with none of them.
    pub kvno: Option<u32>,
    /// What seals the reply in place of the client's long-term key.
    pub reply_key: Option<Key>,
    /// What the method adds to the reply, in the clear.
    pub padata: Vec<(PaType, Vec<u8>)>,
    /// What the ticket says of the proof (RFC 8129).
    pub indicators: Vec<String>,
    /// Whether it took a device that only the client has (RFC 4120 2.1).
    pub hardware: bool,
    /// Until when what proved it is valid; no ticket lives longer (RFC 4556 3.2.3).
    pub until: Option<Time>,
    /// Whether the reply key has a part in the session key (RFC 8062 7).
    pub joint_session_key: bool,
}

impl Proof {
    /// Whether it is by encrypted timestamp, as from before there was FAST.
    pub fn is_old(&self) -> bool {
        self.name == timestamp::NAME
    }

    /// By a long-term key of this version, which also seals the reply.
    pub fn by_key(name: &'static str, kvno: u32) -> Self {
        Proof { kvno: Some(kvno), ..Proof::by(name) }
    }

    /// By something that is no long-term key.
    pub fn by(name: &'static str) -> Self {
        Proof {
            name,
            kvno: None,
            reply_key: None,
            padata: vec![],
            indicators: vec![],
            hardware: false,
            until: None,
            joint_session_key: false,
        }
    }
}

/// What became of one message of a method.
#[derive(Debug)]
pub enum Step {
    /// The client is who it says.
    Proven(Proof),
    /// The method goes on: KDC_ERR_MORE_PREAUTH_DATA_REQUIRED with these (RFC 6113 5.2). No guess was
    /// made yet.
    More(Hints),
    /// It was a wrong guess, and the method goes on none the less: as [`Step::More`].
    Again(Hints),
    /// The method is not for this client: PREAUTH_FAILED, though no guess was made.
    Inapplicable(&'static str),
    /// Somebody else knows. Until the answer is there it counts as a wrong guess.
    Ask(Question),
}

/// What a method works on.
pub struct Try<'a> {
    /// The realm.
    pub kdc: &'a Kdc<'a>,
    /// When and whence.
    pub at: Arrival,
    /// For keys and confounders.
    pub random: &'a mut dyn Random,
    /// What somebody else is to be asked.
    pub question: Option<Question>,
}

/// One way to prove oneself.
struct Method {
    kind: PaType,
    cost: Cost,
    /// Whether it proves possession of a long-term key: not offered to whom has none in common.
    keyed: bool,
    /// Whether it is for FAST only: elsewhere it is neither offered nor looked at.
    armored: bool,
    /// Whether a wrong one may be a guess, of which so many are allowed.
    guessed: bool,
    /// Offers the method among the hints of KDC_ERR_PREAUTH_REQUIRED, where it applies.
    offer: fn(&mut Try<'_>, &Gathered<'_>, &mut Hints),
    /// Looks at the client's element. A refusal with PREAUTH_FAILED is a wrong guess.
    verify: fn(&mut Try<'_>, &Gathered<'_>, &PaData<'_>) -> Result<Step, Refusal>,
}

const METHODS: &[Method] = &[
    Method {
        kind: PaType::PK_AS_REQ,
        cost: Cost::Heavy,
        keyed: false,
        armored: false,
        guessed: false,
        offer: pkinit::offer,
        verify: pkinit::verify,
    },
    Method {
        kind: PaType::OTP_REQUEST,
        cost: Cost::Light,
        keyed: false,
        armored: true,
        guessed: true,
        offer: otp::offer,
        verify: otp::verify,
    },
    Method {
        kind: PaType::ENCRYPTED_CHALLENGE,
        cost: Cost::Light,
        keyed: true,
        armored: true,
        guessed: true,
        offer: challenge::offer,
        verify: challenge::verify,
    },
    Method {
        kind: PaType::SPAKE,
        cost: Cost::Heavy,
        keyed: true,
        armored: false,
        guessed: true,
        offer: spake::offer,
        verify: spake::verify,
    },
    Method {
        kind: PaType::ENC_TIMESTAMP,
        cost: Cost::Light,
        keyed: true,
        armored: false,
        guessed: true,
        offer: timestamp::offer,
        verify: timestamp::verify,
    },
];

fn row(kind: PaType) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.kind == kind)
}

impl Method {
    /// Whether it can be of use to this request at all.
    fn fits(&self, gathered: &Gathered<'_>) -> bool {
        gathered.armor.is_some() || !self.armored
    }

    /// Whether it would prove a password without the armor that the realm wants for that.
    fn is_bare(&self, policy: &Policy, gathered: &Gathered<'_>) -> bool {
        self.keyed && gathered.armor.is_none() && gathered.wants_armor(policy)
    }
}

/// Whether the request tries to prove anything.
pub fn attempted(gathered: &Gathered<'_>) -> bool {
    gathered.request.padata.iter().any(|padata| row(padata.kind).is_some_and(|method| method.fits(gathered)))
}

/// How much work the proofs are that a request carries, or the hints that it gets.
pub fn cost(policy: &Policy, request: &KdcReq<'_>) -> Cost {
    // In FAST the answer may be somebody else's, who takes seconds.
    let asks = !policy.otp_types.is_empty() && request.padata(PaType::FX_FAST).is_some();
    let shown = policy.pkinit.is_some() && identify::certificate(request).is_some();
    if asks || shown || policy.spake.challenge.is_some() {
        return Cost::Heavy;
    }
    request.padata.iter().filter_map(|padata| row(padata.kind)).map(|method| method.cost).max().unwrap_or_default()
}

/// Tries the proofs that the request carries; one is enough. `None`: there is none to try.
///
/// # Errors
/// That of the last proof that failed, with the hints for another try; MORE_PREAUTH_DATA_REQUIRED when
/// a method goes on; CLIENT_REVOKED when too many failed before.
pub fn verify(work: &mut Try<'_>, gathered: &Gathered<'_>) -> Result<Option<Proof>, Refusal> {
    if !attempted(gathered) {
        return Ok(None);
    }
    if gathered.decoy {
        return try_all(work, gathered, MOST_GUESSES, &|_| true).0.map(Some);
    }
    let lockout = lockout(gathered);
    if let Some(outcome) = unguessed(work, gathered, lockout.as_ref()) {
        return outcome.map(Some);
    }
    let mut outcome = Err(LOCKED);
    let kdc = work.kdc;
    // One that is much work was tried already, if it is none to be guessed at.
    let light = carries(gathered, &|method| !method.guessed);
    let guess = move |method: &Method| method.guessed && (!light || method.cost == Cost::Light);
    let tried = kdc.attempts.attempt(&gathered.client.id, lockout.as_ref(), work.at.now.time, &mut |left| {
        let proven;
        (outcome, proven) = try_all(work, gathered, left.min(MOST_GUESSES), &guess);
        proven
    });
    if tried != Tried::Made && kdc.policy.hide_unknown_clients {
        // A lock is nobody's business who can't tell whether there is such a client.
        outcome = try_all(work, gathered, 0, &|_| true).0;
    } else if tried == Tried::Busy {
        outcome =
            Err(Refusal::new(ErrorCode::SVC_UNAVAILABLE, "the proof before this one is being counted; try again"));
    }
    if let Some(question) = work.question.take() {
        outcome = asked(work, gathered, question);
    }
    outcome.map(Some)
}

/// Tries the proof that nobody guesses at, and holds nothing meanwhile: so much work would be too long for
/// all others who have to do with the account. `None`: there is none, or something else is to be tried.
fn unguessed(work: &mut Try<'_>, gathered: &Gathered<'_>, lockout: Option<&Lockout>) -> Option<Result<Proof, Refusal>> {
    let (attempts, who, now) = (work.kdc.attempts, &gathered.client.id, work.at.now.time);
    let locked = || lockout.is_some_and(|rule| rule.locks(&attempts.record(who), now));
    if !carries(gathered, &|method| !method.guessed) || locked() {
        return None;
    }
    let outcome = try_all(work, gathered, MOST_GUESSES, &|method| !method.guessed).0;
    if outcome.is_ok() {
        attempts.attempt(who, None, now, &mut |_| Proven::Yes);
    }
    (outcome.is_ok() || !carries(gathered, &|method| method.guessed)).then_some(outcome)
}

/// Whether a request carries a proof of such a method.
fn carries(gathered: &Gathered<'_>, such: &dyn Fn(&Method) -> bool) -> bool {
    let methods = gathered.request.padata.iter().take(MOST_GUESSES as usize).filter_map(|padata| row(padata.kind));
    methods.filter(|method| method.fits(gathered)).any(such)
}

/// Asks somebody else, while nothing is held: so many seconds would be too long. The guess is counted
/// already, so that many at once are no more guesses than one after the other.
fn asked(work: &mut Try<'_>, gathered: &Gathered<'_>, question: Question) -> Result<Proof, Refusal> {
    let state = question.further.as_ref().and_then(|further| further.state.as_deref());
    let (answer, now) = (question.server.ask(&question.user, &question.password, state), work.at.now.time);
    let count = |proven| work.kdc.attempts.attempt(&gathered.client.id, None, now, &mut |_| proven);
    match answer {
        Answer::Right => {
            count(Proven::Yes);
            Ok(question.proof)
        }
        Answer::Wrong => {
            let data = Some(hints(work, gathered).encode(work, gathered));
            Err(Refusal { data, ..Refusal::new(ErrorCode::PREAUTH_FAILED, "the one-time password is wrong") })
        }
        Answer::More(more_of_it) => {
            // The first one tells nothing of the value. An answer to one that is followed by another may have been a guess:
            // it counts until there is a login, else a server that never says no would be guessed at without end.
            if question.further.is_none() {
                count(Proven::Withdrawn);
            }
            let hints = otp::ask_on(work, gathered, &question.kind, &more_of_it);
            Err(more(work, gathered, hints))
        }
        Answer::Silent => {
            count(Proven::Withdrawn);
            Err(Refusal::new(ErrorCode::SVC_UNAVAILABLE, "who knows the one-time password does not answer"))
        }
    }
}

/// When failures lock a client. Six digits want a bound also where no policy has one (RFC 4226 7.3): with ten
/// an hour, who guesses at the 21 values that a counting token may show needs four months for an even chance.
fn lockout(gathered: &Gathered<'_>) -> Option<Lockout> {
    const OF_TOKENS: Lockout = Lockout { max_failures: 10, interval: 3600, duration: 3600 };
    let own = gathered.client_policy.as_deref().and_then(Lockout::of);
    // Who has neither can't be guessed at: else anybody could lock out who logs in by certificate alone.
    let guessable = gathered.client.has_token() || gathered.client.keys.iter().any(|set| !set.keys.is_empty());
    own.filter(|_| guessable).or(gathered.client.has_token().then_some(OF_TOKENS))
}

/// Some clients send one timestamp for each enctype and salt they can think of. Each is a guess.
const MOST_GUESSES: u32 = 16;

/// Tries proofs of `such` methods until one holds, or `most` have failed. Where unknown clients are hidden the others are
/// tried too, on a key that is nobody's: the same work and words as for a client that does not exist,
/// however many guesses are left, and nothing to be learned from them.
fn try_all(
    work: &mut Try<'_>,
    gathered: &Gathered<'_>,
    most: u32,
    such: &dyn Fn(&Method) -> bool,
) -> (Result<Proof, Refusal>, Proven) {
    let policy = work.kdc.policy;
    let mut failed = Refusal::new(ErrorCode::PREAUTH_FAILED, "no proof");
    let (mut guesses, mut heavy) = (0, 0);
    let mut stand_in = None;
    for padata in gathered.request.padata.iter().take(MOST_GUESSES as usize) {
        let Some(method) = row(padata.kind).filter(|method| method.fits(gathered) && such(method)) else { continue };
        // One that is much work is enough: so much was the request let in for.
        heavy += u32::from(method.cost == Cost::Heavy);
        if method.cost == Cost::Heavy && heavy > 1 {
            continue;
        }
        let spent = guesses >= most;
        if spent && !policy.hide_unknown_clients {
            break;
        }
        if method.is_bare(policy, gathered) {
            return (gathered.has_armor_if_wanted(policy).and(Err(failed)), Proven::Unclear);
        }
        let who = if spent { &*stand_in.get_or_insert_with(|| gathered.stand_in(policy)) } else { gathered };
        if method.keyed && who.client.needs_token() {
            failed = Refusal::new(ErrorCode::POLICY, "a password alone is not enough: a one-time password is wanted");
            continue;
        }
        match (method.verify)(work, who, &padata) {
            Ok(Step::Proven(proof)) => {
                let partly = method.keyed && who.client.has_token();
                return (Ok(proof), if partly { Proven::Partly } else { Proven::Yes });
            }
            Ok(Step::More(hints)) => failed = more(work, gathered, hints),
            Ok(Step::Again(hints)) => {
                guesses += u32::from(!spent);
                failed = more(work, gathered, hints);
            }
            Ok(Step::Inapplicable(cause)) => failed = Refusal::new(ErrorCode::PREAUTH_FAILED, cause),
            Ok(Step::Ask(question)) => {
                work.question = Some(question);
                return (Err(Refusal::new(ErrorCode::PREAUTH_FAILED, "asked elsewhere")), Proven::No(guesses + 1));
            }
            Err(refusal) => {
                // What has hints of its own was not a wrong guess.
                let guess = refusal.code == ErrorCode::PREAUTH_FAILED && refusal.data.is_none();
                guesses += u32::from(!spent && guess);
                failed = refusal;
            }
        }
    }
    let proven = if guesses > 0 { Proven::No(guesses) } else { Proven::Unclear };
    if failed.code == ErrorCode::PREAUTH_FAILED && failed.data.is_none() {
        failed.data = Some(hints(work, gathered).encode(work, gathered));
    }
    (Err(failed), proven)
}

const LOCKED: Refusal = Refusal {
    code: ErrorCode::CLIENT_REVOKED,
    cause: "the client is locked after too many failures",
    data: None,
    realm: None,
};

/// Refuses a client that is locked, before it is asked for a proof.
pub fn not_locked(kdc: &Kdc<'_>, now: Time, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    match lockout(gathered) {
        Some(rule) if rule.locks(&kdc.attempts.record(&gathered.client.id), now) => Err(LOCKED),
        _ => Ok(()),
    }
}

/// "Prove yourself first", with METHOD-DATA that says how (RFC 4120 5.9.1). ETYPE_NOSUPP where nothing
/// could be a proof: the client has no key in common with the KDC and no other method applies.
pub fn required(work: &mut Try<'_>, gathered: &Gathered<'_>) -> Refusal {
    let hints = hints(work, gathered);
    if !hints.offers()
        && let Err(refusal) = common_key(work, gathered)
    {
        return refusal;
    }
    let refusal = Refusal::new(ErrorCode::PREAUTH_REQUIRED, "pre-authentication required");
    Refusal { data: Some(hints.encode(work, gathered)), ..refusal }
}

fn more(work: &mut Try<'_>, gathered: &Gathered<'_>, hints: Hints) -> Refusal {
    let refusal = Refusal::new(ErrorCode::MORE_PREAUTH_DATA_REQUIRED, "the proof goes on");
    Refusal { data: Some(hints.encode(work, gathered)), ..refusal }
}

fn common_key(work: &Try<'_>, gathered: &Gathered<'_>) -> Result<(), Refusal> {
    etypes::reply_key(gathered.client.current(work.at.now.time), &gathered.offered).map(|_| ())
}

/// What the client may prove itself with.
fn hints(work: &mut Try<'_>, gathered: &Gathered<'_>) -> Hints {
    let now = work.at.now.time;
    let keyed = common_key(work, gathered).is_ok();
    let mut hints = Hints::default();
    hints.tell(PaType::FX_FAST, vec![]);
    if keyed {
        let most = if spake::applies(work.kdc.policy, gathered, now) { 1 } else { usize::MAX };
        let keys = gathered.offered.iter().filter_map(|etype| gathered.client.key(*etype, now)).take(most);
        hints.tell(PaType::ETYPE_INFO2, etype_info2(gathered, keys));
    }
    let keyed = keyed && !gathered.client.needs_token();
    let policy = work.kdc.policy;
    let open = |method: &&Method| method.fits(gathered) && !method.is_bare(policy, gathered);
    for method in METHODS.iter().filter(open).filter(|method| keyed || !method.keyed) {
        (method.offer)(work, gathered, &mut hints);
    }
    hints
}
