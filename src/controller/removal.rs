//! Which removals are believed.
//!
//! A resource that is missing from a *complete* list was deleted while nobody watched. A list that would take away a large
//! part at once is more likely wrong (another cluster, a restored etcd, definitions that were lost) than right, so that part
//! is held: those clients and people stay as they are until their resources come back, or until somebody accepts it.
//!
//! A deletion that the watch told of did happen. What is held there is the work of whoever deletes the definition: that
//! deletes every resource with it, and hardly means that. While the definition is being deleted or is missing, all of it is
//! held, however little. Where it is there again by the time somebody looks, the deletions themselves have to tell:
//!
//! - A definition takes everything in all namespaces with it. So where nothing is left of several namespaces, all is held.
//! - A person, or the deletion of a namespace, takes what is in one namespace. So many at once are believed in one, and
//!   what was deleted in the others meanwhile as well, as long as that is no mass of theirs: a tenant who withdraws a
//!   leaked client does not wait because another cleans up.
//! - Many deletions in more than one namespace are held, but a few in each other namespace go: all those together must be
//!   few, since many small ones at once are no person's either.
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

/// What is missing, by namespace.
type Missing<'a> = HashMap<&'a str, Vec<&'a ResourceUid>>;

/// Whether what is missing is a mass without these namespaces, among what the others have.
fn is_mass_without(apart: &[&str], known: &Known, missing: &Missing<'_>) -> bool {
    let counts = missing.iter().filter(|(namespace, _)| !apart.contains(namespace));
    let others = known
        .values()
        .filter(|key| !apart.contains(&key.namespace.as_str()));
    is_mass(counts.map(|(_, uids)| uids.len()).sum(), others.count())
}

/// Where most are missing.
fn largest<'a>(missing: &Missing<'a>) -> Option<&'a str> {
    let largest = missing
        .iter()
        .max_by_key(|(namespace, uids)| (uids.len(), **namespace));
    largest.map(|(namespace, _)| *namespace)
}

/// What the deletions that were told come to while the kind is there. `known` includes what was deleted, but nothing that is
/// held or waits besides.
pub(super) fn of_deletions(known: &Known, deleted: &[(ResourceRef, ResourceUid)]) -> Removal {
    let mut missing: Missing<'_> = HashMap::new();
    for (key, uid) in deleted.iter().filter(|(_, uid)| known.contains_key(uid)) {
        missing.entry(&key.namespace).or_default().push(uid);
    }
    let apart = held_namespaces(known, &missing);
    let (held, gone): (Missing<'_>, Missing<'_>) = missing
        .into_iter()
        .partition(|(namespace, _)| apart.contains(namespace));
    let uids = |part: Missing<'_>| part.into_values().flatten().cloned().collect();
    Removal {
        gone: uids(gone),
        held: uids(held),
    }
}

/// The namespaces whose deletions are held.
fn held_namespaces<'a>(known: &Known, missing: &Missing<'a>) -> Vec<&'a str> {
    let Some(largest) = largest(missing) else {
        return Vec::new();
    };
    if missing.len() == 1 || !is_mass_without(&[], known, missing) {
        return Vec::new();
    }
    let nothing_is_left = missing.values().map(Vec::len).sum::<usize>() == known.len();
    if !nothing_is_left && !is_mass_without(&[largest], known, missing) {
        return Vec::new();
    }
    let many = missing.iter().filter(|(_, uids)| uids.len() > ALWAYS);
    let many: Vec<&str> = many.map(|(namespace, _)| *namespace).collect();
    if nothing_is_left || is_mass_without(&many, known, missing) {
        return missing.keys().copied().collect();
    }
    many
}

/// What a complete list comes to: `listed` names whoever is there.
pub(super) fn of_list(known: &Known, listed: &HashMap<ResourceRef, ResourceUid>, trust: &Trust) -> Removal {
    let mut removal = Removal::default();
    let mut missing: Missing<'_> = HashMap::new();
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
    } else if is_mass_without(&[], known, &missing)
        && let Some(namespace) = largest(&missing)
    {
        // Where one namespace alone is the reason, nobody else waits for it.
        if is_mass_without(&[namespace], known, &missing) {
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
