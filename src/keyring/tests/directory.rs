//! The keyring in a directory.

use std::collections::BTreeSet;

use super::at;
use crate::keyring::directory::DirectoryStorage;
use crate::keyring::{Keyring, KeyringStorage, OpenKeyringError};
use crate::random::SystemRandom;

async fn open(storage: &DirectoryStorage, may_create: bool) -> Result<Keyring, OpenKeyringError> {
    Keyring::load_or_create(storage, may_create, at(1_000), &SystemRandom).await
}

#[tokio::test]
async fn a_directory_keeps_the_keyring() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("a/keyring");
    let storage = DirectoryStorage::new(&directory);
    let error = open(&storage, false).await.err().unwrap();
    assert!(matches!(error, OpenKeyringError::Missing { .. }));
    assert!(error.to_string().contains("keyring.json"), "{error}");
    assert!(error.to_string().contains("restore"), "{error}");
    assert!(!directory.exists(), "a refusal leaves nothing behind");

    let made = open(&storage, true).await.unwrap();
    let again = open(&storage, false).await.unwrap();
    assert_eq!(made.id(), again.id());
    assert_eq!(made.jwks(), again.jwks());
    let permissions = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(permissions(&directory), 0o700);
    assert_eq!(permissions(&directory.join("keyring.json")), 0o600);
    assert!(!storage.create(b"another").await.unwrap(), "never overwritten");
    let names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["keyring.json"], "no temporary file is left");

    std::fs::write(directory.join("keyring.json"), b"{").unwrap();
    let error = open(&storage, true).await.err().unwrap();
    assert!(matches!(error, OpenKeyringError::Malformed { .. }));
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// The document is replaced as a whole, by whoever knows what is there, and by nobody else.
#[tokio::test]
async fn a_directory_replaces_only_what_was_loaded() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let storage = DirectoryStorage::new(folder.path());
    assert!(
        !storage.replace("unknown", b"next").await.unwrap(),
        "there is nothing"
    );
    assert!(storage.create(b"first").await.unwrap());
    let first = storage.load().await.unwrap().unwrap();
    assert!(!storage.replace("unknown", b"next").await.unwrap());
    assert!(storage.replace(&first.version, b"second").await.unwrap());
    assert!(
        !storage.replace(&first.version, b"third").await.unwrap(),
        "somebody was quicker"
    );
    let second = storage.load().await.unwrap().unwrap();
    assert_eq!(second.document.as_slice(), b"second");
    let path = folder.path().join("keyring.json");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no temporary file is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_create_at_once_end_with_one_keyring() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("keyring");
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let storage = DirectoryStorage::new(&directory);
            tokio::spawn(async move { open(&storage, true).await.unwrap().id().to_owned() })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn an_unusable_directory_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let storage = DirectoryStorage::new(file.join("keyring"));
    let error = open(&storage, true).await.err().unwrap();
    assert!(matches!(error, OpenKeyringError::Storage(_)));
    assert!(error.to_string().contains("keyring.json"), "{error}");
}
