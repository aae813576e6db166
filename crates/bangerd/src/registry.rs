//! The sandboxes that there are. The short, IO-free reservation of a name here is the only lock that
//! sandboxes share.

use crate::sandbox::Sandbox;
use banger_model::reference::{self, Unresolved};
use banger_model::subnet::{HostPart, Subnet, lowest_free};
use banger_model::{SandboxId, SandboxName};
use banger_proto::fault::{Fault, FaultCode};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Entry {
    name: SandboxName,
    /// Its address on the bridge.
    host_part: Option<HostPart>,
    /// Names that it may have soon: reserved for a renaming that is under way.
    reserved: Vec<SandboxName>,
    /// Absent while its name is only reserved.
    sandbox: Option<Arc<Sandbox>>,
    /// Whether it waits in the pool for whoever comes first.
    offer: Offer,
}

/// Whose one of the pool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Offer {
    /// It is no one of the pool, or not fit to be had yet.
    #[default]
    None,
    /// Whoever comes first may have it.
    Anybodys,
    /// A reservation has it.
    Reserved,
}

impl Entry {
    fn has(&self, name: &SandboxName) -> bool {
        self.name == *name || self.reserved.contains(name)
    }
}

/// A name that is kept for a sandbox that is to have it; given back when it is dropped.
#[derive(Debug)]
pub struct NewName {
    id: SandboxId,
    /// The name.
    pub name: SandboxName,
    registry: Arc<Registry>,
}

impl NewName {
    /// From now on it is the sandbox's, and the one before is anybody's.
    pub fn take(self) {
        if let Some(entry) = self.registry.lock().get_mut(&self.id) {
            entry.name = self.name.clone();
        }
    }
}

impl Drop for NewName {
    fn drop(&mut self) {
        let mut all = self.registry.lock();
        let Some(entry) = all.get_mut(&self.id) else {
            return;
        };
        if let Some(at) = entry.reserved.iter().position(|name| *name == self.name) {
            entry.reserved.swap_remove(at);
        }
    }
}

/// An id and a name that nobody else can have: of a sandbox that is to be made, or of one of the pool.
#[derive(Debug)]
pub struct Reservation {
    /// The id.
    pub id: SandboxId,
    /// The name.
    pub name: SandboxName,
    /// Its address on the bridge, if it is to have one.
    pub host_part: Option<HostPart>,
    /// It is one of the pool, and is there already.
    pub pooled: bool,
    /// The name that one of the pool is to have, where that is another than its own.
    pub new_name: Option<NewName>,
    registry: Arc<Registry>,
}

impl Reservation {
    /// Gives it the lowest address of a subnet that nobody has: where it is connected was not known before.
    ///
    /// # Errors
    /// `Refused` when all are taken.
    pub fn address(&mut self, subnet: &Subnet) -> Result<(), Fault> {
        let mut all = self.registry.lock();
        let host_part = Some(free_address(&all, subnet)?);
        if let Some(entry) = all.get_mut(&self.id) {
            entry.host_part = host_part;
        }
        self.host_part = host_part;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut all = self.registry.lock();
        let Some(entry) = all.get_mut(&self.id) else {
            return;
        };
        match &entry.sandbox {
            None => drop(all.remove(&self.id)),
            // What nobody has made theirs is anybody's again.
            Some(sandbox) if self.pooled && sandbox.is_pooled() => {
                entry.offer = Offer::Anybodys;
            }
            Some(_) => entry.offer = Offer::None,
        }
    }
}

/// All sandboxes by id.
#[derive(Debug, Default)]
pub struct Registry(Mutex<HashMap<SandboxId, Entry>>);

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<SandboxId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves an id and a name: the given ones, or the first that `random` gives and nobody has; and in
    /// the subnet, if there is one, the lowest address that nobody has.
    ///
    /// # Errors
    /// `Conflict` when the given name is taken, `Refused` when all addresses are.
    pub fn reserve(
        &self,
        id: Option<SandboxId>,
        name: Option<&SandboxName>,
        subnet: Option<&Subnet>,
        mut random: impl FnMut() -> ([u8; 16], u32),
    ) -> Result<(SandboxId, SandboxName, Option<HostPart>), Fault> {
        let mut all = self.lock();
        let host_part = subnet
            .map(|subnet| free_address(&all, subnet))
            .transpose()?;
        let taken = |all: &HashMap<_, Entry>, name: &SandboxName| all.values().any(|e| e.has(name));
        if let Some(name) = name.filter(|name| taken(&all, name)) {
            return Err(is_taken(name));
        }
        // Sockets are named by the short form.
        let id_taken = |all: &HashMap<SandboxId, _>, id: &SandboxId| {
            all.keys().any(|other| other.short() == id.short())
        };
        if let Some(id) = id.filter(|id| id_taken(&all, id)) {
            let message = format!("there is a sandbox with the id {id} already");
            return Err(Fault::new(FaultCode::Conflict, message));
        }
        loop {
            let (bytes, number) = random();
            let id = id.unwrap_or_else(|| SandboxId::from_random(bytes));
            let name = name
                .cloned()
                .unwrap_or_else(|| SandboxName::invented(number));
            if id_taken(&all, &id) || taken(&all, &name) {
                continue;
            }
            all.insert(
                id,
                Entry {
                    name: name.clone(),
                    host_part,
                    reserved: vec![],
                    sandbox: None,
                    offer: Offer::None,
                },
            );
            return Ok((id, name, host_part));
        }
    }

    /// As [`Self::reserve`], given back when the reservation is dropped before a sandbox took its place.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn hold(
        self: &Arc<Self>,
        id: Option<SandboxId>,
        name: Option<&SandboxName>,
        subnet: Option<&Subnet>,
        random: impl FnMut() -> ([u8; 16], u32),
    ) -> Result<Reservation, Fault> {
        let (id, name, host_part) = self.reserve(id, name, subnet, random)?;
        Ok(Reservation {
            id,
            name,
            host_part,
            pooled: false,
            new_name: None,
            registry: Arc::clone(self),
        })
    }

    /// One that waits in the pool and is fit may be had by whoever comes first.
    pub fn offer(&self, id: SandboxId) {
        if let Some(entry) = self.lock().get_mut(&id)
            && entry.offer == Offer::None
        {
            entry.offer = Offer::Anybodys;
        }
    }

    /// How many may be had.
    #[must_use]
    pub fn offered(&self) -> usize {
        let all = self.lock();
        let offered = all.values().filter(|entry| entry.offer == Offer::Anybodys);
        offered.count()
    }

    /// Nobody else gets this one of the pool until the reservation is dropped; none where somebody has it.
    #[must_use]
    pub fn hold_pooled(self: &Arc<Self>, id: SandboxId) -> Option<Reservation> {
        let taken = self.take_pooled(None, |sandbox| sandbox.id == id);
        // Without a name there is none to be taken.
        taken.ok().flatten()
    }

    /// Takes one of the pool that is fit: nobody else gets it until the reservation is dropped. It has its name, or
    /// is to have the given one.
    ///
    /// # Errors
    /// `Conflict` when the given name is taken.
    pub fn take_pooled(
        self: &Arc<Self>,
        name: Option<&SandboxName>,
        fit: impl Fn(&Sandbox) -> bool,
    ) -> Result<Option<Reservation>, Fault> {
        let mut all = self.lock();
        if let Some(name) = name.filter(|name| all.values().any(|entry| entry.has(name))) {
            return Err(is_taken(name));
        }
        let found = all.iter_mut().find(|(_, entry)| {
            entry.offer == Offer::Anybodys && entry.sandbox.as_deref().is_some_and(&fit)
        });
        let Some((id, entry)) = found else {
            return Ok(None);
        };
        entry.offer = Offer::Reserved;
        entry.reserved.extend(name.cloned());
        let new_name = name.map(|name| NewName {
            id: *id,
            name: name.clone(),
            registry: Arc::clone(self),
        });
        Ok(Some(Reservation {
            id: *id,
            name: name.unwrap_or(&entry.name).clone(),
            host_part: entry.host_part,
            pooled: true,
            new_name,
            registry: Arc::clone(self),
        }))
    }

    /// A reserved or recorded sandbox has its driver.
    pub fn insert(&self, sandbox: Arc<Sandbox>) {
        let record = sandbox.record();
        self.lock().insert(
            sandbox.id,
            Entry {
                name: record.name,
                host_part: record.network.map(|place| place.host_part),
                reserved: vec![],
                sandbox: Some(sandbox),
                offer: Offer::None,
            },
        );
    }

    /// Reserves another name for a sandbox that there is; its own is a success.
    ///
    /// # Errors
    /// `Conflict` when another sandbox has the name or is about to, `NotFound` when this one is gone.
    pub fn rename(self: &Arc<Self>, id: SandboxId, name: SandboxName) -> Result<NewName, Fault> {
        let mut all = self.lock();
        if all
            .iter()
            .any(|(other, entry)| *other != id && entry.has(&name))
        {
            return Err(is_taken(&name));
        }
        let entry = all
            .get_mut(&id)
            .ok_or_else(|| Fault::new(FaultCode::NotFound, "the sandbox was deleted"))?;
        entry.reserved.push(name.clone());
        Ok(NewName {
            id,
            name,
            registry: Arc::clone(self),
        })
    }

    /// Gives back an id and its name.
    pub fn remove(&self, id: SandboxId) {
        self.lock().remove(&id);
    }

    /// The ids that are taken, of sandboxes that are only to be made, too.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<SandboxId> {
        self.lock().keys().copied().collect()
    }

    /// The sandbox of that id.
    #[must_use]
    pub fn get(&self, id: SandboxId) -> Option<Arc<Sandbox>> {
        self.lock().get(&id).and_then(|entry| entry.sandbox.clone())
    }

    /// All sandboxes, in the order of their creation.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Sandbox>> {
        let mut all: Vec<_> = self
            .lock()
            .values()
            .filter_map(|entry| entry.sandbox.clone())
            .collect();
        all.sort_by_cached_key(|sandbox| sandbox.creation());
        all
    }

    /// All that are somebody's, in the same order: none that waits in the pool.
    #[must_use]
    pub fn owned(&self) -> Vec<Arc<Sandbox>> {
        let mut all = self.all();
        all.retain(|sandbox| !sandbox.is_pooled());
        all
    }

    /// All of the pool, whatever their state.
    #[must_use]
    pub fn pooled(&self) -> Vec<Arc<Sandbox>> {
        let mut all = self.all();
        all.retain(|sandbox| sandbox.is_pooled());
        all
    }

    /// Finds the sandbox that a reference means.
    ///
    /// # Errors
    /// `NotFound`, or `BadRequest` with the candidates when it is ambiguous.
    pub fn find(&self, reference: &str) -> Result<Arc<Sandbox>, Fault> {
        let all = self.lock();
        let known = all.iter().filter(|(_, entry)| entry.sandbox.is_some());
        let id = reference::resolve(reference, known.map(|(id, entry)| (*id, &entry.name)))
            .map_err(|error| match &error {
                Unresolved::Unknown { .. } => {
                    Fault::new(FaultCode::NotFound, &error).with_remedy("see `banger vm list`")
                }
                Unresolved::Ambiguous { .. } => Fault::new(FaultCode::BadRequest, &error)
                    .with_remedy("give more of the id, or the name"),
            })?;
        all.get(&id)
            .and_then(|entry| entry.sandbox.clone())
            .ok_or_else(|| {
                Fault::new(
                    FaultCode::NotFound,
                    format!("there is no sandbox {reference:?}"),
                )
            })
    }
}

fn is_taken(name: &SandboxName) -> Fault {
    let message = format!("there is a sandbox {name} already");
    Fault::new(FaultCode::Conflict, message)
        .with_remedy(format!("choose another name, or `banger vm rm {name}`"))
}

fn free_address(all: &HashMap<SandboxId, Entry>, subnet: &Subnet) -> Result<HostPart, Fault> {
    let used = all.values().filter_map(|entry| entry.host_part).collect();
    lowest_free(subnet, &used).ok_or_else(|| {
        let message = format!("all {} addresses of {subnet} are taken", subnet.guests());
        Fault::new(FaultCode::Refused, message)
            .with_remedy("delete sandboxes that are not needed: `banger vm list`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut() -> ([u8; 16], u32) {
        let mut next = 0_u8;
        move || {
            next += 1;
            ([next; 16], u32::from(next / 2))
        }
    }

    #[test]
    fn a_name_is_given_once_until_it_is_given_back() {
        let registry = Registry::default();
        let mut random = counting();
        let web: SandboxName = "web".parse().expect("a name");
        let (id, ..) = registry
            .reserve(None, Some(&web), None, &mut random)
            .expect("free");
        let fault = registry
            .reserve(None, Some(&web), None, &mut random)
            .expect_err("taken");
        assert_eq!(fault.code, FaultCode::Conflict);
        registry.remove(id);
        assert!(
            registry
                .reserve(None, Some(&web), None, &mut random)
                .is_ok()
        );
    }

    #[test]
    fn a_name_that_a_sandbox_is_to_have_is_nobody_elses_and_is_given_back() {
        let registry = Arc::new(Registry::default());
        let mut random = counting();
        let [web, db, shop]: [SandboxName; 3] =
            ["web", "db", "shop"].map(|name| name.parse().expect("a name"));
        let reserve = |name, random: &mut _| registry.reserve(None, Some(name), None, random);
        let (first, ..) = reserve(&web, &mut random).expect("free");
        let (second, ..) = reserve(&db, &mut random).expect("free");
        let taken = registry.rename(second, web.clone()).expect_err("taken");
        assert_eq!(taken.code, FaultCode::Conflict);
        let new = registry.rename(first, shop.clone()).expect("free");
        assert!(registry.rename(second, shop.clone()).is_err(), "reserved");
        assert!(reserve(&shop, &mut random).is_err(), "reserved");
        // Given back with the request that wanted it.
        drop(new);
        registry.rename(second, shop.clone()).expect("free").take();
        assert!(reserve(&shop, &mut random).is_err(), "it is the second's");
        reserve(&db, &mut random).expect("what it was called before is free");
        let own = registry.rename(second, shop);
        own.expect("its own name is no conflict").take();
    }

    #[test]
    fn invented_names_and_short_ids_differ() {
        let registry = Registry::default();
        let mut random = counting();
        let names: BTreeSet<_> = (0..20)
            .map(|_| {
                registry
                    .reserve(None, None, None, &mut random)
                    .expect("free")
                    .1
            })
            .collect();
        assert_eq!(names.len(), 20);
    }

    #[test]
    fn a_name_that_is_only_reserved_is_not_found() {
        let registry = Registry::default();
        registry
            .reserve(
                None,
                Some(&"web".parse().expect("a name")),
                None,
                counting(),
            )
            .expect("free");
        assert_eq!(
            registry.find("web").expect_err("not there yet").code,
            FaultCode::NotFound
        );
    }

    #[test]
    fn addresses_are_given_in_order_and_the_lowest_that_is_free_comes_next() {
        let registry = Registry::default();
        let mut random = counting();
        let installation = banger_model::host_names::Installation::from_random([1; 8]);
        let subnet = Subnet::new([10, 0, 0, 0].into(), 29, &installation).expect("a subnet");
        let mut reserve = || registry.reserve(None, None, Some(&subnet), &mut random);
        let parts = [2, 3, 4, 5].map(|_| {
            let (id, _, part) = reserve().expect("free");
            (id, part.expect("asked for").get())
        });
        assert_eq!(parts.map(|(_, part)| part), [2, 3, 4, 5]);
        let full = reserve().expect_err("all are taken");
        assert_eq!(full.code, FaultCode::Refused);
        registry.remove(parts[1].0);
        assert_eq!(reserve().expect("free").2.map(HostPart::get), Some(3));
    }
}
