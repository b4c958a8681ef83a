//! Which file a call is about.

use std::ffi::{CStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libc::{AT_FDCWD, c_char, c_int, c_void, size_t};

/// The path of an argument; nothing if it cannot be told.
pub(crate) unsafe fn at(folder: c_int, path: *const c_char) -> Option<PathBuf> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller of libc's function has to give a C string.
    let path = Path::new(std::ffi::OsStr::from_bytes(
        unsafe { CStr::from_ptr(path) }.to_bytes(),
    ));
    if path.is_absolute() {
        Some(path.to_owned())
    } else if folder == AT_FDCWD {
        None
    } else {
        Some(of_descriptor(folder)?.join(path))
    }
}

/// The path of an open file, as it is called now.
pub(crate) fn of_descriptor(descriptor: c_int) -> Option<PathBuf> {
    folder()?;
    let link = format!("/proc/self/fd/{descriptor}\0");
    let mut path = vec![0_u8; 4096];
    // SAFETY: the link is a C string, and the buffer as long as is said.
    let length = unsafe {
        libc::syscall(
            libc::SYS_readlinkat,
            AT_FDCWD,
            link.as_ptr(),
            path.as_mut_ptr(),
            path.len(),
        )
    };
    path.truncate(usize::try_from(length).ok()?);
    Some(PathBuf::from(OsString::from_vec(path)))
}

/// Whether it is below the folder, or the folder itself.
pub(crate) fn is_watched(path: &Path) -> bool {
    folder().is_some_and(|folder| path.starts_with(folder))
}

/// Whether it is the file of the notes.
pub(crate) fn is_notes(path: &Path) -> bool {
    static NOTES: OnceLock<Option<PathBuf>> = OnceLock::new();
    NOTES
        .get_or_init(|| named("RECORDED_DISK_NOTES"))
        .as_deref()
        .is_some_and(|notes| notes == path)
}

fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(|| named("RECORDED_DISK")).as_deref()
}

/// A path of the environment.
pub(crate) fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// What a caller of libc's functions gave.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, length: size_t) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller of libc's function has to give as many bytes as it says.
    unsafe { std::slice::from_raw_parts(data.cast(), length) }
}
