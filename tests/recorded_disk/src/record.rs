//! The record: one entry after another, each of
//!
//! ```text
//! kind    1 byte, see `Change`; `n` for a note
//! place   8 bytes: where the data goes, or the new length
//! lengths 4 bytes of the path's, 4 bytes of the data's
//! path, data
//! ```
//!
//! with numbers in little endian.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use libc::{AT_FDCWD, c_long};

use crate::paths::named;

/// What was done.
pub(crate) enum Change {
    /// A file was made.
    Create,
    /// Data was written.
    Write,
    /// A file was cut or extended.
    Truncate,
    /// A file or folder was synced.
    Sync,
    /// A file or folder got the name that is the data.
    Rename,
    /// A file or folder was removed.
    Remove,
    /// A folder was made.
    Folder,
}

/// Puts a change into the record.
pub(crate) fn write_down(change: &Change, path: &Path, place: c_long, data: &(impl AsBytes + ?Sized)) {
    let kind = match change {
        Change::Create => b'c',
        Change::Write => b'w',
        Change::Truncate => b't',
        Change::Sync => b's',
        Change::Rename => b'r',
        Change::Remove => b'd',
        Change::Folder => b'f',
    };
    append(kind, path.as_os_str().as_bytes(), place, data.as_bytes());
}

/// Puts what the program says into the record.
pub(crate) fn note(text: &[u8]) {
    append(b'n', b"", 0, text);
}

/// Whether there is a record.
pub(crate) fn is_kept() -> bool {
    descriptor().is_some()
}

/// Data of a change, or a path as such.
pub(crate) trait AsBytes {
    fn as_bytes(&self) -> &[u8];
}

impl AsBytes for [u8] {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> AsBytes for [u8; N] {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl AsBytes for std::path::PathBuf {
    fn as_bytes(&self) -> &[u8] {
        self.as_os_str().as_bytes()
    }
}

fn append(kind: u8, path: &[u8], place: c_long, data: &[u8]) {
    let Some(descriptor) = descriptor() else { return };
    let mut entry = vec![kind];
    entry.extend(place.to_le_bytes());
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
    entry.extend(length(path));
    entry.extend(length(data));
    entry.extend(path);
    entry.extend(data);
    // SAFETY: the buffer is as long as is said.
    let written = unsafe { libc::syscall(libc::SYS_write, descriptor, entry.as_ptr(), entry.len()) };
    if usize::try_from(written) != Ok(entry.len()) {
        // Half a record would prove nothing.
        std::process::abort();
    }
}

/// The file of the record.
fn descriptor() -> Option<c_long> {
    static DESCRIPTOR: OnceLock<Option<c_long>> = OnceLock::new();
    *DESCRIPTOR.get_or_init(|| {
        let path = CString::new(named("RECORDED_DISK_LOG")?.as_os_str().as_bytes()).ok()?;
        let flags = libc::O_CREAT | libc::O_APPEND | libc::O_WRONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a C string.
        let opened = unsafe { libc::syscall(libc::SYS_openat, AT_FDCWD, path.as_ptr(), flags, 0o600) };
        (opened >= 0).then_some(opened)
    })
}
