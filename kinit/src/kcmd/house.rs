//! The caches that a daemon holds: what one user asks for, in, what that user gets, out. Every user has a house of their
//! own, and sees nothing of others'. Pure: no socket, no clock. Not here: who the user is.

use std::collections::{BTreeMap, HashMap};

use libkrb::Principal;
use libkrb::ccache::Credential;
use libkrb::ccache::kcm::protocol::{Reply, Request, Status, Uuid};

/// Caches of one user.
const MAX_CACHES: usize = 64;
/// Credentials of one cache.
const MAX_CREDENTIALS: usize = 1024;
/// Octets of a name.
const MAX_NAME: usize = 256;
/// What a credential takes besides its octets.
const OVERHEAD: usize = 512;

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Octets of one user.
    pub of_user: usize,
    /// Octets of all.
    pub of_all: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { of_user: 8 << 20, of_all: 256 << 20 }
    }
}

/// The houses of all users.
pub struct Houses {
    bounds: Bounds,
    houses: HashMap<u32, House>,
    held: usize,
    /// Makes identifiers that nobody has.
    fresh: Box<dyn FnMut() -> Uuid + Send>,
}

#[derive(Default)]
struct House {
    caches: BTreeMap<String, Cache>,
    primary: Option<String>,
    held: usize,
    made: u64,
}

struct Cache {
    id: Uuid,
    /// None for one that has a name and no content yet.
    owner: Option<Principal>,
    offset: i32,
    credentials: Vec<(Uuid, Credential)>,
    held: usize,
}

impl Houses {
    /// Empty ones. `fresh` makes an identifier at every call.
    pub fn new(bounds: Bounds, fresh: impl FnMut() -> Uuid + Send + 'static) -> Self {
        Houses { bounds, houses: HashMap::new(), held: 0, fresh: Box::new(fresh) }
    }

    /// Octets that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Does what `user` asks for.
    ///
    /// # Errors
    /// The status that says why it is not done.
    pub fn answer(&mut self, user: u32, request: Request) -> Result<Reply, Status> {
        let room = Room { of_user: self.bounds.of_user, of_all: self.bounds.of_all.saturating_sub(self.held) };
        let house = self.houses.entry(user).or_default();
        let before = house.held;
        let reply = house.answer(user, request, room, &mut self.fresh);
        self.held = self.held.saturating_sub(before).saturating_add(house.held);
        if house.caches.is_empty() && house.primary.is_none() {
            self.houses.remove(&user);
        }
        reply
    }
}

/// What may still be held.
#[derive(Clone, Copy)]
struct Room {
    of_user: usize,
    of_all: usize,
}

impl House {
    fn answer(
        &mut self,
        user: u32,
        request: Request,
        room: Room,
        fresh: &mut dyn FnMut() -> Uuid,
    ) -> Result<Reply, Status> {
        match request {
            Request::Nothing => {}
            Request::NewName => return self.new_name(user, fresh).map(Reply::Name),
            Request::Initialize(name, owner) => self.fill(name, owner, 0, vec![], room, fresh)?,
            Request::Replace(name, offset, owner, credentials) => {
                self.fill(name, owner, offset, credentials, room, fresh)?;
            }
            Request::Destroy(name) => self.remove(&name)?,
            Request::Store(name, credential) => self.store(&name, *credential, room, fresh)?,
            Request::Owner(name) => {
                let owner = self.cache(&name)?.owner.clone();
                return owner.map(Reply::Principal).ok_or(Status::NO_CACHE);
            }
            Request::CredentialIds(name) => {
                let ids = self.cache(&name)?.credentials.iter().map(|(id, _)| *id);
                return Ok(Reply::Ids(ids.collect()));
            }
            Request::CredentialById(name, id) => {
                let found = self.cache(&name)?.credentials.iter().find(|(own, _)| *own == id);
                let (_, credential) = found.ok_or(Status::END)?;
                return Ok(Reply::Credential(Box::new(credential.clone())));
            }
            Request::Credentials(name) => {
                let credentials = self.cache(&name)?.credentials.iter().map(|(_, credential)| credential.clone());
                return Ok(Reply::Credentials(credentials.collect()));
            }
            Request::Remove(name, tag) => {
                if !self.cache(&name)?.credentials.iter().any(|(_, credential)| tag.fits(credential)) {
                    return Err(Status::NOT_FOUND);
                }
                let kept = |cache: &mut Cache| cache.credentials.retain(|(_, credential)| !tag.fits(credential));
                self.change(&name, kept)?;
            }
            Request::Move(from, to) => self.rename(&from, to)?,
            Request::CacheIds => return Ok(Reply::Ids(self.caches.values().map(|cache| cache.id).collect())),
            Request::CacheById(id) => {
                let found = self.caches.iter().find(|(_, cache)| cache.id == id);
                return found.map(|(name, _)| Reply::Name(name.clone())).ok_or(Status::END);
            }
            Request::Primary => return Ok(Reply::Name(self.primary(user))),
            Request::SetPrimary(name) => {
                check(&name)?;
                self.cache(&name)?;
                self.primary = Some(name);
            }
            Request::Offset(name) => return Ok(Reply::Offset(self.cache(&name)?.offset)),
            Request::SetOffset(name, offset) => self.change(&name, |cache| cache.offset = offset)?,
        }
        Ok(Reply::Done)
    }

    fn cache(&self, name: &str) -> Result<&Cache, Status> {
        self.caches.get(name).ok_or(Status::NO_CACHE)
    }

    /// The one that was chosen, or the first, or as MIT and Heimdal call a user's first one.
    fn primary(&self, user: u32) -> String {
        let chosen = self.primary.clone().filter(|name| self.caches.contains_key(name));
        chosen.or_else(|| self.caches.keys().next().cloned()).unwrap_or_else(|| user.to_string())
    }

    fn new_name(&mut self, user: u32, fresh: &mut dyn FnMut() -> Uuid) -> Result<String, Status> {
        self.make_room()?;
        loop {
            self.made = self.made.wrapping_add(1);
            let name = format!("{user}:{}", self.made);
            if !self.caches.contains_key(&name) {
                let cache = Cache { id: fresh(), owner: None, offset: 0, credentials: vec![], held: OVERHEAD };
                self.held += cache.held;
                self.caches.insert(name.clone(), cache);
                return Ok(name);
            }
        }
    }

    /// Names that nobody has filled give way to a new cache.
    fn make_room(&mut self) -> Result<(), Status> {
        if self.caches.len() >= MAX_CACHES {
            let empty = self.caches.iter().find(|(_, cache)| cache.owner.is_none()).map(|(name, _)| name.clone());
            self.remove(&empty.ok_or(Status::NO_ROOM)?)?;
        }
        Ok(())
    }

    fn fill(
        &mut self,
        name: String,
        owner: Principal,
        offset: i32,
        credentials: Vec<Credential>,
        room: Room,
        fresh: &mut dyn FnMut() -> Uuid,
    ) -> Result<(), Status> {
        check(&name)?;
        let old = self.caches.get(&name);
        let (id, freed) = old.map_or_else(|| (fresh(), 0), |cache| (cache.id, cache.held));
        if old.is_none() {
            self.make_room()?;
        }
        let needed = OVERHEAD + credentials.iter().map(size).sum::<usize>();
        if credentials.len() > MAX_CREDENTIALS || !self.fits(needed, freed, room) {
            return Err(Status::NO_ROOM);
        }
        let credentials = credentials.into_iter().map(|credential| (fresh(), credential)).collect();
        self.held = self.held.saturating_sub(freed) + needed;
        self.caches.insert(name, Cache { id, owner: Some(owner), offset, credentials, held: needed });
        Ok(())
    }

    fn store(
        &mut self,
        name: &str,
        credential: Credential,
        room: Room,
        fresh: &mut dyn FnMut() -> Uuid,
    ) -> Result<(), Status> {
        let needed = size(&credential);
        let cache = self.cache(name)?;
        if cache.owner.is_none() {
            return Err(Status::NO_CACHE);
        }
        if cache.credentials.len() >= MAX_CREDENTIALS || !self.fits(needed, 0, room) {
            return Err(Status::NO_ROOM);
        }
        self.change(name, |cache| cache.credentials.push((fresh(), credential)))
    }

    fn fits(&self, needed: usize, freed: usize, room: Room) -> bool {
        let (user, all) = (room.of_user.saturating_add(freed), room.of_all.saturating_add(freed));
        self.held.saturating_add(needed) <= user && needed <= all
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Cache)) -> Result<(), Status> {
        let cache = self.caches.get_mut(name).ok_or(Status::NO_CACHE)?;
        let before = cache.held;
        change(cache);
        cache.held = OVERHEAD + cache.credentials.iter().map(|(_, credential)| size(credential)).sum::<usize>();
        self.held = self.held.saturating_sub(before) + cache.held;
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Status> {
        let cache = self.caches.remove(name).ok_or(Status::NO_CACHE)?;
        self.held = self.held.saturating_sub(cache.held);
        if self.primary.as_deref() == Some(name) {
            self.primary = None;
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: String) -> Result<(), Status> {
        check(&to)?;
        self.cache(from)?;
        if from == to {
            return Ok(());
        }
        let id = self.caches.get(&to).map(|cache| cache.id);
        if id.is_some() {
            self.remove(&to)?;
        }
        if let Some(mut cache) = self.caches.remove(from) {
            cache.id = id.unwrap_or(cache.id);
            if self.primary.as_deref() == Some(from) {
                self.primary = Some(to.clone());
            }
            self.caches.insert(to, cache);
        }
        Ok(())
    }
}

fn check(name: &str) -> Result<(), Status> {
    let sound = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
    if sound { Ok(()) } else { Err(Status::MALFORMED) }
}

/// About what a credential takes.
fn size(credential: &Credential) -> usize {
    let name =
        |name: &Principal| name.realm().len() + name.components().iter().map(|part| part.len() + 16).sum::<usize>();
    let lists = credential.addresses.iter().map(|it| it.bytes.len() + 32).sum::<usize>()
        + credential.authdata.iter().map(|it| it.bytes.len() + 32).sum::<usize>();
    let tickets = credential.ticket.len() + credential.second_ticket.len() + credential.key.bytes.len();
    OVERHEAD + name(&credential.client) + name(&credential.server) + lists + tickets
}

#[cfg(test)]
mod tests;
