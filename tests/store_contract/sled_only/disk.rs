//! A disk that is full or does not answer: writes are refused in time, reads go on, and nothing has to be started again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger::clock::Clock;
use claviger::store::records::GrantRecord;
use claviger::store::sled::{OpenError, SledSettings, SledStore};
use claviger::store::{IssueCode, Store, StoreError};

use super::{contents, open, open_with_sync};
use crate::bench::{self, CLIENT, COOKIE, name_of_redemption};
use crate::clock::TestClock;
use crate::fixtures;

const RESERVE: u64 = 1000;

/// Opens a store on a disk with as much room as `free` says; tries again where it is in use, as [`open`] does.
fn open_with_room(path: &Path, free: &Arc<AtomicU64>) -> SledStore {
    for _ in 0..500 {
        let free = Arc::clone(free);
        let settings = SledSettings {
            free_space: Box::new(move |_| Ok(free.load(Ordering::SeqCst))),
            reserve: RESERVE,
            ..SledSettings::at(path)
        };
        let on_failure = Box::new(|reason: &str| panic!("the store failed: {reason}"));
        match SledStore::open(settings, Arc::new(TestClock::new()), on_failure) {
            Err(OpenError::InUse { .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the store stays in use");
}

fn refused<T>(outcome: Result<T, StoreError>, why: &str) {
    let Err(error) = outcome else {
        panic!("it was carried out");
    };
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

async fn issue(store: &dyn Store, name: &str) -> Result<IssueCode, StoreError> {
    let now = TestClock::new().now();
    let session = fixtures::session(COOKIE, bench::USER, now);
    let grant = GrantRecord {
        offline: true,
        ..fixtures::grant(&format!("grant of {name}"), &session, CLIENT, now)
    };
    let code = fixtures::authorization_code(name, &grant, CLIENT, now);
    store.issue_authorization_code(None, grant, code, None).await
}

async fn redeem(store: &dyn Store, name: &str) -> Result<&'static str, StoreError> {
    let token = fixtures::refresh_token(&format!("token of {name}"), TestClock::new().now());
    let binding = fixtures::code_binding(CLIENT);
    let outcome = store
        .redeem_authorization_code(&fixtures::hash(name), &binding, Some(token))
        .await?;
    Ok(name_of_redemption(&outcome))
}

/// On a full disk writes are refused, and nothing of them happens; reads go on, and so does everything once there is
/// room, without a new start.
#[tokio::test]
async fn a_full_disk_refuses_writes_and_gives_reads() {
    let folder = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(RESERVE));
    let store = open_with_room(&folder.path().join("store"), &free);
    bench::signed_in(&store, TestClock::new().now()).await;
    issue(&store, "before").await.unwrap();
    let before = contents(&store).await;

    free.store(RESERVE - 1, Ordering::SeqCst);
    refused(redeem(&store, "before").await, "full");
    refused(issue(&store, "meanwhile").await, "full");
    refused(store.end_session(&fixtures::hash(COOKIE)).await, "full");
    assert_eq!(contents(&store).await, before);
    assert!(store.session(&fixtures::hash(COOKIE)).await.unwrap().is_some());
    // What writes nothing is no write.
    store.end_session(&fixtures::hash("of nobody")).await.unwrap();

    free.store(RESERVE, Ordering::SeqCst);
    assert_eq!(redeem(&store, "before").await.unwrap(), "fresh");
    assert_eq!(redeem(&store, "meanwhile").await.unwrap(), "unknown");
}

/// On a full disk a store opens and gives what it holds. What the start had to write is written before anything else once
/// there is room, so that codes from before a crash are dead all the same.
#[tokio::test]
async fn a_store_opens_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let free = Arc::new(AtomicU64::new(RESERVE));
    let store = open_with_room(&path, &free);
    bench::signed_in(&store, TestClock::new().now()).await;
    issue(&store, "before the crash").await.unwrap();
    let before = contents(&store).await;
    drop(store);

    free.store(0, Ordering::SeqCst);
    let store = open_with_room(&path, &free);
    assert_eq!(contents(&store).await, before);
    refused(issue(&store, "on the full disk").await, "full");
    free.store(RESERVE, Ordering::SeqCst);
    assert_eq!(redeem(&store, "before the crash").await.unwrap(), "unknown");
    issue(&store, "after").await.unwrap();
    assert_eq!(redeem(&store, "after").await.unwrap(), "fresh");

    // An orderly end on a full disk is an end.
    free.store(0, Ordering::SeqCst);
    refused(issue(&store, "at the end").await, "full");
    store.close().await.unwrap();
    drop(store);
    assert_eq!(contents(&open(&path).unwrap()).await, before);
}

/// A disk that does not answer holds nobody: who writes is refused in time, who reads is answered. An operation whose
/// caller was refused before it began never happens; one that had begun may have.
#[tokio::test]
async fn a_disk_that_does_not_answer_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let frozen = Arc::new(AtomicU64::new(0));
    let freeze = Arc::clone(&frozen);
    let (store, _failure) = open_with_sync(&folder.path().join("store"), move |file| {
        if freeze.load(Ordering::SeqCst) > 0 {
            // Ends when the test does.
            let _released = released.lock().unwrap().recv();
        }
        file.sync_data()
    });
    bench::signed_in(&store, TestClock::new().now()).await;
    issue(&store, "before").await.unwrap();
    let before = contents(&store).await;

    frozen.store(1, Ordering::SeqCst);
    refused(issue(&store, "begun").await, "has not answered");
    // These wait in the queue, more than it has places for.
    let crowd = (0..2000).map(|number| {
        let (store, name) = (&store, format!("queued {number}"));
        async move { issue(store, &name).await }
    });
    for outcome in futures::future::join_all(crowd).await {
        refused(outcome, "has not answered");
    }
    refused(redeem(&store, "before").await, "has not answered");
    assert_eq!(contents(&store).await, before);

    frozen.store(0, Ordering::SeqCst);
    release.send(()).unwrap();
    // Nobody was told that it was spent, so it is not.
    assert_eq!(redeem(&store, "before").await.unwrap(), "fresh");
    assert_eq!(redeem(&store, "begun").await.unwrap(), "fresh");
    for number in 0..2000 {
        assert_eq!(
            redeem(&store, &format!("queued {number}")).await.unwrap(),
            "unknown"
        );
    }
}
