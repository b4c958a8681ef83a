//! Which removals are believed.
//!
//! A resource that is missing from a *complete* list was deleted while nobody watched. A list that would take away a large
//! part at once is more likely wrong (another cluster, a restored etcd, definitions that were lost) than right, so that part
//! is held: those clients and people stay as they are until their resources come back, or until somebody accepts it.
//!
//! A deletion that the watch told of did happen; but who deletes the definition deletes every resource with it, and
//! hardly means that. So it counts only while the kind is there, and many at once only within one namespace, as when
//! that is deleted.
//!
//! A resource whose name another one has meanwhile is gone for certain: one name is held by one resource at a time.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;

/// This many may always go.
pub(super) const ALWAYS: usize = 10;
/// And this part of all, in percent.
const PERCENT: usize = 20;

/// What the store knows of a kind.
pub(super) type Known = HashMap<ResourceUid, ResourceRef>;

/// Which are gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Removal {
    /// These are.
    pub(super) gone: BTreeSet<ResourceUid>,
    /// These may be; nothing happens to them yet.
    pub(super) held: BTreeSet<ResourceUid>,
}

/// What is believed of a complete list without looking at it.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// An administrator said that this many may go.
    pub(super) accepted: usize,
    /// The kind was missing before this list: what is missing now was deleted with the definition.
    pub(super) after_missing_kind: bool,
    /// Held before; they stay so.
    pub(super) held: HashSet<ResourceUid>,
}

/// More than this is a mass.
fn is_mass(missing: usize, known: usize) -> bool {
    missing > ALWAYS && missing * 100 > known * PERCENT
}

/// What the deletions that were told come to while the kind is there. `known` includes what was deleted.
pub(super) fn of_deletions(known: &Known, deleted: &[(ResourceRef, ResourceUid)]) -> Removal {
    let uids: BTreeSet<ResourceUid> = deleted
        .iter()
        .map(|(_, uid)| uid)
        .filter(|uid| known.contains_key(*uid))
        .cloned()
        .collect();
    let namespaces: HashSet<&str> = deleted.iter().map(|(key, _)| key.namespace.as_str()).collect();
    if is_mass(uids.len(), known.len()) && namespaces.len() > 1 {
        return Removal {
            gone: BTreeSet::new(),
            held: uids,
        };
    }
    Removal {
        gone: uids,
        held: BTreeSet::new(),
    }
}

/// What a complete list comes to: `listed` names whoever is there.
pub(super) fn of_list(known: &Known, listed: &HashMap<ResourceRef, ResourceUid>, trust: &Trust) -> Removal {
    let mut removal = Removal::default();
    let mut missing: HashMap<&str, Vec<&ResourceUid>> = HashMap::new();
    for (uid, key) in known {
        match listed.get(key) {
            Some(there) if there == uid => {}
            Some(_) => {
                removal.gone.insert(uid.clone());
            }
            None if trust.held.contains(uid) => {
                removal.held.insert(uid.clone());
            }
            None => missing.entry(&key.namespace).or_default().push(uid),
        }
    }
    let count: usize = missing.values().map(Vec::len).sum();
    let all_held = removal.held.len() + count;
    if all_held <= trust.accepted {
        removal.gone.append(&mut removal.held);
    } else if trust.after_missing_kind {
        hold(&mut removal, missing.into_values());
        return removal;
    } else if is_mass(count, known.len()) {
        // Where one namespace alone is the reason, nobody else waits for it.
        let largest = missing
            .iter()
            .max_by_key(|(namespace, uids)| (uids.len(), **namespace))
            .map(|(namespace, uids)| (*namespace, uids.len()));
        let Some((namespace, part)) = largest else {
            return removal;
        };
        let its_own = known.values().filter(|key| key.namespace == namespace).count();
        if is_mass(count - part, known.len() - its_own) {
            hold(&mut removal, missing.into_values());
            return removal;
        }
        let part = missing.remove(namespace);
        hold(&mut removal, part.into_iter());
    }
    removal.gone.extend(missing.into_values().flatten().cloned());
    removal
}

fn hold<'a>(removal: &mut Removal, uids: impl Iterator<Item = Vec<&'a ResourceUid>>) {
    removal.held.extend(uids.flatten().cloned());
}

#[cfg(test)]
mod tests;
