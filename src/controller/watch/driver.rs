//! The state of one kind's loop: lists being assembled, the queue, the jobs that run.

mod removals;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::departures::Departures;
use super::presence::Presence;
use super::probe::Probe;
use super::{CONCURRENCY, Guarded, Scope, events, first_list, until_stored};
use crate::controller::heal::HealSweep;
use crate::controller::observer::{Observer, Reconciled, Work};
use crate::controller::provisioning::Provisioning;
use crate::controller::queue::{Job, Queue, key_of, uid_of};
use crate::controller::reconciler::{Next, Outcome, Reconciler};
use crate::controller::{ControllerContext, Health};
use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;

/// How long work may go on after the stop.
const GRACE: Duration = Duration::from_secs(1);

/// A job that ended.
pub(super) struct Finished<K> {
    key: ResourceRef,
    based_on: Option<Arc<K>>,
    removed_some: bool,
    healed: bool,
    unremoved: Vec<ResourceUid>,
    outcome: Outcome<K>,
    took: Duration,
}

/// Whether the kind was there at a time.
pub(super) struct Look {
    at: Instant,
    presence: Presence,
}

type Joined<R> = Result<(Id, Finished<<R as Reconciler>::Resource>), JoinError>;

/// What was started beside the loop and ended.
pub(super) enum Ended<R: Reconciler> {
    /// A piece of work.
    Job(Joined<R>),
    /// A look whether the kind is there.
    Look(Look),
}

pub(super) struct Driver<R: Reconciler> {
    reconciler: Arc<R>,
    scopes: Vec<Scope>,
    apis: Vec<Api<Guarded<R>>>,
    client: Client,
    health: Health,
    observer: Arc<dyn Observer>,
    provisioning: Arc<Provisioning>,
    /// Per scope: the resources of a list that is not complete yet.
    listings: Vec<Option<HashSet<ResourceRef>>>,
    /// Per scope: whether a list was ever complete.
    complete: Vec<bool>,
    /// Resources that exist but do not fit our schema; they count as present.
    unreadable: HashMap<ResourceRef, ResourceUid>,
    /// Deletions that wait for a look whether the kind is still there.
    departures: Departures,
    looks: JoinSet<Look>,
    /// Removals that are not believed.
    held: HashMap<ResourceUid, ResourceRef>,
    /// Per scope: whether the kind was missing since the last complete list.
    was_missing: Vec<bool>,
    /// How many removals the first complete list may bring.
    accepted: usize,
    /// The first complete list is registered.
    registered: bool,
    queue: Queue<R::Resource>,
    sweep: HealSweep,
    jobs: JoinSet<Finished<R::Resource>>,
    running: HashMap<Id, ResourceRef>,
    /// Resources whose last reconcile failed or was refused something.
    failing: HashSet<ResourceRef>,
    probe: Probe,
}

impl<R: Reconciler> Driver<R> {
    pub(super) fn new(
        reconciler: Arc<R>,
        scopes: Vec<Scope>,
        apis: Vec<Api<Guarded<R>>>,
        context: &ControllerContext,
        provisioning: Arc<Provisioning>,
        sweep: HealSweep,
    ) -> Self {
        context.observer.watching(R::KIND, false);
        Self {
            listings: scopes.iter().map(|_| None).collect(),
            complete: scopes.iter().map(|_| false).collect(),
            was_missing: scopes.iter().map(|_| false).collect(),
            reconciler,
            scopes,
            apis,
            client: context.client.clone(),
            health: context.health.clone(),
            observer: Arc::clone(&context.observer),
            provisioning,
            unreadable: HashMap::new(),
            departures: Departures::default(),
            looks: JoinSet::new(),
            held: HashMap::new(),
            accepted: context.settings.accept_removals,
            registered: false,
            queue: Queue::new(),
            sweep,
            jobs: JoinSet::new(),
            running: HashMap::new(),
            failing: HashSet::new(),
            probe: Probe::default(),
        }
    }

    pub(super) fn start_jobs(&mut self) {
        while self.registered && self.jobs.len() < CONCURRENCY {
            let Some(job) = self.queue.next() else { break };
            let key = job.key.clone();
            let handle = self.jobs.spawn(work(self.reconciler.clone(), job));
            self.running.insert(handle.id(), key);
        }
    }

    /// Tells how much there is to do.
    pub(super) fn tell(&self) {
        let work = Work {
            queued: self.queue.ready(),
            running: self.jobs.len(),
            resources: self.queue.known(),
            failing: self.failing.len(),
        };
        self.observer.work(R::KIND, work);
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        let look = self.departures.due().filter(|_| self.looks.is_empty());
        self.queue
            .next_due()
            .into_iter()
            .chain(self.sweep.next_due())
            .chain(look)
            .min()
    }

    pub(super) fn take_due(&mut self) {
        let now = Instant::now();
        self.queue.take_due(now);
        self.look_for_kind(now);
        let owners = self.queue.resources();
        let owners = owners
            .filter(|(_, resource)| self.reconciler.owns_secret(resource))
            .map(|(key, _)| key);
        if let Some(key) = self.sweep.take(owners, now) {
            self.queue.push_heal(key);
        }
    }

    /// What is derived for everybody may be another from now on.
    pub(super) fn look_at_all(&mut self) {
        self.queue.push_all();
    }

    pub(super) async fn join_next(&mut self) -> Option<Ended<R>> {
        tokio::select! {
            Some(joined) = self.jobs.join_next_with_id() => Some(Ended::Job(joined)),
            Some(Ok(look)) = self.looks.join_next() => Some(Ended::Look(look)),
            else => None,
        }
    }

    /// Work that is about to end may do so, or what the store has done already would be missing from the audit log. Any
    /// other is cut off.
    pub(super) async fn stop(&mut self) {
        self.looks.shutdown().await;
        let ended = async { while self.jobs.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(GRACE, ended).await;
        self.jobs.shutdown().await;
    }

    pub(super) fn finished(&mut self, joined: Joined<R>) {
        let finished = match joined {
            Ok((id, finished)) => {
                self.running.remove(&id);
                finished
            }
            Err(error) => {
                let Some(key) = self.running.remove(&error.id()) else {
                    return;
                };
                tracing::error!(kind = R::KIND, resource = %key, %error, "a reconcile panicked");
                let next = Next::Failed("a reconcile panicked".to_owned());
                self.queue.finish(&key, Vec::new(), &next, Instant::now());
                self.observer
                    .reconciled(R::KIND, Reconciled::Panicked, Duration::ZERO);
                self.failing.insert(key);
                return;
            }
        };
        let Finished {
            key,
            based_on,
            removed_some,
            healed,
            unremoved,
            outcome: Outcome { written, next },
            took,
        } = finished;
        if healed && matches!(next, Next::Failed(_) | Next::Later(_)) {
            self.queue.heal_again(&key);
        }
        if let Next::Failed(reason) = &next {
            tracing::warn!(kind = R::KIND, resource = %key, %reason, "failed to reconcile; trying again");
        }
        let came_to = came_to(&next);
        self.observer.reconciled(R::KIND, came_to, took);
        if matches!(came_to, Reconciled::Refused | Reconciled::Failed) {
            self.failing.insert(key.clone());
        } else {
            self.failing.remove(&key);
        }
        if let (Some(based_on), Some(written)) = (based_on, written) {
            self.queue.written(&key, &based_on, Arc::new(pruned(written)));
        }
        self.queue.finish(&key, unremoved, &next, Instant::now());
        if removed_some {
            self.queue.wake_waiting();
        }
    }

    pub(super) async fn handle(&mut self, scope: usize, event: watcher::Result<Event<Guarded<R>>>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => return self.watch_failed(scope, &error),
        };
        // A list that begins has not been answered yet.
        if !matches!(event, Event::Init) {
            self.health.set_reachable(R::KIND);
            self.observer.watching(R::KIND, true);
        }
        match event {
            Event::Init => self.listings[scope] = Some(HashSet::new()),
            Event::InitApply(resource) => {
                if let (Some(listing), Some(key)) = (&mut self.listings[scope], key_of(&resource)) {
                    listing.insert(key);
                }
                self.take(resource).await;
            }
            Event::InitDone => self.list_complete(scope).await,
            Event::Apply(resource) => self.take(resource).await,
            Event::Delete(resource) => {
                if let Some(key) = key_of(&resource) {
                    self.depart(key, uid_of(&resource)).await;
                }
            }
        }
    }

    /// A resource as it looks now.
    async fn take(&mut self, DeserializeGuard(resource): Guarded<R>) {
        match resource {
            // Whoever deletes has decided, even if somebody's finalizer keeps the resource a while.
            Ok(resource) if resource.meta().deletion_timestamp.is_some() => {
                if let Some(key) = key_of(&resource) {
                    self.depart(key, uid_of(&resource)).await;
                }
            }
            Ok(resource) => {
                if let Some(key) = key_of(&resource) {
                    self.unreadable.remove(&key);
                    self.is_there(&key, uid_of(&resource).as_ref()).await;
                }
                self.queue.apply(Arc::new(pruned(resource)));
            }
            Err(invalid) => {
                let (Some(namespace), Some(name)) = (invalid.metadata.namespace, invalid.metadata.name)
                else {
                    return;
                };
                let key = ResourceRef { namespace, name };
                tracing::warn!(
                    kind = R::KIND, resource = %key, error = %invalid.error,
                    "a resource does not fit the schema that claviger knows; upgrade claviger or its CRDs"
                );
                let uid = ResourceUid::new(invalid.metadata.uid.unwrap_or_default());
                self.is_there(&key, Some(&uid)).await;
                self.unreadable.insert(key, uid);
            }
        }
    }

    async fn list_complete(&mut self, scope: usize) {
        let listed = self.listings[scope].take().unwrap_or_default();
        self.complete[scope] = true;
        let gone: Vec<ResourceRef> = self
            .queue
            .resources()
            .map(|(key, _)| key)
            .chain(self.unreadable.keys())
            .filter(|key| self.scopes[scope].holds(&key.namespace) && !listed.contains(key))
            .cloned()
            .collect();
        for key in gone {
            self.unreadable.remove(&key);
            self.queue.forget(&key);
        }
        if !self.complete.iter().all(|complete| *complete) {
            return;
        }
        self.remove_absent(scope).await;
        if !self.registered {
            let resources = self
                .in_order()
                .into_iter()
                .map(|(_, resource)| resource)
                .collect();
            first_list::register(self.reconciler.as_ref(), resources).await;
            until_stored("note the first list", || self.provisioning.registered(R::KIND)).await;
            self.registered = true;
            let owners = self.queue.resources();
            let owners = owners.filter(|(_, resource)| self.reconciler.owns_secret(resource));
            self.sweep.begin(owners.count(), Instant::now());
        }
        for key in self.in_order().into_iter().map(|(key, _)| key) {
            self.queue.push(key);
        }
    }

    /// All resources, first those that held their claims before, each part by (creationTimestamp, uid).
    fn in_order(&self) -> Vec<(ResourceRef, Arc<R::Resource>)> {
        let mut resources: Vec<_> = self
            .queue
            .resources()
            .map(|(key, resource)| (key.clone(), resource.clone()))
            .collect();
        resources.sort_by_cached_key(|(_, resource)| {
            let meta = resource.meta();
            (
                !self.reconciler.held_before(resource),
                meta.creation_timestamp.as_ref().map(|time| time.0),
                meta.uid.clone(),
            )
        });
        resources
    }

    /// The watch goes on by itself but does not say when: a probe finds out.
    fn watch_failed(&mut self, scope: usize, error: &watcher::Error) {
        self.was_missing[scope] |= events::is_without_kind(error);
        let problem = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => crate::controller::kube_error::describe(error),
            other => other.to_string(),
        };
        tracing::warn!(kind = R::KIND, %problem, "the watch failed; trying again");
        self.health
            .set_unreachable(R::KIND, format!("unable to watch: {problem}"));
        self.observer.watching(R::KIND, false);
        let (health, observer) = (self.health.clone(), Arc::clone(&self.observer));
        self.probe.begin(self.apis[scope].clone(), move || {
            health.set_reachable(R::KIND);
            observer.watching(R::KIND, true);
        });
    }
}

fn came_to(next: &Next) -> Reconciled {
    match next {
        Next::Change | Next::Again(_) => Reconciled::Done,
        Next::Waiting(_) => Reconciled::Waiting,
        Next::Later(_) => Reconciled::Refused,
        Next::Failed(_) => Reconciled::Failed,
    }
}

async fn work<R: Reconciler>(reconciler: Arc<R>, job: Job<R::Resource>) -> Finished<R::Resource> {
    let began = Instant::now();
    let Job {
        key,
        removed,
        resource,
        look,
    } = job;
    let mut finished = Finished {
        key,
        based_on: resource.clone(),
        removed_some: !removed.is_empty(),
        healed: look.heals,
        unremoved: Vec::new(),
        outcome: Outcome::next(Next::Change),
        took: Duration::ZERO,
    };
    for uid in removed {
        if let Err(error) = reconciler.remove(&uid).await {
            finished.outcome.next = Next::Failed(error.to_string());
            finished.unremoved.push(uid);
        }
    }
    if let (true, Some(resource)) = (finished.unremoved.is_empty(), resource) {
        finished.outcome = reconciler.reconcile(resource, look).await;
    }
    finished.took = began.elapsed();
    finished
}

/// Keeps what is needed: field managers and the copy that `kubectl apply` leaves are most of a resource.
fn pruned<K: Resource>(mut resource: K) -> K {
    let meta = resource.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    resource
}
