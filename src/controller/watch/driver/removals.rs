//! Who leaves: deletions that were told, resources that are missing from a list, and what of it is held.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use super::{Driver, Look};
use crate::controller::queue::uid_of;
use crate::controller::reconciler::Reconciler;
use crate::controller::removal::{self, Removal, Trust};
use crate::controller::watch::presence::{self, Presence};
use crate::controller::watch::{PAUSE, until_stored};
use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;

impl<R: Reconciler> Driver<R> {
    /// A resource was deleted: nothing more is written for it, and it is removed after a look whether its kind is there.
    pub(super) async fn depart(&mut self, key: ResourceRef, uid: Option<ResourceUid>) {
        self.unreadable.remove(&key);
        self.queue.forget(&key);
        self.failing.remove(&key);
        let Some(uid) = uid else { return };
        if let Some(before) = self.departures.add(key.clone(), uid, Instant::now()) {
            self.remove(key, before).await;
        }
    }

    /// A resource is there: whoever had its name before is gone for certain.
    pub(super) async fn is_there(&mut self, key: &ResourceRef, uid: Option<&ResourceUid>) {
        if let Some(before) = self.departures.is_there(key, uid) {
            self.remove(key.clone(), before).await;
        }
        let superseded: Vec<ResourceUid> = self
            .held
            .extract_if(|_, held| held == key)
            .map(|(before, _)| before)
            .collect();
        if superseded.is_empty() {
            return;
        }
        for before in superseded.into_iter().filter(|before| Some(before) != uid) {
            self.remove(key.clone(), before).await;
        }
        if self.held.is_empty() {
            self.health.clear_note(R::KIND);
            tracing::info!(kind = R::KIND, "no removal is held any more");
        }
    }

    async fn remove(&mut self, key: ResourceRef, uid: ResourceUid) {
        // A reconcile in flight may wait for the API server for long; the client ends now, and once more after it.
        if self.queue.is_running(&key)
            && let Err(error) = self.reconciler.remove(&uid).await
        {
            tracing::warn!(kind = R::KIND, resource = %key, %error, "failed to remove a deleted resource; trying again");
        }
        self.queue.delete(key, Some(uid));
    }

    /// Looks whether the kind is still there, when somebody has to.
    pub(super) fn look_for_kind(&mut self, now: Instant) {
        if self.looks.is_empty() && self.departures.due().is_some_and(|due| due <= now) {
            let (client, api) = (self.client.clone(), self.apis[0].clone());
            self.looks.spawn(async move {
                Look {
                    at: now,
                    presence: presence::look(client, api).await,
                }
            });
        }
    }

    /// After a look: what was deleted until then is removed, or held.
    pub(in super::super) async fn decide_departures(&mut self, Look { at, presence }: Look) {
        let now = Instant::now();
        if presence == Presence::Unknown && !self.departures.is_overdue(now) {
            self.departures.look_again(now + PAUSE);
            return;
        }
        let departed = self.departures.take(at);
        if presence == Presence::Missing {
            let known = until_stored("read what is registered", || self.reconciler.known()).await;
            let uids = departed.into_iter().map(|(_, uid)| uid);
            let reason = "the custom resource definition was deleted, and every resource with it";
            let held = uids.filter(|uid| known.contains_key(uid)).collect();
            self.hold(held, &known, reason);
            return;
        }
        let mut gone: HashMap<ResourceUid, ResourceRef> =
            departed.iter().cloned().map(|(key, uid)| (uid, key)).collect();
        // A few may always go, whatever else is known.
        if departed.len() > removal::ALWAYS {
            let known = until_stored("read what is registered", || self.reconciler.known()).await;
            let mut others = known.clone();
            others.retain(|uid, _| !self.held.contains_key(uid) && !self.departures.contains(uid));
            let removal = removal::of_deletions(&others, &departed);
            gone.retain(|uid, _| !removal.held.contains(uid));
            self.hold(
                removal.held,
                &known,
                "resources of several namespaces were deleted at once",
            );
        }
        for (uid, key) in gone {
            self.remove(key, uid).await;
        }
    }

    /// Holds these removals too, and says so.
    fn hold(&mut self, uids: BTreeSet<ResourceUid>, known: &HashMap<ResourceUid, ResourceRef>, reason: &str) {
        if uids.is_empty() {
            return;
        }
        let before = self.held.len();
        for uid in uids {
            if let Some(key) = known.get(&uid) {
                self.held.insert(uid, key.clone());
            }
        }
        let problem = format!(
            "{held} of {known} registered resources are gone, but their removal is held, so that they work as before: {reason}; \
             apply them again, or start claviger once with --accept-removals={held} if they are meant to go",
            held = self.held.len(),
            known = known.len(),
        );
        if self.held.len() > before {
            tracing::error!(kind = R::KIND, %problem, "removal held");
        }
        self.health.note(R::KIND, problem);
    }

    pub(super) async fn remove_absent(&mut self, scope: usize) {
        let mut listed: HashMap<ResourceRef, ResourceUid> = self.unreadable.clone();
        listed.extend(
            self.queue
                .resources()
                .filter_map(|(key, resource)| Some((key.clone(), uid_of(resource.as_ref())?))),
        );
        let mut known = until_stored("read what is registered", || self.reconciler.known()).await;
        // About these, the deletion that was told decides.
        known.retain(|uid, _| !self.departures.contains(uid));
        let trust = Trust {
            accepted: if self.registered { 0 } else { self.accepted },
            after_missing_kind: std::mem::take(&mut self.was_missing[scope]),
            held: self.held.drain().map(|(uid, _)| uid).collect(),
        };
        let Removal { gone, held } = removal::of_list(&known, &listed, &trust);
        let absent: Vec<ResourceUid> = gone.into_iter().collect();
        if !absent.is_empty() {
            tracing::info!(
                kind = R::KIND,
                count = absent.len(),
                "resources are gone; refused from now on"
            );
            until_stored("note what is gone", || self.reconciler.mark_absent(&absent)).await;
        }
        if held.is_empty() {
            self.health.clear_note(R::KIND);
        }
        let reason = if trust.after_missing_kind {
            "the custom resource definition was deleted, and every resource with it"
        } else {
            "they are missing from the list of the API server, which is more likely a wrong list than so many deletions"
        };
        self.hold(held, &known, reason);
    }
}
