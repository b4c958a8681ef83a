//! What was acknowledged stays.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use claviger::clock::Clock;
use claviger::store::records::{GrantRecord, SessionRecord};
use claviger::store::{IssueCode, Store, StoreError};

use super::{contents, copy, open, open_with_sync};
use crate::bench::{self, CLIENT, COOKIE, name_of_redemption, name_of_rotation};
use crate::clock::TestClock;
use crate::{device_codes, fixtures};

/// Issues a code of a new offline grant, both named by `number`.
async fn issue(store: &dyn Store, number: usize) -> GrantRecord {
    let now = TestClock::new().now();
    let session = fixtures::session(COOKIE, bench::USER, now);
    let grant = GrantRecord {
        offline: true,
        ..fixtures::grant(&format!("grant {number}"), &session, CLIENT, now)
    };
    let code = fixtures::authorization_code(&format!("code {number}"), &grant, CLIENT, now);
    let issued = store
        .issue_authorization_code(None, grant.clone(), code, None)
        .await
        .unwrap();
    assert_eq!(issued, IssueCode::Issued);
    grant
}

async fn redeem(store: &dyn Store, number: usize) -> &'static str {
    let token = fixtures::refresh_token(&format!("refresh {number}"), TestClock::new().now());
    let outcome = store
        .redeem_authorization_code(
            &fixtures::hash(&format!("code {number}")),
            &fixtures::code_binding(CLIENT),
            Some(token),
        )
        .await
        .unwrap();
    name_of_redemption(&outcome)
}

async fn rotate(store: &dyn Store, number: usize) -> &'static str {
    let outcome = store
        .rotate_refresh_token(
            &fixtures::hash(&format!("refresh {number}")),
            &bench::uid(CLIENT),
            None,
            fixtures::refresh_token(&format!("successor {number}"), TestClock::new().now()),
        )
        .await
        .unwrap();
    name_of_rotation(&outcome)
}

/// After a clean stop everything is there again, codes that wait to be redeemed included.
#[tokio::test]
async fn a_clean_stop_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = open(&path).unwrap();
    bench::signed_in(&store, TestClock::new().now()).await;
    let (redeemed, waiting) = (issue(&store, 1).await, issue(&store, 2).await);
    assert_eq!(redeem(&store, 1).await, "fresh");
    let before = contents(&store).await;
    store.close().await.unwrap();
    drop(store);

    let store = open(&path).unwrap();
    assert_eq!(contents(&store).await, before);
    assert!(store.session(&fixtures::hash(COOKIE)).await.unwrap().is_some());
    for grant in [redeemed, waiting] {
        assert_eq!(store.live_grant(&grant.id).await.unwrap().unwrap().grant, grant);
    }
    assert_eq!(redeem(&store, 2).await, "fresh");
    assert_eq!(redeem(&store, 1).await, "replayed");
    assert_eq!(rotate(&store, 1).await, "refused");
    assert_eq!(rotate(&store, 2).await, "rotated");
}

/// After a stop that was not clean, codes issued before it are dead; what was redeemed, rotated or revoked stays so, and
/// codes issued afterwards work, after another clean stop too.
#[tokio::test]
async fn an_unclean_stop_kills_the_codes_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, crashed) = (folder.path().join("store"), folder.path().join("crashed"));
    let store = open(&path).unwrap();
    bench::signed_in(&store, TestClock::new().now()).await;
    for number in 1..=3 {
        issue(&store, number).await;
    }
    assert_eq!(redeem(&store, 1).await, "fresh");
    assert_eq!(redeem(&store, 2).await, "fresh");
    copy(&path, &crashed);
    drop(store);

    for path in [path, crashed] {
        let store = open(&path).unwrap();
        assert_eq!(redeem(&store, 3).await, "unknown");
        assert_eq!(rotate(&store, 2).await, "rotated");
        assert_eq!(redeem(&store, 1).await, "replayed");
        issue(&store, 4).await;
        store.close().await.unwrap();
        drop(store);
        let store = open(&path).unwrap();
        assert_eq!(redeem(&store, 3).await, "unknown");
        assert_eq!(redeem(&store, 4).await, "fresh");
    }
}

/// A pushed authorization request can be used after a restart, if it was not used before it, however the process ended.
#[tokio::test]
async fn rule_44_a_pushed_request_is_used_once_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (path, crashed) = (folder.path().join("store"), folder.path().join("crashed"));
    let store = open(&path).unwrap();
    let now = TestClock::new().now();
    bench::register(&store, now).await;
    for name in ["used", "waiting"] {
        let record = crate::pushed_requests::record(name, CLIENT, now);
        store.push_authorization_request(record).await.unwrap();
    }
    let take = async |store: &dyn Store, name: &str| {
        let hash = fixtures::hash(name);
        let taken = store.take_pushed_request(&hash, &bench::uid(CLIENT)).await;
        taken.unwrap().is_some()
    };
    assert!(take(&store, "used").await);
    copy(&path, &crashed);
    store.close().await.unwrap();
    drop(store);
    for path in [path, crashed] {
        let store = open(&path).unwrap();
        assert!(!take(&store, "used").await);
        assert!(take(&store, "waiting").await);
        assert!(!take(&store, "waiting").await);
    }
}

/// A person says yes to a device.
async fn allow(store: &dyn Store, session: &SessionRecord, device: &str) -> IssueCode {
    let now = TestClock::new().now();
    let row = format!("interaction of {device}");
    let interaction = fixtures::interaction(&row, session, CLIENT, now);
    store.begin_interaction(interaction).await.unwrap();
    let grant = GrantRecord {
        offline: true,
        ..fixtures::grant(&format!("grant of {device}"), session, CLIENT, now)
    };
    store
        .approve_device(fixtures::hash(&row), &fixtures::hash(device), grant, None)
        .await
        .unwrap()
}

/// A device is after a restart where it was before, however the process ended: one that waits is found by its user code, is
/// still slowed down, and can be allowed; one that was allowed redeems its code once; one that was denied, or has redeemed,
/// stays so.
#[tokio::test]
async fn rule_43_a_device_code_is_redeemed_once_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (path, crashed) = (folder.path().join("store"), folder.path().join("crashed"));
    let now = TestClock::new().now();
    let redeem = async |store: &dyn Store, device| device_codes::redeem_as(store, device, CLIENT, now).await;
    let store = open(&path).unwrap();
    let session = bench::signed_in(&store, now).await;
    for device in ["waiting", "allowed", "redeemed", "denied"] {
        let record = device_codes::record(device, &format!("user code of {device}"), CLIENT, now);
        assert!(store.begin_device_authorization(record).await.unwrap());
    }
    for device in ["allowed", "redeemed"] {
        assert_eq!(allow(&store, &session, device).await, IssueCode::Issued);
    }
    store.deny_device(&fixtures::hash("denied")).await.unwrap();
    assert_eq!(redeem(&store, "redeemed").await, "fresh");
    assert_eq!(redeem(&store, "waiting").await, "pending");
    copy(&path, &crashed);
    store.close().await.unwrap();
    drop(store);

    for path in [path, crashed] {
        let store = open(&path).unwrap();
        assert_eq!(redeem(&store, "waiting").await, "slow down");
        assert_eq!(redeem(&store, "redeemed").await, "unknown");
        assert_eq!(redeem(&store, "denied").await, "denied");
        assert_eq!(
            allow(&store, &session, "denied").await,
            IssueCode::InteractionGone
        );
        assert_eq!(redeem(&store, "allowed").await, "fresh");
        let user_code = fixtures::hash("user code of waiting");
        assert!(store.device_authorization(&user_code).await.unwrap().is_some());
        assert_eq!(allow(&store, &session, "waiting").await, IssueCode::Issued);
        store.close().await.unwrap();
        drop(store);

        let store = open(&path).unwrap();
        assert_eq!(redeem(&store, "allowed").await, "unknown");
        assert_eq!(redeem(&store, "waiting").await, "fresh");
        assert_eq!(redeem(&store, "waiting").await, "unknown");
    }
}

const VICTIM: &str = "CLAVIGER_TEST_STORE_OF_THE_VICTIM";

/// The process that [`kill_9_forgets_nothing_acknowledged`] kills: redeems one code after another and says so.
#[tokio::test]
#[ignore = "it runs until it is killed"]
async fn victim() {
    let path = std::env::var_os(VICTIM).unwrap();
    let store = open(Path::new(&path)).unwrap();
    bench::signed_in(&store, TestClock::new().now()).await;
    // One more would end the oldest, and that is not forgetting.
    for number in 0..100 {
        issue(&store, number).await;
        assert_eq!(redeem(&store, number).await, "fresh");
        println!("redeemed {number}");
    }
    std::future::pending::<()>().await;
}

/// Killed at any moment, a process has forgotten no redemption that it has acknowledged: each code is a replay afterwards.
#[tokio::test]
async fn kill_9_forgets_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sled_only::durability::victim",
            "--ignored",
            "--nocapture",
        ])
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(victim.stdout.take().unwrap());
    let redeemed = said
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.contains("redeemed"))
        .take(30)
        .count();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(redeemed, 30);

    let store = open(&path).unwrap();
    for number in 0..redeemed {
        assert_eq!(redeem(&store, number).await, "replayed", "code {number}");
    }
}

/// An operation is acknowledged only after the database file was synced, and what waits meanwhile shares one sync.
#[tokio::test]
async fn nothing_is_acknowledged_before_the_sync() {
    let folder = tempfile::tempdir().unwrap();
    let (entered, entries) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let hold = Arc::new(AtomicUsize::new(0));
    let holding = Arc::clone(&hold);
    let (store, _failure) = open_with_sync(&folder.path().join("store"), move |file| {
        if holding.load(Ordering::SeqCst) > 0 {
            entered.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        }
        file.sync_data()
    });
    bench::signed_in(&store, TestClock::new().now()).await;
    hold.store(1, Ordering::SeqCst);

    let mut first = Box::pin(issue(&store, 0));
    assert!(futures::poll!(&mut first).is_pending());
    entries.recv().unwrap();
    // The first one is in its sync; these are queued by being polled, and wait for the next.
    let mut others = Box::pin(futures::future::join_all(
        (1..64).map(|number| issue(&store, number)),
    ));
    assert!(futures::poll!(&mut others).is_pending());
    assert!(futures::poll!(&mut first).is_pending());
    release.send(()).unwrap();
    first.await;
    entries.recv().unwrap();
    assert!(futures::poll!(&mut others).is_pending());
    release.send(()).unwrap();
    others.await;
    assert!(
        entries.try_recv().is_err(),
        "63 operations took more than one sync"
    );
    hold.store(0, Ordering::SeqCst);
}

/// A sync that fails is not tried again: the operation fails, the process is told to exit, and the store answers nothing
/// any more, since nobody knows what the disk holds.
#[tokio::test]
async fn a_failed_sync_ends_everything() {
    let folder = tempfile::tempdir().unwrap();
    let fail = Arc::new(AtomicUsize::new(0));
    let failing = Arc::clone(&fail);
    let (store, failure) = open_with_sync(&folder.path().join("store"), move |file| {
        if failing.load(Ordering::SeqCst) == 0 {
            return file.sync_data();
        }
        failing.fetch_add(1, Ordering::SeqCst);
        Err(std::io::Error::other("the disk is on fire"))
    });
    bench::signed_in(&store, TestClock::new().now()).await;
    fail.store(1, Ordering::SeqCst);

    let unavailable = |outcome: Result<(), StoreError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("the disk is on fire"), "{error}");
    };
    unavailable(store.end_session(&fixtures::hash(COOKIE)).await);
    assert!(failure.recv().unwrap().contains("the disk is on fire"));
    unavailable(store.end_session(&fixtures::hash(COOKIE)).await);
    unavailable(store.clients().await.map(drop));
    unavailable(store.close().await);
    assert_eq!(fail.load(Ordering::SeqCst), 2, "the sync was tried again");
    drop(store);
    assert!(failure.recv().is_err(), "told once");
    // This process leaves its database as it is, lock included; another one opens what is there.
    let copied = folder.path().join("copied");
    copy(&folder.path().join("store"), &copied);
    open(&copied).unwrap();
}

/// Registering again what is registered, as each start does for everything, writes nothing.
#[tokio::test]
async fn an_unchanged_registration_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&syncs);
    let (store, _failure) = open_with_sync(&folder.path().join("store"), move |file| {
        counted.fetch_add(1, Ordering::SeqCst);
        file.sync_data()
    });
    let now = TestClock::new().now();
    bench::register(&store, now).await;
    let before = syncs.load(Ordering::SeqCst);
    assert_eq!(before, 3, "the epoch, the client, the user");
    bench::register(&store, now).await;
    assert_eq!(syncs.load(Ordering::SeqCst), before);
}

/// A closed store takes no more writes, and closing it again says so.
#[tokio::test]
async fn a_closed_store_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store")).unwrap();
    bench::register(&store, TestClock::new().now()).await;
    store.close().await.unwrap();
    let refused = store.remove_client(&bench::uid(CLIENT)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)));
    assert!(store.close().await.is_err());
}
