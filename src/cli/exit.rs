//! Exit codes. They are documented and do not change.

use crate::admin::client::AdminClientError;

/// Something failed; one line on standard error says what, where and what to do.
pub(super) const FAILED: u8 = 1;
// 2 is clap's: the command line cannot be understood.
/// No serving claviger was reached over the socket.
pub(super) const NOT_REACHED: u8 = 3;
/// `claviger doctor` found something that does not work.
pub(super) const DOCTOR_FOUND_A_FAILURE: u8 = 4;

/// The code of an error.
pub(super) fn code(error: &anyhow::Error) -> u8 {
    let unreachable = error
        .downcast_ref::<AdminClientError>()
        .is_some_and(AdminClientError::is_unreachable);
    if unreachable { NOT_REACHED } else { FAILED }
}
