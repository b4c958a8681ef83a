//! The socket in the file system: made so that nobody else can ever connect, and taken over only from a process that is
//! gone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixSocket};

/// Readable and writable by its owner only. Whoever can open it is the administrator.
const MODE: u32 = 0o600;
const BACKLOG: u32 = 16;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another process answers there.
    #[error(
        "unable to listen on {path}: another claviger does already; end it, or choose another path with --admin-socket"
    )]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("unable to listen on {path}: it is not a socket; choose another path with --admin-socket")]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("unable to listen on {path}: {reason}; choose another path with --admin-socket")]
    Refused {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

/// A socket that is listened on. Its file goes when this is dropped.
pub struct AdminSocket {
    path: PathBuf,
    pub(super) listener: UnixListener,
}

impl AdminSocket {
    /// Listens on `path`. What a process that is gone left there is taken away. Needs a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let refused = |reason| SocketError::Refused {
            path: path.to_owned(),
            reason,
        };
        remove_stale(path)?;
        let socket = UnixSocket::new_stream().map_err(refused)?;
        socket.bind(path).map_err(refused)?;
        // Nobody can connect before `listen`, hence nobody before the mode is right.
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(refused)?;
        let listener = socket.listen(BACKLOG).map_err(refused)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "failed to remove the administration socket");
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let refused = |reason| SocketError::Refused {
        path: path.to_owned(),
        reason,
    };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket {
            path: path.to_owned(),
        });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(refused)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
        Ok(_) => Err(SocketError::InUse {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_owner_may_open_it_and_it_goes_with_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let socket = AdminSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(AdminSocket::bind(&path), Err(SocketError::InUse { .. })));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        AdminSocket::bind(&path).unwrap();
    }

    #[tokio::test]
    async fn nothing_else_is_ever_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("precious");
        fs::write(&file, "data").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link, &folder.path().to_owned()] {
            assert!(matches!(
                AdminSocket::bind(path),
                Err(SocketError::NotASocket { .. })
            ));
        }
        assert_eq!(fs::read(&file).unwrap(), b"data");
        let nowhere = folder.path().join("missing/admin.sock");
        let long = folder.path().join("a".repeat(120));
        for path in [nowhere, long] {
            let error = AdminSocket::bind(&path).err().unwrap();
            assert!(error.to_string().contains("--admin-socket"), "{error}");
        }
    }
}
