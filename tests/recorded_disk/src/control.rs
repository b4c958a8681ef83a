//! How the disk behaves: files in the folder of the controls, looked for at each call.
//!
//! - `frozen`: writing and syncing wait until it is gone.
//! - `full`: whatever needs room fails with `ENOSPC`.
//! - `broken`: syncing fails with `EIO`.
//! - `kill`: a number in it. From when it is there calls are counted, and the process is killed in place of the one
//!   before which as many were made.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::paths::named;

/// What a call is.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    /// It changes a file's content.
    Data,
    /// It makes a file or a folder.
    Name,
    /// It renames or removes one, which needs no room.
    Renaming,
    /// It syncs.
    Sync,
}

/// Waits as long as the disk is frozen.
pub(crate) fn wait_while_frozen() {
    while is_there("frozen") {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the call fails, with `errno` set. Does not return where the process is to be killed.
pub(crate) fn refuses(call: Call) -> bool {
    kill_if_it_is_time();
    let error = match call {
        Call::Data | Call::Name if is_there("full") => libc::ENOSPC,
        Call::Sync if is_there("broken") => libc::EIO,
        _ => return false,
    };
    // SAFETY: errno is this thread's own.
    unsafe { *libc::__errno_location() = error };
    true
}

fn kill_if_it_is_time() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let Some(path) = control("kill") else { return };
    let Ok(text) = std::fs::read_to_string(path) else {
        return;
    };
    let Ok(at) = text.trim().parse::<u64>() else {
        return;
    };
    if CALLS.fetch_add(1, Ordering::SeqCst) == at {
        // SAFETY: both only take numbers.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn is_there(name: &str) -> bool {
    control(name).is_some_and(|path| path.exists())
}

fn control(name: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| named("RECORDED_DISK_CONTROL")).as_ref()?;
    Some(folder.join(name))
}
