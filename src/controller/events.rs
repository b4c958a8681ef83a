//! Kubernetes Events: what the owner of a resource must know and nobody told them yet.
//!
//! The account may create Events and nothing else: each has a name of its own, and none is ever counted up. So they are
//! rare: a status that turned bad or good again, and what the sign-in page refused in an app's name. A new resource that
//! becomes Ready makes none; its status says so. Events hold no secret, and of a URI never the query.
//!
//! An Event is a courtesy: it is made beside the work, and one that fails is a line of the log.

mod limits;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use tokio::sync::Semaphore;

use super::MANAGER;
use super::kube_error::describe;
use super::observer::Observer;
use super::queue::uid_of;
use crate::clock::Clock;
use crate::crd::v1alpha1::OidcClient;
use crate::crd::v1alpha1::condition::READY;
use crate::oidc::identifier::ResourceUid;
use crate::store::records::ResourceRef;
use limits::{Limits, Rate, Rates};

/// Who reports, as Events name it.
const CONTROLLER: &str = "claviger.dev/claviger";
/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// The longest beginning of an Event's name.
const LONGEST_NAME: usize = 200;
/// Events that are on their way at once; more are not made.
const ON_THEIR_WAY: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Of what becomes of resources.
const TRANSITIONS: Rates = Rates {
    all: Rate {
        burst: 50,
        every: Duration::from_secs(5),
    },
    each: Rate {
        burst: 5,
        every: Duration::from_mins(2),
    },
    same: Duration::from_mins(10),
};
/// Of what strangers can bring about.
const REJECTIONS: Rates = Rates {
    all: Rate {
        burst: 10,
        every: Duration::from_mins(1),
    },
    each: Rate {
        burst: 3,
        every: Duration::from_mins(20),
    },
    same: Duration::from_hours(1),
};

/// Publishes Events. Clones share their limits.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    client: Client,
    /// This process among those that report.
    instance: String,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    on_their_way: Arc<Semaphore>,
    transitions: Mutex<Limits>,
    rejections: Mutex<Limits>,
    made: AtomicU64,
}

/// What is said of which resource.
struct Note<'a> {
    regarding: ObjectReference,
    uid: ResourceUid,
    type_: &'static str,
    reason: &'a str,
    action: &'static str,
    text: String,
}

impl Events {
    /// `instance` names this process, as the pod's name does.
    pub fn new(client: Client, instance: &str, clock: Arc<dyn Clock>, observer: Arc<dyn Observer>) -> Self {
        let now = Instant::now();
        Self(Arc::new(Inner {
            client,
            instance: instance.chars().take(128).collect(),
            clock,
            observer,
            on_their_way: Arc::new(Semaphore::new(ON_THEIR_WAY)),
            transitions: Mutex::new(Limits::new(TRANSITIONS, now)),
            rejections: Mutex::new(Limits::new(REJECTIONS, now)),
            made: AtomicU64::new(0),
        }))
    }

    /// Says it if the condition `Ready` turned bad, is bad for another reason, or turned good again.
    pub(super) fn changed<K: Resource<DynamicType = ()>>(
        &self,
        resource: &K,
        before: &[Condition],
        after: &[Condition],
    ) {
        let ready = |conditions: &[Condition]| conditions.iter().find(|known| known.type_ == READY).cloned();
        let (before, Some(after)) = (ready(before), ready(after)) else {
            return;
        };
        let was_bad = before.as_ref().is_some_and(|before| before.status == "False");
        let is_bad = after.status == "False";
        let same = before.is_some_and(|before| before.reason == after.reason);
        let type_ = match (was_bad, is_bad) {
            (false, false) => return,
            (true, true) if same => return,
            (_, true) => "Warning",
            (true, false) => "Normal",
        };
        let Some(uid) = uid_of(resource) else { return };
        self.publish(
            &self.0.transitions,
            Note {
                regarding: resource.object_ref(&()),
                uid,
                type_,
                reason: &after.reason,
                action: "Reconcile",
                text: after.message,
            },
            &after.reason,
        );
    }

    /// Says that the Secret of a client holds another version.
    pub(super) fn rotated(&self, resource: &OidcClient, text: &str) {
        const REASON: &str = "SecretRotated";
        let Some(uid) = uid_of(resource) else { return };
        let note = Note {
            regarding: resource.object_ref(&()),
            uid,
            type_: "Normal",
            reason: REASON,
            action: "Rotate",
            text: text.to_owned(),
        };
        self.publish(&self.0.transitions, note, REASON);
    }

    /// Says that a request asked to send a person of this client somewhere that is not registered. `shown` is what may be
    /// shown of the URI.
    pub fn redirect_uri_rejected(&self, client: &ResourceRef, uid: &ResourceUid, shown: &str) {
        let text = format!(
            "a sign-in was refused: it asked to return to {shown}, which is none of spec.redirectUris; if that is your app, \
             register the URI that it sends, character by character (a query is not shown here)"
        );
        self.rejected(client, uid, ("RedirectUriRejected", "Authorize"), text, shown);
    }

    /// Says that an assertion which was presented in the name of this client does not authenticate it, and why.
    pub fn client_assertion_rejected(&self, client: &ResourceRef, uid: &ResourceUid, why: &str) {
        let text = format!(
            "a client assertion (private_key_jwt) was refused: {why}; if it came from your app, see \"private_key_jwt\" in \
             claviger's documentation for what must stand in it"
        );
        let kind = ("ClientAssertionRejected", "Authenticate");
        self.rejected(client, uid, kind, text, why);
    }

    /// Publishes what a stranger may have brought about; `kind` is reason and action, `what` tells it from others.
    fn rejected(
        &self,
        client: &ResourceRef,
        uid: &ResourceUid,
        (reason, action): (&'static str, &'static str),
        text: String,
        what: &str,
    ) {
        let regarding = reference(client, uid);
        self.publish(
            &self.0.rejections,
            Note {
                regarding,
                uid: uid.clone(),
                type_: "Warning",
                reason,
                action,
                text,
            },
            what,
        );
    }

    /// Says that a client could not be told that a session ended. What went wrong is in the log, which is not the owner's.
    pub fn logout_token_given_up(&self, client: &ResourceRef, uid: &ResourceUid) {
        const REASON: &str = "BackchannelLogoutFailed";
        let text = "a session ended and the app was not told: spec.backchannelLogoutUri did not accept the logout token; look \
                    at the app's own log first, then ask whoever runs claviger, whose log says why (an address that is not \
                    public needs --allow-egress, a certificate of your own CA --extra-ca)";
        self.rejected(client, uid, (REASON, "Logout"), text.to_owned(), REASON);
    }

    /// Publishes beside the work, or not at all: nobody waits for it.
    fn publish(&self, limits: &Mutex<Limits>, note: Note<'_>, what: &str) {
        let inner = &self.0;
        let allowed =
            limits
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .allow(&note.uid, what, Instant::now());
        let Some(place) = allowed
            .then(|| Arc::clone(&inner.on_their_way).try_acquire_owned().ok())
            .flatten()
        else {
            inner.observer.event("suppressed");
            return;
        };
        let Some(event) = self.event(note) else { return };
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            inner.create(&event).await;
            drop(place);
        });
    }

    fn event(&self, note: Note<'_>) -> Option<Event> {
        let inner = &self.0;
        let now = inner.clock.now();
        let name = note.regarding.name.as_deref()?;
        let name: String = name.chars().take(LONGEST_NAME).collect();
        let number = inner.made.fetch_add(1, Ordering::Relaxed);
        Some(Event {
            metadata: ObjectMeta {
                // As client-go names them, and the number besides, since two may be made in one instant.
                name: Some(format!(
                    "{}.{:x}.{number:x}",
                    name.trim_end_matches(['.', '-']),
                    now.as_nanosecond()
                )),
                namespace: note.regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            action: Some(note.action.to_owned()),
            reason: Some(note.reason.to_owned()),
            note: Some(note.text[..note.text.floor_char_boundary(LONGEST_NOTE)].to_owned()),
            type_: Some(note.type_.to_owned()),
            regarding: Some(note.regarding),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(inner.instance.clone()),
            ..Event::default()
        })
    }
}

fn reference(client: &ResourceRef, uid: &ResourceUid) -> ObjectReference {
    ObjectReference {
        api_version: Some(OidcClient::api_version(&()).into_owned()),
        kind: Some(OidcClient::kind(&()).into_owned()),
        name: Some(client.name.clone()),
        namespace: Some(client.namespace.clone()),
        uid: Some(uid.as_str().to_owned()),
        ..ObjectReference::default()
    }
}

impl Inner {
    async fn create(&self, event: &Event) {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let problem = match tokio::time::timeout(TIMEOUT, api.create(&params, event)).await {
            Ok(Ok(_)) => return self.observer.event("published"),
            Ok(Err(error)) => describe(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        self.observer.event("failed");
        let reason = event.reason.as_deref();
        tracing::warn!(namespace, event = reason, %problem, "failed to publish a Kubernetes Event");
    }
}
