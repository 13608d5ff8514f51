//! A principal as `getprinc` shows it, to people and to scripts.

use libkrb::Time;

use crate::admin::operation::{Description, KeyLine, Salt};
use crate::admin::zone::Zone;
use crate::core::Attributes;

/// The lines for people; scripts read them too.
pub(super) fn full(it: &Description, zone: &dyn Zone) -> String {
    let date = |seconds: Option<i64>| seconds.map_or_else(|| "[never]".into(), |seconds| date(Time(seconds), zone));
    let keys: String = it.keys.iter().map(|key| key_line(key, zone)).collect();
    let attributes = Attributes::TABLE.iter().filter(|(bit, ..)| it.attributes & bit.0 != 0);
    let attributes: String = attributes.map(|(_, name, ..)| format!(" {name}")).collect();
    let aliases: String = it.aliases.iter().map(|alias| format!("Alias: {alias}\n")).collect();
    let policy = it.policy.as_deref().unwrap_or("[none]");
    let missing = if it.policy.is_some() && !it.policy_exists { " [does not exist]" } else { "" };
    format!(
        "Principal: {}
Expiration date: {}
Last password change: {}
Password expiration date: {}
Maximum ticket life: {}
Maximum renewable life: {}
Last modified: {} ({})
Last successful authentication: {}
Last failed authentication: {}
Failed password attempts: {}
Number of keys: {}
{keys}MKey: vno 1
Attributes:{attributes}
Policy: {policy}{missing}
{aliases}",
        it.principal,
        date(it.expires),
        date(it.password_changed),
        date(it.password_expires),
        duration(it.max_life),
        duration(it.max_renewable_life),
        date(Some(it.modified)),
        it.modified_by,
        date(it.last_success),
        date(it.last_failure),
        it.failures,
        it.keys.len(),
    )
}

/// Fields between tabs, in MIT's order.
pub(super) fn terse(it: &Description) -> String {
    let kvno = it.keys.first().map_or(0, |key| key.kvno);
    let or_zero = Option::unwrap_or_default;
    let mut fields = vec![
        format!("\"{}\"", it.principal),
        or_zero(it.expires).to_string(),
        or_zero(it.password_changed).to_string(),
        or_zero(it.password_expires).to_string(),
        it.max_life.to_string(),
        format!("\"{}\"", it.modified_by),
        it.modified.to_string(),
        it.attributes.to_string(),
        kvno.to_string(),
        "1".into(),
        format!("\"{}\"", it.policy.as_deref().unwrap_or("[none]")),
        it.max_renewable_life.to_string(),
        or_zero(it.last_success).to_string(),
        or_zero(it.last_failure).to_string(),
        it.failures.to_string(),
        it.keys.len().to_string(),
    ];
    fields.extend(it.keys.iter().map(|key| {
        // The layout of MIT's key records: 2 when there is a salt to tell.
        let (layout, salt) = match key.salt {
            Salt::Normal => (1, 0),
            Salt::NoRealm => (2, 2),
            Salt::OnlyRealm => (2, 3),
            Salt::Special => (2, 4),
        };
        format!("{layout}\t{}\t{}\t{salt}", key.kvno, key.etype.0.0)
    }));
    fields.join("\t") + "\n"
}

/// As MIT has it; beyond that only of keys that come into use or go out of it by themselves.
fn key_line(key: &KeyLine, zone: &dyn Zone) -> String {
    let note = |words: &str, time: Option<i64>| time.map(|time| format!(", {words} {}", date(Time(time), zone)));
    let window = [note("in use from", key.from), note("good until", key.until)].into_iter().flatten();
    format!("Key: vno {}, {}{}{}\n", key.kvno, key.etype.0, salt(key.salt), window.collect::<String>())
}

fn salt(salt: Salt) -> &'static str {
    match salt {
        Salt::Normal => "",
        Salt::NoRealm => ":norealm",
        Salt::OnlyRealm => ":onlyrealm",
        Salt::Special => ":special",
    }
}

/// `Thu Dec 31 23:59:58 UTC 2026`
pub(super) fn date(time: Time, zone: &dyn Zone) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let wall = zone.wall(time);
    let (year, month, day, hour, minute, second) = wall.civil();
    let weekday = wall.seconds().div_euclid(86_400).rem_euclid(7) as usize;
    let name = |names: &[&'static str], index: usize| names.get(index).copied().unwrap_or_default();
    format!(
        "{} {} {day:02} {hour:02}:{minute:02}:{second:02} {} {year}",
        name(&WEEKDAYS, weekday),
        name(&MONTHS, usize::from(month).wrapping_sub(1)),
        zone.name(time),
    )
}

/// `1 day 02:03:04`
pub(super) fn duration(seconds: i64) -> String {
    let days = seconds / 86_400;
    let unit = if days == 1 { "day" } else { "days" };
    format!("{days} {unit} {:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}
