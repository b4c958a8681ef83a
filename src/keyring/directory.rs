//! The keyring as a file in a directory, for hosts without a Kubernetes API.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{KeyringStorage, KeyringStorageError, StoredDocument};

/// The file inside the directory.
const FILE: &str = "keyring.json";

/// Larger than any keyring; what is larger is something else.
const MAX_BYTES: u64 = 1024 * 1024;

/// One file, `keyring.json`, readable by its owner only.
#[derive(Debug, Clone)]
pub struct DirectoryStorage {
    directory: PathBuf,
}

impl DirectoryStorage {
    /// Keeps the keyring in `directory`, which is made when the first keyring is.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Runs `work` off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, KeyringStorageError> {
        let directory = self.directory.clone();
        let reason = match tokio::task::spawn_blocking(move || work(&directory)).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => {
                format!("{error}; check that the directory belongs to claviger and is writable")
            }
            Err(error) => error.to_string(),
        };
        Err(KeyringStorageError::Refused {
            place: self.place(),
            reason,
        })
    }
}

#[async_trait]
impl KeyringStorage for DirectoryStorage {
    fn place(&self) -> String {
        format!("file {}", self.directory.join(FILE).display())
    }

    async fn load(&self) -> Result<Option<StoredDocument>, KeyringStorageError> {
        let found = self.blocking(read).await?;
        Ok(found.map(|document| StoredDocument {
            version: version(&document),
            document,
        }))
    }

    async fn create(&self, document: &[u8]) -> Result<bool, KeyringStorageError> {
        let document = Zeroizing::new(document.to_vec());
        self.blocking(move |directory| write_new(directory, &document))
            .await
    }

    async fn replace(&self, version: &str, document: &[u8]) -> Result<bool, KeyringStorageError> {
        let (version, document) = (version.to_owned(), Zeroizing::new(document.to_vec()));
        self.blocking(move |directory| write_over(directory, &version, &document))
            .await
    }
}

/// A file has no number that counts its changes, so its content names its state.
fn version(document: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, document))
}

fn read(directory: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match File::open(directory.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    if length > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has {length} bytes, which no keyring has"
        )));
    }
    // With room for all of it, so that reading leaves no copies behind in freed memory.
    let mut document = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(MAX_BYTES).read_to_end(&mut document)?;
    Ok(Some(document))
}

/// Writes a file of another name, then links it: whoever finds `keyring.json` finds all of it, and one that is there is
/// never replaced.
fn write_new(directory: &Path, document: &[u8]) -> io::Result<bool> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = temporary(directory);
    let linked = write_synced(&temporary, document).and_then(|()| {
        match fs::hard_link(&temporary, directory.join(FILE)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    });
    fs::remove_file(&temporary).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    // The new name must outlive a power cut as surely as what it names.
    File::open(directory)?.sync_all()?;
    linked
}

/// Replaces the file as a whole, unless another document is there than the caller knows. The lock keeps those who replace
/// apart from each other; who reads needs none.
fn write_over(directory: &Path, known: &str, document: &[u8]) -> io::Result<bool> {
    let folder = File::open(directory)?;
    folder.lock()?;
    if read(directory)?.is_none_or(|found| version(&found) != known) {
        return Ok(false);
    }
    let temporary = temporary(directory);
    let renamed =
        write_synced(&temporary, document).and_then(|()| fs::rename(&temporary, directory.join(FILE)));
    if let Err(error) = renamed {
        // It holds keys; whatever failed, it must not stay.
        drop(fs::remove_file(&temporary));
        return Err(error);
    }
    // The new content must outlive a power cut before anything is signed with it.
    folder.sync_all()?;
    Ok(true)
}

fn temporary(directory: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    directory.join(format!(".{FILE}.{}-{number}", std::process::id()))
}

fn write_synced(path: &Path, document: &[u8]) -> io::Result<()> {
    // A process of the same number may have died here.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(document)?;
    file.sync_all()
}
