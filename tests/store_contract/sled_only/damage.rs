//! What is not a store, or not a whole one, is refused in one line that says what, where and what to do.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use claviger::store::sled::{OpenError, SledStore};
use tempfile::TempDir;

use super::{contents, copy, open};
use crate::bench;
use crate::clock::TestClock;
use crate::fixtures;
use claviger::clock::Clock;
use claviger::store::Store;

/// A store that was filled and closed, and what it holds.
async fn filled(folder: &TempDir) -> (PathBuf, String) {
    let path = folder.path().join("store");
    let store = open(&path).unwrap();
    let now = TestClock::new().now();
    bench::signed_in(&store, now).await;
    for number in 0..200 {
        let registration = fixtures::client_registration(&format!("client-{number}"), now);
        store.register_client(registration).await.unwrap();
    }
    let before = contents(&store).await;
    store.close().await.unwrap();
    (path, before)
}

fn refused(path: &Path) -> OpenError {
    let Err(error) = open(path) else {
        panic!("{} was opened", path.display());
    };
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(message.contains(';'), "says nothing about what to do: {message}");
    error
}

/// A database that was cut short is refused, whatever the length, and is never taken for an empty one.
#[tokio::test]
async fn a_truncated_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, _) = filled(&folder).await;
    let length = fs::metadata(whole.join("sled/db")).unwrap().len();
    for keep in [0, 1, 4096, length / 4, length / 2, length * 3 / 4] {
        let path = folder.path().join(format!("cut to {keep}"));
        copy(&whole, &path);
        let database = fs::OpenOptions::new()
            .write(true)
            .open(path.join("sled/db"))
            .unwrap();
        database.set_len(keep).unwrap();
        for _ in 0..2 {
            let error = refused(&path);
            assert!(
                matches!(error, OpenError::Damaged { .. }),
                "cut to {keep}: {error}"
            );
        }
    }
}

/// With one byte changed anywhere, or several, a database is refused or gives exactly what was written.
#[tokio::test]
async fn a_changed_database_is_refused_or_right() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, before) = filled(&folder).await;
    let length = fs::metadata(whole.join("sled/db")).unwrap().len();
    let unchanged = folder.path().join("unchanged");
    copy(&whole, &unchanged);
    assert_eq!(contents(&open(&unchanged).unwrap()).await, before);
    let mut refusals = 0;
    for step in 0..40 {
        let path = folder.path().join(format!("changed {step}"));
        copy(&whole, &path);
        let database = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.join("sled/db"))
            .unwrap();
        let mut bytes = vec![0; if step % 2 == 0 { 1 } else { 16 }];
        let at = length * step / 40 + 8;
        database.read_exact_at(&mut bytes, at).unwrap();
        for byte in &mut bytes {
            *byte = !*byte;
        }
        database.write_all_at(&bytes, at).unwrap();
        match open(&path) {
            Ok(store) => assert_eq!(contents(&store).await, before, "changed at {at} of {length}"),
            Err(error) => {
                refusals += 1;
                assert!(
                    matches!(error, OpenError::Damaged { .. }),
                    "changed at {at}: {error}"
                );
                assert!(!error.to_string().contains('\n'));
            }
        }
        fs::remove_dir_all(&path).ok();
    }
    assert!(refusals > 0, "nothing that was changed was part of the database");
}

/// A store whose database file is gone is refused.
#[tokio::test]
async fn a_missing_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = filled(&folder).await;
    fs::remove_file(path.join("sled/db")).unwrap();
    assert!(matches!(refused(&path), OpenError::Damaged { .. }));
    fs::remove_dir_all(path.join("sled")).unwrap();
    assert!(matches!(refused(&path), OpenError::Damaged { .. }));
}

/// A snapshot that sled had not finished when it was ended is no damage: it is removed.
#[tokio::test]
async fn a_half_snapshot_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, before) = filled(&folder).await;
    let half = path.join("sled/snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(&half, "half").unwrap();
    assert_eq!(contents(&open(&path).unwrap()).await, before);
    assert!(!half.exists());
}

/// A store that was put back to an earlier state of its database alone is refused.
#[tokio::test]
async fn an_older_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = filled(&folder).await;
    let older = folder.path().join("older");
    copy(&path.join("sled"), &older);
    drop(open(&path).unwrap());
    fs::remove_dir_all(path.join("sled")).unwrap();
    copy(&older, &path.join("sled"));
    let error = refused(&path);
    assert!(
        matches!(&error, OpenError::Damaged { reason, .. } if reason.contains("latest")),
        "{error}"
    );
}

/// A description of the store that is malformed, or of a newer version, is refused.
#[tokio::test]
async fn an_unknown_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = filled(&folder).await;
    fs::write(path.join("store.json"), "{").unwrap();
    assert!(matches!(refused(&path), OpenError::Damaged { .. }));
    fs::write(path.join("store.json"), r#"{"v":2,"sequence":1}"#).unwrap();
    assert!(matches!(refused(&path), OpenError::Version { found: 2, .. }));
}

/// What is damaged is moved aside only when asked for: within the folder, for good. What begins then is empty,
/// and a second time moves aside what was made in between. A store that another process uses stays where it is.
#[tokio::test]
async fn a_damaged_store_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = filled(&folder).await;
    let now = TestClock::new().now();
    for round in 0..2 {
        let database = path.join("sled/db");
        let length = fs::metadata(&database).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
        file.set_len(length / 2).unwrap();
        refused(&path);
        let aside = SledStore::move_aside(&path, now).unwrap();
        assert_eq!(aside.parent(), Some(path.as_path()));
        assert!(aside.join("sled/db").exists() && aside.join("store.json").exists());
        let store = open(&path).unwrap();
        assert!(store.clients().await.unwrap().is_empty());
        assert!(!store.is_provisioned().await.unwrap());
        let in_use = SledStore::move_aside(&path, now).unwrap_err();
        assert!(matches!(in_use, OpenError::InUse { .. }), "{in_use}");
        bench::register(&store, now).await;
        store.close().await.unwrap();
        drop(store);
        let asides = fs::read_dir(&path)
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with("damaged-")
            })
            .count();
        assert_eq!(asides, round + 1);
    }
}

/// Interrupted while it is moved aside, a store is refused as damaged or begins as an empty one, and is never half of
/// each.
#[tokio::test]
async fn a_move_that_was_interrupted_is_no_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = filled(&folder).await;
    let aside = path.join("damaged-earlier");
    fs::create_dir(&aside).unwrap();
    fs::rename(path.join("sled"), aside.join("sled")).unwrap();
    assert!(matches!(refused(&path), OpenError::Damaged { .. }));
    fs::rename(path.join("store.json"), aside.join("store.json")).unwrap();
    assert!(open(&path).unwrap().clients().await.unwrap().is_empty());
}

/// A store that is open is refused to everybody else, and free when it is dropped.
#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let first = open(&path).unwrap();
    let error = super::open_once(&path).err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
    bench::register(&first, TestClock::new().now()).await;
    drop(first);
    assert_eq!(open(&path).unwrap().clients().await.unwrap().len(), 1);
}

/// A folder that holds anything else is refused and left as it is.
#[test]
fn a_foreign_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let error = refused(folder.path());
    assert!(
        matches!(&error, OpenError::Foreign { found, .. } if found == "thesis.txt"),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// An empty folder, as a new volume gives it, becomes a store; so does one whose creation was interrupted.
#[tokio::test]
async fn an_empty_folder_becomes_a_store() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    drop(open(folder.path()).unwrap());

    let interrupted = tempfile::tempdir().unwrap();
    fs::write(
        interrupted.path().join("store.json"),
        r#"{"v":1,"sequence":null}"#,
    )
    .unwrap();
    fs::create_dir(interrupted.path().join("sled")).unwrap();
    fs::write(interrupted.path().join("sled/db"), "half a database").unwrap();
    let store = open(interrupted.path()).unwrap();
    assert!(store.clients().await.unwrap().is_empty());
    let mode = fs::metadata(interrupted.path().join("store.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "others may read it");
}

/// A path that cannot be written is refused: below a file, and in a file system that takes no folders.
#[test]
fn an_unwritable_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        file.clone(),
        file.join("store"),
        PathBuf::from("/proc/claviger-store"),
    ] {
        assert!(matches!(refused(&path), OpenError::Unusable { .. }));
    }
    // Permissions do not bind the superuser; everybody else is refused here too.
    let read_only = folder.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(read_only.join("probe"), "").is_err() {
        assert!(matches!(refused(&read_only), OpenError::Unusable { .. }));
    }
}
