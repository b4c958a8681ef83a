//! Named points of a reconcile at which a build with the feature `fail-points` ends the process as `kill -9` would, when
//! `CLAVIGER_FAIL_POINT` names them. Other builds hold nothing of this.

/// A point of a reconcile.
#[derive(Debug, Clone, Copy)]
pub(super) enum FailPoint {
    BeforeRegister,
    AfterRegister,
    /// Versions of a client secret whose time is over are gone from the store.
    AfterForget,
    BeforeRotate,
    /// A new version of a client secret is in the store.
    AfterRotate,
    AfterSecret,
    AfterStatus,
    /// The store knows when the older versions of a client secret end.
    AfterRetire,
    /// What is done is noted.
    AfterComplete,
}

/// Ends the process here if this point is named.
#[cfg(feature = "fail-points")]
pub(super) fn reach(point: FailPoint) {
    let name = match point {
        FailPoint::BeforeRegister => "before-register",
        FailPoint::AfterRegister => "after-register",
        FailPoint::AfterForget => "after-forget",
        FailPoint::BeforeRotate => "before-rotate",
        FailPoint::AfterRotate => "after-rotate",
        FailPoint::AfterSecret => "after-secret",
        FailPoint::AfterStatus => "after-status",
        FailPoint::AfterRetire => "after-retire",
        FailPoint::AfterComplete => "after-complete",
    };
    if std::env::var("CLAVIGER_FAIL_POINT").is_ok_and(|named| named == name) {
        // No destructor and no flush runs, as after kill -9.
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "fail-points"))]
pub(super) const fn reach(_: FailPoint) {}
