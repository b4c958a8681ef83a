//! Preloaded into a process, this takes the place of libc's functions that change files, and for the files below one
//! folder records in order what reached the operating system, or lets the disk fail. The program itself is the one that
//! is shipped.
//!
//! The environment says what to do:
//!
//! - `RECORDED_DISK`: the folder, as an absolute path without links.
//! - `RECORDED_DISK_LOG`: the file that the record is appended to. See [`record`] for its format.
//! - `RECORDED_DISK_NOTES`: a file whose lines are not written but put into the record, so that what a program said and
//!   what it did are in one order.
//! - `RECORDED_DISK_CONTROL`: a folder in which files are looked for at each call: see [`control`].
//!
//! Every call to the folder runs alone, so that the record has the order of the effects. What is changed by other means
//! (memory mappings, `copy_file_range`, …) is missed; whoever replays a record compares its end with the real folder.

mod control;
mod paths;
mod record;

use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::{AT_FDCWD, c_char, c_int, c_long, c_void, mode_t, off_t, size_t, ssize_t};

use control::Call;
use paths::{at, bytes, is_watched, of_descriptor};
use record::{Change, note, write_down};

/// Held over a call and its record.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn result(value: c_long) -> c_int {
    c_int::try_from(value).unwrap_or(-1)
}

fn count(value: c_long) -> ssize_t {
    ssize_t::try_from(value).unwrap_or(-1)
}

/// Makes a call that succeeds with 0, alone and unless the disk refuses it, and records what it has changed.
fn recorded(kind: Call, call: impl FnOnce() -> c_int, record: impl FnOnce()) -> c_int {
    let _alone = alone();
    if control::refuses(kind) {
        return -1;
    }
    let outcome = call();
    if outcome == 0 {
        record();
    }
    outcome
}

/// Opens a file; creating and truncating are changes.
unsafe fn open_at(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's arguments go on as they are.
    let call = || result(unsafe { libc::syscall(libc::SYS_openat, folder, path, flags, mode) });
    // SAFETY: a path is a C string.
    let Some(name) = (unsafe { at(folder, path) }).filter(|name| is_watched(name)) else {
        return call();
    };
    if flags & (libc::O_CREAT | libc::O_TRUNC) == 0 {
        return call();
    }
    let _alone = alone();
    // SAFETY: as above; 0 asks whether the file exists.
    let existed = unsafe { libc::syscall(libc::SYS_faccessat, folder, path, 0) } == 0;
    if !existed && control::refuses(Call::Name) {
        return -1;
    }
    let descriptor = call();
    if descriptor >= 0 && !existed {
        write_down(&Change::Create, &name, 0, &[]);
    } else if descriptor >= 0 && flags & libc::O_TRUNC != 0 {
        write_down(&Change::Truncate, &name, 0, &[]);
    }
    descriptor
}

/// See open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
}

/// See open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
}

/// See openat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_at(folder, path, flags, mode) }
}

/// See openat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_at(folder, path, flags, mode) }
}

/// See write(2). The files of the folder are not written at the end of the file behind another descriptor's back, so the
/// place is the descriptor's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(descriptor: c_int, data: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's arguments go on as they are.
    let call = || count(unsafe { libc::syscall(libc::SYS_write, descriptor, data, length) });
    let Some(name) = of_descriptor(descriptor) else {
        return call();
    };
    if paths::is_notes(&name) {
        let _alone = alone();
        // SAFETY: the caller gives as many bytes as it says.
        note(unsafe { bytes(data, length) });
        return ssize_t::try_from(length).unwrap_or(-1);
    }
    if !is_watched(&name) {
        return call();
    }
    control::wait_while_frozen();
    let _alone = alone();
    if control::refuses(Call::Data) {
        return -1;
    }
    // SAFETY: asks for the place in the file.
    let place = unsafe { libc::syscall(libc::SYS_lseek, descriptor, 0, libc::SEEK_CUR) };
    let written = call();
    if let Ok(written) = size_t::try_from(written) {
        // SAFETY: no more than the caller gave.
        write_down(&Change::Write, &name, place, unsafe { bytes(data, written) });
    }
    written
}

unsafe fn write_at(descriptor: c_int, data: *const c_void, length: size_t, place: off_t) -> ssize_t {
    // SAFETY: the caller's arguments go on as they are.
    let call = || count(unsafe { libc::syscall(libc::SYS_pwrite64, descriptor, data, length, place) });
    let Some(name) = of_descriptor(descriptor).filter(|name| is_watched(name)) else {
        return call();
    };
    control::wait_while_frozen();
    let _alone = alone();
    if control::refuses(Call::Data) {
        return -1;
    }
    let written = call();
    if let Ok(written) = size_t::try_from(written) {
        // SAFETY: no more than the caller gave.
        write_down(&Change::Write, &name, place, unsafe { bytes(data, written) });
    }
    written
}

/// See pwrite(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    descriptor: c_int,
    data: *const c_void,
    length: size_t,
    place: off_t,
) -> ssize_t {
    unsafe { write_at(descriptor, data, length, place) }
}

/// See pwrite(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    descriptor: c_int,
    data: *const c_void,
    length: size_t,
    place: off_t,
) -> ssize_t {
    unsafe { write_at(descriptor, data, length, place) }
}

unsafe fn truncate_to(descriptor: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's arguments go on as they are.
    let call = || result(unsafe { libc::syscall(libc::SYS_ftruncate, descriptor, length) });
    let Some(name) = of_descriptor(descriptor).filter(|name| is_watched(name)) else {
        return call();
    };
    control::wait_while_frozen();
    recorded(Call::Data, call, || {
        write_down(&Change::Truncate, &name, length, &[]);
    })
}

/// See ftruncate(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(descriptor: c_int, length: off_t) -> c_int {
    unsafe { truncate_to(descriptor, length) }
}

/// See ftruncate(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(descriptor: c_int, length: off_t) -> c_int {
    unsafe { truncate_to(descriptor, length) }
}

unsafe fn sync_with(number: c_long, descriptor: c_int) -> c_int {
    // SAFETY: the caller's arguments go on as they are.
    let call = || result(unsafe { libc::syscall(number, descriptor) });
    let Some(name) = of_descriptor(descriptor).filter(|name| is_watched(name)) else {
        return call();
    };
    control::wait_while_frozen();
    // Whether the machine's real disk is waited for makes no difference to the record.
    let call = || if record::is_kept() { 0 } else { call() };
    recorded(Call::Sync, call, || write_down(&Change::Sync, &name, 0, &[]))
}

/// See fsync(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(descriptor: c_int) -> c_int {
    unsafe { sync_with(libc::SYS_fsync, descriptor) }
}

/// See fdatasync(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    unsafe { sync_with(libc::SYS_fdatasync, descriptor) }
}

/// See rename(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's arguments go on as they are.
    let call = || result(unsafe { libc::syscall(libc::SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) });
    // SAFETY: paths are C strings.
    let (Some(old), Some(new)) = (unsafe { (at(AT_FDCWD, from), at(AT_FDCWD, to)) }) else {
        return call();
    };
    if !is_watched(&old) && !is_watched(&new) {
        return call();
    }
    recorded(Call::Renaming, call, || {
        write_down(&Change::Rename, &old, 0, &new);
    })
}

unsafe fn remove_at(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's arguments go on as they are.
    let call = || result(unsafe { libc::syscall(libc::SYS_unlinkat, folder, path, flags) });
    // SAFETY: a path is a C string.
    let Some(name) = (unsafe { at(folder, path) }).filter(|name| is_watched(name)) else {
        return call();
    };
    recorded(Call::Renaming, call, || {
        write_down(&Change::Remove, &name, 0, &[]);
    })
}

/// See unlink(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    unsafe { remove_at(AT_FDCWD, path, 0) }
}

/// See unlinkat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    unsafe { remove_at(folder, path, flags) }
}

/// See rmdir(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    unsafe { remove_at(AT_FDCWD, path, libc::AT_REMOVEDIR) }
}

/// See mkdir(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's arguments go on as they are.
    let call = || result(unsafe { libc::syscall(libc::SYS_mkdirat, AT_FDCWD, path, mode) });
    // SAFETY: a path is a C string.
    let Some(name) = (unsafe { at(AT_FDCWD, path) }).filter(|name| is_watched(name)) else {
        return call();
    };
    recorded(Call::Name, call, || write_down(&Change::Folder, &name, 0, &[]))
}
