//! What the rest of the daemon sees of a realm in etcd: requests read the copy and never wait; what is
//! changed, and who is asked for that lives, waits for etcd.

use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError};

use libkrb::{Principal, Time};
use zeroize::Zeroizing;

use super::layout::Presence;
use super::{Changer, Etcd, PATIENCE, client, ending, pulse};
use crate::attempts::Together;
use crate::core::attempts::{AccountId, Record};
use crate::core::store::{Export, Members, Standing};
use crate::core::{Change, Entry, Ledger, PasswordPolicy, Size, Store, StoreError};
use crate::store::{Ahead, House, MasterKey, Resealed, Vault};

impl Store for Etcd {
    fn lookup(&self, name: &Principal) -> Result<Option<Arc<Entry>>, StoreError> {
        self.changer.progress.fresh()?;
        self.changer.copy.lookup(name)
    }

    fn list(&self, after: Option<&Principal>, limit: usize) -> Result<Vec<Principal>, StoreError> {
        self.changer.copy.list(after, limit)
    }

    fn policy(&self, name: &str) -> Result<Option<Arc<PasswordPolicy>>, StoreError> {
        self.changer.copy.policy(name)
    }

    fn policies(&self) -> Result<Vec<String>, StoreError> {
        self.changer.copy.policies()
    }

    fn policy_user(&self, name: &str) -> Result<Option<Principal>, StoreError> {
        self.changer.copy.policy_user(name)
    }

    fn oldest_service(&self, now: Time) -> Result<Option<(Principal, Time)>, StoreError> {
        self.changer.copy.oldest_service(now)
    }

    fn size(&self) -> Result<Size, StoreError> {
        self.changer.copy.size()
    }

    fn standing(&self) -> Standing {
        self.changer.progress.standing()
    }

    fn export(&self) -> Result<Export, StoreError> {
        self.changer.copy.export()
    }

    fn answered(&self, request: &[u8; 32]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.remembered(request)
    }

    fn members(&self) -> Result<Option<Members>, StoreError> {
        let Changer { client, layout, .. } = self.changer.clone();
        let living = self.wait_for(async move { pulse::living(&client, &layout).await });
        let living = living.ok_or_else(ending)?.map_err(client::refused)?;
        Ok(Some(living.into()))
    }

    fn commit(&self, changes: &[Change]) -> Result<(), StoreError> {
        let (changer, changes) = (self.changer.clone(), changes.to_vec());
        self.wait_for(async move { changer.change(changes).await }).unwrap_or_else(|| Err(ending()))
    }
}

impl Ledger for Etcd {
    fn record(&self, who: &AccountId) -> Result<Option<Record>, StoreError> {
        self.changer.copy.record(who)
    }

    fn write_down(&self, records: &[(AccountId, Option<Record>)]) -> Result<(), StoreError> {
        self.changer.copy.write_down(records)
    }
}

impl House for Etcd {
    fn read_ahead(&self, after: Option<&str>) -> Result<Ahead, StoreError> {
        self.changer.copy.read_ahead(after)
    }

    fn forgot(&self) -> bool {
        self.changer.copy.forgot()
    }

    fn together(&self) -> Option<Arc<Together>> {
        let together = self.count();
        let (done, is_done) = sync_channel(1);
        let begun = Arc::clone(&together);
        self.runtime.spawn(async move {
            begun.begun().await;
            let _ = done.send(());
        });
        // Where etcd is away, what is written down here counts.
        if self.changer.progress.trouble().is_none() {
            let _ = is_done.recv_timeout(PATIENCE);
        }
        Some(together)
    }

    fn serves(&self, tickets: Vec<SocketAddr>, passwords: Vec<SocketAddr>) {
        let mut id = [0; 8];
        // Without one, all that shows is another KDC's place among those that live.
        let _ = getrandom::fill(&mut id);
        let id = id.iter().map(|octet| format!("{octet:02x}")).collect();
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let [addresses, passwords] =
            [tickets, passwords].map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (started, copy) = (crate::admin::now().seconds(), Arc::clone(&self.changer.copy));
        let tgs = Principal::tgs(copy.inner().realm());
        self.announce(
            id,
            Box::new(move || {
                let now = crate::admin::now();
                let entry = copy.lookup(&tgs).ok().flatten();
                let (tgs_kvno, tgs_made) = entry.map_or((0, 0), |entry| {
                    let kvno = entry.current(now).map_or(0, |keys| keys.kvno);
                    (kvno, entry.keys_made(now).map_or(0, Time::seconds))
                });
                Presence {
                    host: name.clone(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    started,
                    pid: std::process::id(),
                    addresses: addresses.clone(),
                    passwords: passwords.clone(),
                    master: copy.inner().master.load().versions(),
                    now: now.seconds(),
                    revision: 0,
                    tgs_kvno,
                    tgs_made,
                }
            }),
        );
    }
}

impl Vault for Etcd {
    fn master_key(&self) -> Result<(String, std::collections::BTreeMap<u32, u64>), StoreError> {
        self.changer.copy.master_key()
    }

    fn reseal(&self, after: Option<&Principal>) -> Result<Resealed, StoreError> {
        let _alone = self.changer.copy.inner().rolling.lock().unwrap_or_else(PoisonError::into_inner);
        self.roll_over(after)
    }

    fn opens_with(&self, master: &MasterKey) -> Result<bool, StoreError> {
        self.changer.copy.opens_with(master)
    }
}
