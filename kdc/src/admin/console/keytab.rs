//! `ktadd` and `ktremove`: keytabs are files of whoever runs kadmin, so this process writes them.

use libkrb::keytab::{Keytab, KeytabEntry, KeytabName, RawKey};

use super::{Console, Done, Talk, unexpected};
use crate::admin::operation::{Answer, ExtractedKey, KeyKind, Name, Operation, Reason};
use crate::admin::query::{Typed, Which, Whose};
use crate::core::Attributes;

impl Console<'_> {
    pub(super) fn keytab_add(
        &self,
        keytab: Option<String>,
        quiet: bool,
        fresh: Option<Vec<KeyKind>>,
        whose: &[Whose],
        talk: &mut dyn Talk,
    ) -> Done {
        let keytab = self.keytab_name(keytab)?;
        let fresh = fresh.map(|kinds| if kinds.is_empty() { self.kinds.clone() } else { kinds });
        let mut all_done = Ok(());
        for typed in self.meant(whose)? {
            // One that fails does not keep the others from their keys.
            match self.add(&keytab, &typed, fresh.clone()) {
                Ok(added) if !quiet => added.iter().for_each(|line| talk.out(line)),
                Ok(_) => {}
                Err(text) => {
                    if let Err(earlier) = std::mem::replace(&mut all_done, Err(text)) {
                        talk.err(&format!("{earlier}\n"));
                    }
                }
            }
        }
        all_done
    }

    /// The principals that are named, and those that match.
    fn meant(&self, whose: &[Whose]) -> Result<Vec<Typed>, String> {
        let mut meant = vec![];
        for whose in whose {
            match whose {
                Whose::One(typed) => meant.push(typed.clone()),
                Whose::Matching(pattern) => {
                    let before = meant.len();
                    self.matching(Some(pattern.clone()), &mut |name| {
                        meant.push(Typed { typed: name.to_string(), name: name.0 });
                    })
                    .map_err(|refusal| format!("kadmin: {refusal} while expanding expression \"{pattern}\"."))?;
                    if meant.len() == before {
                        return Err(format!("kadmin: No principal matches \"{pattern}\"."));
                    }
                }
            }
        }
        Ok(meant)
    }

    /// Puts a principal's keys into a keytab; the lines to say.
    fn add(&self, keytab: &KeytabName, typed: &Typed, fresh: Option<Vec<KeyKind>>) -> Result<Vec<String>, String> {
        let principal = Name(typed.name.clone());
        let shown = &typed.typed;
        let wrong = |refusal: crate::admin::Refusal| match refusal.reason {
            Reason::Missing => format!("kadmin: Principal {shown} does not exist."),
            _ => format!("kadmin: {refusal} while changing {shown}'s key"),
        };
        let failed = |error| format!("kadmin: {error} while adding key to keytab");
        let known = self.registry.perform(Operation::Describe { principal: principal.clone() }).map_err(wrong)?;
        let Answer::Principal(known) = known else { return Err(unexpected()) };
        if known.attributes & Attributes::LOCKDOWN_KEYS.0 == 0 {
            // Once the keys are changed the old ones are gone: not before the keytab can be written.
            keytab.add(&[]).map_err(failed)?;
        }
        let answer = self.registry.perform(Operation::Extract { principal, fresh }).map_err(wrong)?;
        let Answer::Keys { keys, .. } = answer else { return Err(unexpected()) };
        let there = keytab.load().map_err(failed)?;
        let entries =
            keys.iter().map(|key| self.entry(typed, key)).collect::<Option<Vec<_>>>().ok_or_else(unexpected)?;
        let missing: Vec<_> = entries.iter().filter(|entry| !has(&there, entry)).cloned().collect();
        keytab.add(&missing).map_err(failed)?;
        let line = |key: &ExtractedKey| {
            let (kvno, etype) = (key.kvno, key.etype.0);
            format!("Entry for principal {shown} with kvno {kvno}, encryption type {etype} added to keytab {keytab}.\n")
        };
        Ok(keys.iter().map(line).collect())
    }

    fn entry(&self, typed: &Typed, key: &ExtractedKey) -> Option<KeytabEntry> {
        Some(KeytabEntry {
            principal: typed.name.clone(),
            timestamp: (self.clock)(),
            kvno: key.kvno,
            key: RawKey::new(key.etype.0, key.key.octets()?.to_vec()),
        })
    }

    pub(super) fn keytab_remove(
        &self,
        keytab: Option<String>,
        quiet: bool,
        name: &Typed,
        which: Which,
        talk: &mut dyn Talk,
    ) -> Done {
        let keytab = self.keytab_name(keytab)?;
        let shown = &name.typed;
        let there = keytab.load().map_err(|error| match error {
            libkrb::Error::NoKeytab(_) => format!("kadmin: Keytab {keytab} does not exist."),
            error => format!("kadmin: {error} while starting keytab scan"),
        })?;
        let own: Vec<_> = there.entries.iter().filter(|entry| entry.principal == name.name).collect();
        let Some(highest) = own.iter().map(|entry| entry.kvno).max() else {
            return Err(format!("kadmin: No entry for principal {shown} exists in keytab {keytab}"));
        };
        let goes = |kvno: u32| match which {
            Which::All => true,
            Which::Old => kvno != highest,
            Which::Version(version) => kvno == version,
        };
        let mut removed = false;
        for entry in own.into_iter().filter(|entry| goes(entry.kvno)) {
            keytab
                .remove(&entry.principal, entry.kvno, entry.key.etype)
                .map_err(|error| format!("kadmin: {error} while deleting entry from keytab"))?;
            removed = true;
            if !quiet {
                talk.out(&format!(
                    "Entry for principal {shown} with kvno {} removed from keytab {keytab}.\n",
                    entry.kvno
                ));
            }
        }
        match which {
            Which::Version(kvno) if !removed => {
                Err(format!("kadmin: No entry for principal {shown} with kvno {kvno} exists in keytab {keytab}"))
            }
            Which::Old if !removed => {
                talk.err(&format!("kadmin: There is only one entry for principal {shown} in keytab {keytab}\n"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A keytab by the name that was given; one without a type is a file to write to.
    fn keytab_name(&self, given: Option<String>) -> Result<KeytabName, String> {
        let name = match given {
            Some(name) if name.contains(':') => name,
            Some(name) => format!("WRFILE:{name}"),
            None => self.keytab.clone(),
        };
        KeytabName::parse(&name).map_err(|error| format!("kadmin: {error} while resolving keytab {name}"))
    }
}

fn has(keytab: &Keytab, entry: &KeytabEntry) -> bool {
    let same = |other: &&KeytabEntry| other.kvno == entry.kvno && other.key == entry.key;
    keytab.entries.iter().filter(same).any(|other| other.principal == entry.principal)
}
