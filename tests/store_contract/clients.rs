//! Clients.

use std::time::Duration;

use claviger::clock::later;
use claviger::oidc::consent::Consent;
use claviger::oidc::identifier::ClientId;
use claviger::store::records::{ClientRecord, ClientRegistration, Digest};
use claviger::store::{IssueCode, RegisterClient};

use crate::bench::{Bench, CLIENT, CODE, HANDLE, REFRESH, USER, uid};
use crate::fixtures;

async fn register(bench: &Bench, registration: ClientRegistration) -> Result<ClientRecord, String> {
    match bench.store.register_client(registration).await.unwrap() {
        RegisterClient::Registered(record) => Ok(*record),
        RegisterClient::ClientIdHeld(holder) => Err(format!("client id held by {holder}")),
        RegisterClient::ResourceIdentifierHeld(identifier, holder) => {
            Err(format!("{identifier} held by {holder}"))
        }
        RegisterClient::ClientIdIsSubject => Err("client id is a subject".to_owned()),
        RegisterClient::SecretNameHeld(holder) => Err(format!("Secret name held by {holder}")),
    }
}

async fn client(bench: &Bench) -> Option<ClientRecord> {
    let client_id = ClientId::new(format!("team-a.{CLIENT}"));
    bench.store.client(&client_id).await.unwrap()
}

/// A registered client is found by id, by uid and among all; registering again replaces metadata and keeps secret
/// versions and what is done.
pub(crate) async fn a_client_is_registered_and_replaced(bench: &Bench) {
    let store = &*bench.store;
    assert_eq!(client(bench).await, None);
    let registration = fixtures::client_registration(CLIENT, bench.now());
    let record = register(bench, registration.clone()).await.unwrap();
    assert_eq!(record.secret_versions, registration.initial_secret_versions);
    assert_eq!(client(bench).await, Some(record.clone()));
    assert_eq!(
        store.client_by_uid(&uid(CLIENT)).await.unwrap(),
        Some(record.clone())
    );
    assert_eq!(store.clients().await.unwrap(), [record]);

    let done = Digest("digest".to_owned());
    store.complete_client(&uid(CLIENT), done.clone()).await.unwrap();
    let mut changed = registration.clone();
    changed.client.client_name = "The shop".into();
    changed.initial_secret_versions[0].id = "2".into();
    let record = register(bench, changed).await.unwrap();
    assert_eq!(record.client.client_name, "The shop");
    assert_eq!(record.secret_versions, registration.initial_secret_versions);
    assert_eq!(record.done, Some(done));
    assert_eq!(client(bench).await, Some(record));
}

/// Rule 52: a signing key is kept for as long as any token that it signed may live, also where the lifetimes of its client
/// have become shorter meanwhile.
pub(crate) async fn rule_52_how_long_tokens_live_is_known(bench: &Bench) {
    const HOUR: Duration = Duration::from_hours(1);
    let store = &*bench.store;
    let until = async || store.tokens_valid_until().await.unwrap();
    assert_eq!(until().await, bench.now(), "nobody gets tokens");
    let with = |access_token, id_token| {
        let mut registration = fixtures::client_registration(CLIENT, bench.now());
        registration.client.lifetimes.access_token = access_token;
        registration.client.lifetimes.id_token = id_token;
        registration
    };
    register(bench, with(HOUR, 2 * HOUR)).await.unwrap();
    assert_eq!(until().await, later(bench.now(), 2 * HOUR));
    register(bench, with(30 * HOUR, HOUR)).await.unwrap();
    assert_eq!(until().await, later(bench.now(), 30 * HOUR));
    bench.advance(HOUR);
    assert_eq!(until().await, later(bench.now(), 30 * HOUR));
    // The last of the long ones may have been signed a moment ago.
    let last = later(bench.now(), 30 * HOUR);
    register(bench, with(HOUR, HOUR)).await.unwrap();
    let known = until().await;
    assert!(
        (last..=later(last, Duration::from_secs(1))).contains(&known),
        "{known}"
    );
    bench.advance(HOUR);
    assert_eq!(until().await, known);
    register(bench, with(2 * HOUR, HOUR)).await.unwrap();
    register(bench, with(HOUR, HOUR)).await.unwrap();
    assert_eq!(until().await, known, "a shorter one does not shorten what is out");
    bench.advance(60 * HOUR);
    assert_eq!(until().await, later(bench.now(), HOUR));
}

/// A client that was registered without secret versions takes those that come later.
pub(crate) async fn versions_come_to_a_client_without_any(bench: &Bench) {
    let registration = fixtures::client_registration(CLIENT, bench.now());
    let public = ClientRegistration {
        initial_secret_versions: Vec::new(),
        ..registration.clone()
    };
    register(bench, public).await.unwrap();
    let record = register(bench, registration.clone()).await.unwrap();
    assert_eq!(record.secret_versions, registration.initial_secret_versions);
}

/// A client id and the name of a Secret stay with the resource that holds them, and a refused registration writes nothing.
pub(crate) async fn a_claim_that_is_held_stays(bench: &Bench) {
    let held = fixtures::client_registration(CLIENT, bench.now());
    register(bench, held.clone()).await.unwrap();

    let mut same_id = fixtures::client_registration("other", bench.now());
    same_id.client.client_id = held.client.client_id.clone();
    assert_eq!(
        register(bench, same_id).await.unwrap_err(),
        "client id held by team-a/shop"
    );

    let mut same_secret = fixtures::client_registration("other", bench.now());
    same_secret.secret_name.clone_from(&held.secret_name);
    assert_eq!(
        register(bench, same_secret.clone()).await.unwrap_err(),
        "Secret name held by team-a/shop"
    );
    assert_eq!(bench.store.clients().await.unwrap().len(), 1);

    // The same name in another namespace is another Secret.
    same_secret.resource.namespace = "team-b".into();
    register(bench, same_secret).await.unwrap();
}

/// When a client changes the name of its Secret, the old name is free.
pub(crate) async fn a_changed_secret_name_frees_the_old_one(bench: &Bench) {
    let mut registration = fixtures::client_registration(CLIENT, bench.now());
    register(bench, registration.clone()).await.unwrap();
    let old = std::mem::replace(&mut registration.secret_name, "new".to_owned());
    register(bench, registration).await.unwrap();

    let mut other = fixtures::client_registration("other", bench.now());
    other.secret_name = "new".into();
    register(bench, other.clone()).await.unwrap_err();
    other.secret_name = old;
    register(bench, other).await.unwrap();
}

/// An absent client is refused at once, keeps its claims, and returns whole when it is registered again.
pub(crate) async fn an_absent_client_is_refused_and_may_return(bench: &Bench) {
    bench.redeemed(false).await;
    bench
        .store
        .mark_clients_absent(&[uid(CLIENT), uid("unheard-of")])
        .await
        .unwrap();
    let absent = client(bench).await.unwrap();
    assert_eq!(absent.absent_since, Some(bench.now()));
    assert!(!absent.is_live());
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "refused");
    let mut other = fixtures::client_registration("other", bench.now());
    other.client.client_id = absent.client.client_id.clone();
    register(bench, other).await.unwrap_err();

    bench.advance(Duration::from_hours(1));
    bench.store.mark_clients_absent(&[uid(CLIENT)]).await.unwrap();
    assert_eq!(client(bench).await.unwrap().absent_since, absent.absent_since);

    bench.register().await;
    assert!(client(bench).await.unwrap().is_live());
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.rotate(REFRESH, "next").await, "rotated");
    bench.advance(Duration::from_hours(25));
    bench.store.sweep(100).await.unwrap();
    assert!(client(bench).await.is_some());
}

/// A client that is absent for 24 hours is purged with everything, and its claims are free.
pub(crate) async fn an_absent_client_is_purged_after_a_day(bench: &Bench) {
    bench.redeemed(true).await;
    bench.store.mark_clients_absent(&[uid(CLIENT)]).await.unwrap();
    bench.advance(Duration::from_secs(24 * 3600 - 1));
    bench.store.sweep(100).await.unwrap();
    assert!(client(bench).await.is_some());
    bench.advance(Duration::from_secs(1));
    bench.store.sweep(100).await.unwrap();
    assert_eq!(client(bench).await, None);
    assert!(bench.store.clients().await.unwrap().is_empty());
    assert!(
        bench
            .store
            .refresh_token(&fixtures::hash(REFRESH))
            .await
            .unwrap()
            .is_none()
    );
    let mut other = fixtures::client_registration("other", bench.now());
    other.client.client_id = ClientId::new(format!("team-a.{CLIENT}"));
    other.secret_name = format!("{CLIENT}-oidc");
    register(bench, other).await.unwrap();
}

/// Removing a client ends its codes, tokens, grants and consents.
pub(crate) async fn a_removed_client_takes_everything_with_it(bench: &Bench) {
    let grant = bench.issued(true).await;
    let session = fixtures::session("cookie", USER, bench.now());
    let second = fixtures::grant("second", &session, CLIENT, bench.now());
    let code = fixtures::authorization_code("second code", &second, CLIENT, bench.now());
    let issued = bench
        .store
        .issue_authorization_code(None, second, code, Some(grant.allowed()))
        .await
        .unwrap();
    assert_eq!(issued, IssueCode::Issued);
    assert_eq!(bench.redeem().await, "fresh");

    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert_eq!(client(bench).await, None);
    assert_eq!(bench.store.client_by_uid(&uid(CLIENT)).await.unwrap(), None);
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.redeem().await, "unknown");
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
    let consented = bench.store.consent(&uid(USER), &uid(CLIENT)).await.unwrap();
    assert_eq!(consented, Consent::default());
    assert!(bench.session_is_live().await);
}

/// A resource that is deleted and made again under its name is another client: old codes, grants and refresh tokens are
/// dead, even if nobody has told the store of the deletion.
pub(crate) async fn a_recreated_resource_is_another_client(bench: &Bench) {
    bench.redeemed(true).await;
    let mut again = fixtures::client_registration(CLIENT, bench.now());
    again.client.uid = uid("shop-again");
    let record = register(bench, again).await.unwrap();
    assert_eq!(client(bench).await, Some(record));
    assert_eq!(bench.store.client_by_uid(&uid(CLIENT)).await.unwrap(), None);
    assert!(!bench.grant_is_live().await);
    assert_eq!(bench.redeem().await, "unknown");
    assert_eq!(bench.rotate(REFRESH, "next").await, "unknown");
    assert_eq!(bench.rotate_as("shop-again", REFRESH, "next").await, "unknown");
}

/// A disabled or deleted client gets no code, even if the login page was open already; a suspended one keeps everything
/// and goes on when it is no longer suspended.
pub(crate) async fn rule_20_a_suspended_client_gets_nothing_and_keeps_everything(bench: &Bench) {
    let grant = bench.issued(false).await;
    let mut registration = fixtures::client_registration(CLIENT, bench.now());
    registration.client.suspended = true;
    register(bench, registration.clone()).await.unwrap();

    let session = fixtures::session("cookie", USER, bench.now());
    let second = fixtures::grant("second", &session, CLIENT, bench.now());
    let code = fixtures::authorization_code("second code", &second, CLIENT, bench.now());
    let issued = bench
        .store
        .issue_authorization_code(None, second, code, Some(grant.allowed()))
        .await
        .unwrap();
    assert_eq!(issued, IssueCode::ClientRefused);
    assert_eq!(bench.redeem().await, "refused");
    assert!(!bench.grant_is_live().await);
    let consented = bench.store.consent(&uid(USER), &uid(CLIENT)).await.unwrap();
    assert!(consented.is_empty());

    registration.client.suspended = false;
    register(bench, registration).await.unwrap();
    assert!(bench.grant_is_live().await);
    assert_eq!(bench.redeem().await, "fresh");
    assert!(
        bench
            .store
            .interaction(&fixtures::hash(HANDLE))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        bench
            .store
            .interaction(&fixtures::hash(CODE))
            .await
            .unwrap()
            .is_none()
    );
}

/// An origin is registered as long as a live client names it.
pub(crate) async fn rule_79_an_origin_is_that_of_a_live_client(bench: &Bench) {
    const ORIGIN: &str = "https://shop.example.org";
    let registered = async |origin: &str| bench.store.origin_is_registered(origin).await.unwrap();
    assert!(!registered(ORIGIN).await);
    let mut registrations = [CLIENT, "other"].map(|name| fixtures::client_registration(name, bench.now()));
    for registration in &mut registrations {
        registration.client.allowed_origins = vec![ORIGIN.to_owned()];
        register(bench, registration.clone()).await.unwrap();
    }
    assert!(registered(ORIGIN).await);
    assert!(!registered("https://shop.example.or").await);
    assert!(!registered("https://shop.example.org2").await);

    let [mut shop, mut other] = registrations;
    shop.client.allowed_origins = vec!["https://new.example.org".to_owned()];
    register(bench, shop).await.unwrap();
    assert!(registered("https://new.example.org").await && registered(ORIGIN).await);
    other.client.suspended = true;
    register(bench, other.clone()).await.unwrap();
    assert!(!registered(ORIGIN).await, "suspended");
    other.client.suspended = false;
    register(bench, other).await.unwrap();
    assert!(registered(ORIGIN).await);
    bench.store.mark_clients_absent(&[uid("other")]).await.unwrap();
    assert!(!registered(ORIGIN).await, "absent");
    bench.store.remove_client(&uid(CLIENT)).await.unwrap();
    assert!(!registered("https://new.example.org").await, "removed");
}
