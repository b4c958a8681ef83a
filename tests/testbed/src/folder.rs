//! Temporary folders that are gone when we are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::keeper;

/// A folder that is removed when this is dropped, or soon after this program ends in any way.
pub struct Folder {
    inner: Option<tempfile::TempDir>,
}

impl Folder {
    /// Makes a folder for the owner only; it holds private keys and tokens.
    pub fn new(purpose: &str) -> Result<Self> {
        Self::new_in(&std::env::temp_dir(), purpose)
    }

    /// Makes it inside of another.
    pub fn new_in(parent: &Path, purpose: &str) -> Result<Self> {
        let inner = tempfile::Builder::new()
            .prefix(&format!("claviger-{purpose}-"))
            .tempdir_in(parent)
            .context("failed to make a temporary folder")?;
        keeper::hold_folder(inner.path());
        Ok(Self { inner: Some(inner) })
    }

    /// Leaves it where it is, for somebody to look into.
    pub fn keep(mut self) -> PathBuf {
        let kept = self
            .inner
            .take()
            .map_or_else(PathBuf::new, tempfile::TempDir::keep);
        keeper::release_folder(&kept);
        kept
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.inner.as_ref().map_or(Path::new(""), tempfile::TempDir::path)
    }

    /// The path of a file in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        std::fs::write(&path, content).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            let path = inner.path().to_owned();
            if inner.close().is_ok() {
                keeper::release_folder(&path);
            }
        }
    }
}
