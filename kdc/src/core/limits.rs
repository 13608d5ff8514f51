//! How long a ticket may live and which flags it may have (RFC 4120 2, 3.1.3, 3.3.3): arithmetic on
//! wishes and bounds, the same for both exchanges.

use libkrb::flags::{KdcOptions, TicketFlags};
use libkrb::wire::KdcReqBody;
use libkrb::{ErrorCode, Time};

use super::entry::{Attributes, Entry};
use super::grant::Times;
use super::password_policy::PasswordPolicy;
use super::policy::Policy;
use super::refuse::Refusal;

/// Everything that bounds a ticket.
pub struct Bounds<'a> {
    /// The realm's rules.
    pub policy: &'a Policy,
    /// The client's entry, where it is one of this realm.
    pub client: Option<&'a Entry>,
    /// The policy that the client is under.
    pub client_policy: Option<&'a PasswordPolicy>,
    /// The server's entry.
    pub server: &'a Entry,
    /// The end and the renew-till of the TGT; `None` in an AS exchange.
    pub tgt: Option<(Time, Option<Time>)>,
    /// How the client proved itself.
    pub indicators: &'a [String],
}

impl Bounds<'_> {
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.client.into_iter().chain([self.server])
    }

    /// Whether neither client nor server has an attribute.
    pub fn allow(&self, forbidden: Attributes) -> bool {
        self.entries().all(|entry| !entry.attributes.has(forbidden))
    }

    fn max_life(&self) -> i64 {
        let own = self.entries().filter_map(|entry| entry.max_life);
        let proven = self.policy.indicators.life(self.indicators);
        own.chain(self.of_policy(|policy| policy.max_ticket_life)).chain(proven).fold(self.policy.max_life, i64::min)
    }

    fn max_renewable_life(&self) -> i64 {
        let own = self.entries().filter_map(|entry| entry.max_renewable_life);
        own.chain(self.of_policy(|policy| policy.max_renewable_life)).fold(self.policy.max_renewable_life, i64::min)
    }

    /// A bound of the client's policy; 0 is none.
    fn of_policy(&self, bound: impl Fn(&PasswordPolicy) -> i64) -> Option<i64> {
        self.client_policy.map(bound).filter(|bound| *bound > 0)
    }

    /// The flags that options ask for and the entries' attributes allow; what is not allowed is left
    /// out silently, as the client sees it in the reply. ENC-PA-REP is in every ticket: where it was only in
    /// those of clients that ask, whoever takes their wish away on its way would go unnoticed (RFC 6806 11).
    pub fn flags(&self, options: KdcOptions) -> TicketFlags {
        const WISHES: [(KdcOptions, TicketFlags, Attributes); 3] = [
            (KdcOptions::FORWARDABLE, TicketFlags::FORWARDABLE, Attributes::DISALLOW_FORWARDABLE),
            (KdcOptions::PROXIABLE, TicketFlags::PROXIABLE, Attributes::DISALLOW_PROXIABLE),
            (KdcOptions::ALLOW_POSTDATE, TicketFlags::MAY_POSTDATE, Attributes::DISALLOW_POSTDATED),
        ];
        let wished = WISHES.iter().filter(|(option, _, forbidden)| options.has(*option) && self.allow(*forbidden));
        let flags = wished.fold(TicketFlags::ENC_PA_REP, |flags, (_, flag, _)| flags | *flag);
        flags
            .with(TicketFlags::POSTDATED | TicketFlags::INVALID, options.has(KdcOptions::POSTDATED))
            .with(TicketFlags::OK_AS_DELEGATE, self.server.attributes.has(Attributes::OK_AS_DELEGATE))
    }

    /// The times of a new ticket, and whether it is renewable.
    ///
    /// # Errors
    /// CANNOT_POSTDATE and NEVER_VALID (RFC 4120 3.1.3).
    pub fn times(&self, body: &KdcReqBody<'_>, auth: Time, now: Time) -> Result<Times, Refusal> {
        let start = self.start(body, now)?;
        let wanted = if body.till == Time::EPOCH { Time::MAX } else { body.till };
        let bound = self.tgt.map_or(Time::MAX, |(end, _)| end).min(start + self.max_life());
        let end = wanted.min(bound);
        Refusal::unless(end > start, ErrorCode::NEVER_VALID, "the ticket would end before it starts")?;
        let options = body.options;
        let rather_renewable = options.has(KdcOptions::RENEWABLE_OK) && wanted > end;
        let renew_till = if options.has(KdcOptions::RENEWABLE) {
            // MIT's clients ask for every service ticket so, and name no time.
            self.renew_till(body.renew_till.unwrap_or(Time::EPOCH), start, end)
        } else if rather_renewable {
            self.renew_till(wanted, start, end)
        } else {
            None
        };
        Ok(Times { auth, start, end, renew_till })
    }

    fn start(&self, body: &KdcReqBody<'_>, now: Time) -> Result<Time, Refusal> {
        const CANNOT: ErrorCode = ErrorCode::CANNOT_POSTDATE;
        let from = body.from.unwrap_or(Time::EPOCH);
        let postdated = body.options.has(KdcOptions::POSTDATED);
        if postdated {
            let allowed = self.allow(Attributes::DISALLOW_POSTDATED);
            Refusal::unless(allowed, CANNOT, "client or server may not have postdated tickets")?;
            return Ok(from.max(now));
        }
        let soon = from <= now + self.policy.clock_skew;
        Refusal::unless(soon, CANNOT, "a start in the future needs the postdated option")?;
        Ok(now)
    }

    /// A renewable ticket must be renewable beyond its end, else it is an ordinary one.
    fn renew_till(&self, wanted: Time, start: Time, end: Time) -> Option<Time> {
        let wanted = if wanted == Time::EPOCH { Time::MAX } else { wanted };
        let of_tgt = self.tgt.map_or(Some(Time::MAX), |(_, renew_till)| renew_till)?;
        let till = wanted.min(of_tgt).min(start + self.max_renewable_life());
        (till > end && self.allow(Attributes::DISALLOW_RENEWABLE)).then_some(till)
    }
}

impl Times {
    /// `flags` with `RENEWABLE` as the times have it.
    pub fn renewable(&self, flags: TicketFlags) -> TicketFlags {
        flags.with(TicketFlags::RENEWABLE, self.renew_till.is_some())
    }
}
