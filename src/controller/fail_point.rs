//! Named points of a reconcile at which a build with the feature `fail-points` ends the process as `kill -9` would, when
//! `CLAVIGER_FAIL_POINT` names them. Other builds hold nothing of this.

/// A point of a reconcile.
#[derive(Debug, Clone, Copy)]
pub(super) enum FailPoint {
    BeforeRegister,
    AfterRegister,
    AfterSecret,
    AfterStatus,
}

/// Ends the process here if this point is named.
#[cfg(feature = "fail-points")]
pub(super) fn reach(point: FailPoint) {
    let name = match point {
        FailPoint::BeforeRegister => "before-register",
        FailPoint::AfterRegister => "after-register",
        FailPoint::AfterSecret => "after-secret",
        FailPoint::AfterStatus => "after-status",
    };
    if std::env::var("CLAVIGER_FAIL_POINT").is_ok_and(|named| named == name) {
        // No destructor and no flush runs, as after kill -9.
        std::process::abort();
    }
}

/// Does nothing.
#[cfg(not(feature = "fail-points"))]
pub(super) const fn reach(_: FailPoint) {}
