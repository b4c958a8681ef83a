//! Whether a store holds what it has acknowledged. An operation that was begun and not acknowledged may have happened or
//! not, and nothing else may.

use std::collections::BTreeMap;
use std::path::Path;

use claviger::oidc::identifier::ClientId;
use claviger::store::Store;

use super::workload::{Kind, code, grant, name, redeem, rotate, token};
use crate::bench::{COOKIE, uid};
use crate::fixtures;

/// How far a life went.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// Operations that were begun.
    begun: usize,
    /// Operations that were acknowledged.
    done: usize,
}

impl Progress {
    /// The last operation is one of which nobody knows whether it happened.
    fn is_open(self) -> bool {
        self.begun > self.done
    }
}

/// Everything that is lost.
pub(super) async fn of(path: &Path, notes: &Path) -> Vec<String> {
    let store = super::super::open(path).unwrap();
    let mut lives: BTreeMap<usize, Progress> = BTreeMap::new();
    for line in std::fs::read_to_string(notes).unwrap().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (number, step): (usize, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
        let life = lives.entry(number).or_default();
        match words[0] {
            "begin" => life.begun = step + 1,
            _ => life.done = step + 1,
        }
    }
    let mut lost = Vec::new();
    if !lives.is_empty() && store.session(&fixtures::hash(COOKIE)).await.unwrap().is_none() {
        lost.push("the first session".to_owned());
    }
    for (number, life) in lives {
        let kind = Kind::of(number);
        let wrong = match kind {
            Kind::Session => session(&store, number, life).await,
            Kind::Client => client(&store, number, life).await,
            Kind::User => user(&store, number, life).await,
            Kind::Refreshed => refreshed(&store, number, life).await,
            Kind::Replayed | Kind::Reused | Kind::Revoked => ended(&store, kind, number, life).await,
        };
        lost.extend(wrong.map(|wrong| format!("{kind:?} {number} {life:?}: {wrong}")));
    }
    lost
}

/// What must hold after so many steps, when the step that is open may have happened too.
fn unless<T: PartialEq + std::fmt::Debug>(found: &T, life: Progress, after: &[T]) -> Option<String> {
    let mut allowed = vec![&after[life.done]];
    if life.is_open() {
        allowed.extend(after.get(life.begun));
    }
    (!allowed.contains(&found)).then(|| format!("{found:?} instead of {allowed:?}"))
}

async fn session(store: &dyn Store, number: usize, life: Progress) -> Option<String> {
    let found = store.session(&fixtures::hash(&name(number))).await.unwrap();
    unless(&found.is_some(), life, &[false, true, false])
}

async fn client(store: &dyn Store, number: usize, life: Progress) -> Option<String> {
    let id = ClientId::new(format!("team-a.{}", name(number)));
    let found = store.client(&id).await.unwrap();
    let suspended = found.map(|record| record.client.suspended);
    let by_uid = store.client_by_uid(&uid(&name(number))).await.unwrap();
    if by_uid.map(|record| record.client.suspended) != suspended {
        return Some("by its uid it is another than by its id".to_owned());
    }
    unless(&suspended, life, &[None, Some(false), Some(true), None])
}

async fn user(store: &dyn Store, number: usize, life: Progress) -> Option<String> {
    let found = store.user_by_username(&name(number)).await.unwrap();
    let disabled = found.map(|record| record.user.disabled);
    unless(&disabled, life, &[None, Some(false), Some(true)])
}

/// A code that was redeemed once, and a token that was rotated after that. Looks first and presents them afterwards,
/// since presenting a spent one ends the grant.
async fn refreshed(store: &dyn Store, number: usize, life: Progress) -> Option<String> {
    let is_live = store.live_grant(&grant(number)).await.unwrap().is_some();
    if let Some(wrong) = unless(&is_live, life, &[false, true, true, true, true, true]) {
        return Some(format!("its grant is live: {wrong}"));
    }
    for generation in 0..4 {
        let hash = fixtures::hash(&token(number, generation));
        let found = store.refresh_token(&hash).await.unwrap();
        let spent = found.map(|(record, _)| record.spent_at.is_some());
        // It comes with step `generation + 1` and is spent by the next.
        let after: Vec<Option<bool>> = (0..=5)
            .map(|steps| (steps > generation + 1).then_some(steps > generation + 2))
            .collect();
        if let Some(wrong) = unless(&spent, life, &after) {
            return Some(format!("token {generation} is spent: {wrong}"));
        }
    }
    if life.done >= 2 {
        let newest = life.done - 2;
        let allowed: &[&str] = if life.is_open() {
            &["rotated", "reused"]
        } else {
            &["rotated"]
        };
        let outcome = rotate(store, number, newest).await;
        if !allowed.contains(&outcome) {
            return Some(format!("the newest token is {outcome}"));
        }
        if newest > 0 && rotate(store, number, newest - 1).await != "reused" {
            return Some("a spent token is not".to_owned());
        }
    }
    presented(store, number, life).await
}

/// A grant that its last step has ended.
async fn ended(store: &dyn Store, kind: Kind, number: usize, life: Progress) -> Option<String> {
    let is_live = store.live_grant(&grant(number)).await.unwrap().is_some();
    let after: &[bool] = match kind {
        Kind::Reused => &[false, true, true, true, false],
        _ => &[false, true, true, false],
    };
    if let Some(wrong) = unless(&is_live, life, after) {
        return Some(format!("its grant is live: {wrong}"));
    }
    let is_over = life.done + 1 == after.len();
    for generation in 0..2 {
        if is_over && rotate(store, number, generation).await == "rotated" {
            return Some(format!("token {generation} of a grant that is over is good"));
        }
    }
    presented(store, number, life).await
}

/// Codes from before the cut are never good, and one that was redeemed is known to have been.
async fn presented(store: &dyn Store, number: usize, life: Progress) -> Option<String> {
    let outcome = redeem(store, number).await;
    let allowed: &[&str] = match life.done {
        1 if life.is_open() => &["unknown", "replayed"],
        0 | 1 => &["unknown"],
        _ => &["replayed"],
    };
    (!allowed.contains(&outcome)).then(|| format!("{} is {outcome}", code(number)))
}
