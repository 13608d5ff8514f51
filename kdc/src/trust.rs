//! `kdc trust`: trusts between this realm and others, each a principal or two with a password that both
//! realms know (RFC 4120 1.2). Asks the running KDC, or does it itself where none runs. Not here: what
//! tickets come of it, and the rules about whoever comes ([`crate::config`]'s rows `[[trust]]`).

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

use clap::{Args, Subcommand, ValueEnum};
use libkrb::Principal;
use zeroize::Zeroizing;

use crate::admin::query::key_kinds;
use crate::admin::{self, Answer, KeyKind, Name, NewKeys, Operation, Perform, Reason, Secret};
use crate::config;
use crate::error::{Error, Result};
use crate::kadmin;
use crate::settings::Settings;

/// Every user gets tickets under the key of a trust and can guess at its password in peace.
const SHORTEST: usize = 20;

/// Trust other realms, or show which are trusted
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the principals of a trust with a password that the other realm's administrators have too
    Add(Add),
    /// Show the realms that are trusted, and in which direction
    List(Settings),
    /// Trust a realm no longer
    Remove(Remove),
}

#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the words of --help")]
pub struct Add {
    /// The other realm, such as OTHER.ORG
    realm: String,
    #[command(flatten)]
    settings: Settings,
    /// Who may go where
    #[arg(long, value_enum, default_value = "both")]
    direction: Direction,
    /// Make a password and show it, once
    #[arg(long)]
    generate: bool,
    /// The encryption types of the keys, which the other realm must have too [default: kdc.toml's]
    #[arg(long, value_name = "ENCTYPE,...")]
    enctypes: Option<String>,
}

#[derive(Debug, Args)]
#[allow(missing_docs, reason = "the words of --help")]
pub struct Remove {
    /// The other realm
    realm: String,
    #[command(flatten)]
    settings: Settings,
}

/// Who may go where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// Their clients come here, and ours go there
    Both,
    /// Their clients come here
    In,
    /// Our clients go there
    Out,
}

impl Direction {
    /// The principals that make it.
    fn principals(self, ours: &str, other: &str) -> Vec<Principal> {
        let way = [(Direction::Out, other, ours), (Direction::In, ours, other)];
        let wanted = way.into_iter().filter(|(direction, ..)| self == Direction::Both || self == *direction);
        wanted.map(|(_, target, realm)| Principal::cross_tgs(target, realm)).collect()
    }
}

impl Command {
    /// Does it, and says what was done.
    ///
    /// # Errors
    /// What keeps it from being done.
    pub fn run(self) -> Result<()> {
        let said = match self {
            Command::Add(add) => {
                let password = if add.generate { generated()? } else { asked()? };
                let shown = if add.generate { Some(&password) } else { None };
                let (registry, ours) = reach(&add.settings)?;
                add.make(&*registry, &ours, &password)?;
                add.done(&ours, shown.map(|password| password.as_str()))
            }
            Command::List(settings) => {
                let (registry, ours) = reach(&settings)?;
                list(&*registry, &ours)?
            }
            Command::Remove(remove) => {
                let (registry, ours) = reach(&remove.settings)?;
                take_away(&*registry, &ours, &remove.realm)?
            }
        };
        std::io::stdout().write_all(said.as_bytes()).map_err(|error| Error::Other(error.to_string()))
    }
}

fn reach(settings: &Settings) -> Result<(Box<dyn Perform>, String)> {
    let config = config::load(&settings.file()?)?;
    Ok((kadmin::reach(&config)?, config.realm))
}

impl Add {
    fn make(&self, registry: &dyn Perform, ours: &str, password: &str) -> Result<()> {
        config::check_realm(&self.realm).map_err(Error::Other)?;
        if self.realm == ours {
            return Err(Error::Other(format!("{ours} is this realm; name the other one")));
        }
        if password.chars().count() < SHORTEST {
            let problem = "every user can guess at the password of a trust without asking anybody";
            return Err(Error::Other(format!("{problem}: give it {SHORTEST} characters or more, or use --generate")));
        }
        let kinds = match &self.enctypes {
            Some(list) => key_kinds(list).map_err(Error::Other)?,
            None => vec![],
        };
        let mut made: Vec<Principal> = vec![];
        for principal in self.direction.principals(ours, &self.realm) {
            let outcome = registry.perform(create(&principal, password, &kinds));
            if let Err(refusal) = outcome {
                // Half a trust is another one than was asked for.
                for principal in made {
                    let _ = registry.perform(Operation::Delete { principal: Name(principal) });
                }
                if refusal.reason != Reason::Exists {
                    return Err(refusal.into());
                }
                let way_out =
                    format!("`kdc trust list` shows what there is, `kdc trust remove {}` ends it", self.realm);
                return Err(Error::Other(format!("{principal} is there already: {way_out}")));
            }
            made.push(principal);
        }
        Ok(())
    }

    fn done(&self, ours: &str, password: Option<&str>) -> String {
        let other = &self.realm;
        let made = self.direction.principals(ours, other);
        let mut said: String = made.iter().map(|principal| format!("Principal {principal} made.\n")).collect();
        let back = match self.direction {
            Direction::Both => "both",
            Direction::In => "out",
            Direction::Out => "in",
        };
        if let Some(password) = password {
            said += &format!(
                "Password: {password}\nGive it to {other}'s administrators by a safe way; it is shown once.\n"
            );
        }
        said += &format!(
            "The trust stands when {other} has the same with the same password: there, `kdc trust add {ours} --direction {back}`,\n\
             or with MIT krb5 or Heimdal by kadmin as docs/guide/trusts.md says.\n"
        );
        said
    }
}

fn create(principal: &Principal, password: &str, kinds: &[KeyKind]) -> Operation {
    // No policy: a trust that ends by itself one night is nobody's wish.
    let settings = admin::Settings { policy: Some(String::new()), ..admin::Settings::default() };
    let keys = NewKeys::Password { password: Secret::new(password.to_owned()), kinds: kinds.to_vec() };
    Operation::Create { principal: Name(principal.clone()), keys, kvno: None, settings }
}

/// 26 letters and digits: 128 bits and more.
fn generated() -> Result<Zeroizing<String>> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = Zeroizing::new([0; 26]);
    getrandom::fill(&mut *octets).map_err(|_| Error::Krb(libkrb::Error::Random))?;
    Ok(Zeroizing::new(octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 32)])).collect()))
}

/// The password from the terminal, typed twice, or from the standard input.
fn asked() -> Result<Zeroizing<String>> {
    let failed = |error: std::io::Error| Error::Other(error.to_string());
    if !std::io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()));
    }
    let once = Zeroizing::new(rpassword::prompt_password("Password of the trust: ").map_err(failed)?);
    let again = Zeroizing::new(rpassword::prompt_password("The same again: ").map_err(failed)?);
    if once == again { Ok(once) } else { Err(Error::Other("the two passwords differ".into())) }
}

/// The trusts that there are: whether theirs come here, and whether ours go there.
fn trusts(registry: &dyn Perform, ours: &str) -> Result<BTreeMap<String, (bool, bool)>> {
    let mut found: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    let mut after = None;
    loop {
        let list = Operation::List { pattern: Some("krbtgt/*@*".into()), after, limit: None };
        let Answer::Names { names, next } = registry.perform(list)? else { break };
        for Name(principal) in &names {
            match (principal.tgs_target(), principal.realm()) {
                (Some(target), realm) if target == ours && realm != ours => {
                    found.entry(realm.to_owned()).or_default().0 = true;
                }
                (Some(target), realm) if target != ours && realm == ours => {
                    found.entry(target.to_owned()).or_default().1 = true;
                }
                _ => {}
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}

fn list(registry: &dyn Perform, ours: &str) -> Result<String> {
    let trusts = trusts(registry, ours)?;
    if trusts.is_empty() {
        return Ok(format!("{ours} trusts no other realm.\n"));
    }
    let row = |(realm, way): (&String, &(bool, bool))| {
        let words = match way {
            (true, true) => "both ways",
            (true, false) => "in: their clients come here",
            _ => "out: our clients go there",
        };
        format!("{realm}  {words}\n")
    };
    Ok(trusts.iter().map(row).collect())
}

fn take_away(registry: &dyn Perform, ours: &str, other: &str) -> Result<String> {
    let (inward, outward) = trusts(registry, ours)?.get(other).copied().unwrap_or_default();
    let mut said = String::new();
    for (there, principal) in
        [(outward, Principal::cross_tgs(other, ours)), (inward, Principal::cross_tgs(ours, other))]
    {
        if there && other != ours {
            registry.perform(Operation::Delete { principal: Name(principal.clone()) })?;
            said += &format!("Principal {principal} deleted.\n");
        }
    }
    if said.is_empty() {
        return Err(Error::Other(format!("there is no trust between {ours} and {other}; `kdc trust list` shows them")));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use libkrb::codes::EncryptionType;

    use super::*;
    use crate::admin::{KeyRules, Local, Registry};
    use crate::core::{Attributes, PasswordPolicy, Policy, Store};
    use crate::store::Memory;

    const PASSWORD: &str = "a password of some length";

    fn realm(name: &str, iterations: Option<u32>) -> (Arc<Memory>, Local) {
        let store = Arc::new(Memory::new());
        let keys = KeyRules { iterations, ..KeyRules::default() };
        let registry = Registry::new(Arc::clone(&store) as Arc<dyn Store>, Policy::new(name), keys);
        (store, Local::new(Arc::new(registry)))
    }

    fn add(realm: &str, direction: Direction) -> Add {
        Add { realm: realm.into(), settings: Settings::default(), direction, generate: false, enctypes: None }
    }

    #[test]
    fn both_realms_make_the_same_keys_of_the_same_password_whatever_their_own_rounds() {
        let [(one, of_one), (two, of_two)] = [realm("A.ORG", None), realm("B.ORG", Some(50_000))];
        add("B.ORG", Direction::Both).make(&of_one, "A.ORG", PASSWORD).expect("made");
        add("A.ORG", Direction::Both).make(&of_two, "B.ORG", PASSWORD).expect("made");
        for principal in Direction::Both.principals("A.ORG", "B.ORG") {
            let [one, two] = [&one, &two].map(|store| store.lookup(&principal).expect("a store").expect("made"));
            for etype in [EncryptionType::AES256_SHA1, EncryptionType::AES256_SHA384] {
                let [one, two] = [&one, &two].map(|entry| entry.keys[0].key(etype).expect("a key"));
                assert_eq!(one.key.expose(), two.key.expose(), "{principal} {etype}");
            }
            assert!(!one.attributes.has(Attributes::DISALLOW_SVR), "tickets are made for it");
            assert_eq!(one.keys[0].kvno, 1);
        }
        assert_eq!(list(&of_one, "A.ORG").expect("a list"), "B.ORG  both ways\n");
    }

    #[test]
    fn one_way_is_one_principal() {
        for (direction, name, shown) in [
            (Direction::In, "krbtgt/A.ORG@B.ORG", "B.ORG  in: their clients come here\n"),
            (Direction::Out, "krbtgt/B.ORG@A.ORG", "B.ORG  out: our clients go there\n"),
        ] {
            let (_, registry) = realm("A.ORG", None);
            add("B.ORG", direction).make(&registry, "A.ORG", PASSWORD).expect("made");
            assert_eq!(list(&registry, "A.ORG").expect("a list"), shown);
            let gone = take_away(&registry, "A.ORG", "B.ORG").expect("deleted");
            assert_eq!(gone, format!("Principal {name} deleted.\n"));
            assert_eq!(list(&registry, "A.ORG").expect("a list"), "A.ORG trusts no other realm.\n");
            take_away(&registry, "A.ORG", "B.ORG").expect_err("gone already");
        }
    }

    #[test]
    fn half_a_trust_is_not_left_behind_and_weak_or_senseless_ones_are_refused() {
        let (store, registry) = realm("A.ORG", None);
        let name = Principal::cross_tgs("A.ORG", "B.ORG");
        registry.perform(create(&name, PASSWORD, &[])).expect("made");
        let error = add("B.ORG", Direction::Both).make(&registry, "A.ORG", PASSWORD).expect_err("one is there");
        assert!(error.to_string().contains("`kdc trust remove B.ORG`"), "{error}");
        assert!(store.lookup(&Principal::cross_tgs("B.ORG", "A.ORG")).expect("a store").is_none());
        add("C.ORG", Direction::Both).make(&registry, "A.ORG", "short").expect_err("too short");
        add("A.ORG", Direction::Both).make(&registry, "A.ORG", PASSWORD).expect_err("ourselves");
        add("C@ORG", Direction::Both).make(&registry, "A.ORG", PASSWORD).expect_err("no realm");
    }

    #[test]
    fn a_trust_is_under_no_policy_that_would_end_it() {
        let (store, registry) = realm("A.ORG", None);
        let policy = PasswordPolicy { max_life: 60, ..PasswordPolicy::new("default") };
        store.commit(&[crate::core::Change::PutPolicy(policy)]).expect("a policy");
        add("B.ORG", Direction::In).make(&registry, "A.ORG", PASSWORD).expect("made");
        let entry = store.lookup(&Principal::cross_tgs("A.ORG", "B.ORG")).expect("a store").expect("made");
        assert_eq!((&entry.policy, entry.password_expires), (&None, None));
    }

    #[test]
    fn a_generated_password_is_long_and_new() {
        let [one, two] = [generated(), generated()].map(|password| password.expect("random").to_string());
        assert!(one.len() >= SHORTEST && one != two);
    }
}
