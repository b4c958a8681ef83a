//! What is wrong with a certificate that can be served all the same.

use jiff::Timestamp;
use thiserror::Error;

/// Something that browsers and apps will stumble on, and what to do. Its text is for the log and for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Concern {
    /// The end of its validity has passed.
    #[error(
        "the certificate expired at {at}, and browsers and apps refuse it: renew it; claviger takes the changed files \
         without a restart"
    )]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Its validity is about to end.
    #[error("the certificate expires at {at}: renew it; claviger takes the changed files without a restart")]
    ExpiresSoon {
        /// When.
        at: Timestamp,
    },
    /// Its validity has not begun.
    #[error(
        "the certificate is valid only from {from} on, and browsers and apps refuse it until then: check the clock of \
         this machine, or give it another certificate"
    )]
    NotYetValid {
        /// From when.
        from: Timestamp,
    },
    /// It is for other hosts.
    #[error(
        "the certificate is not for the issuer's host {host} but for {}, and browsers and apps refuse it: get one with \
         {host} among its subject alternative names, or correct --issuer",
        listed(names)
    )]
    DoesNotCover {
        /// The issuer's host.
        host: String,
        /// What it is for.
        names: Vec<String>,
    },
    /// The files changed to something that cannot be used.
    #[error("the changed certificate was not taken, the one from before is served on: {reason}")]
    FilesNotTaken {
        /// Why.
        reason: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "no host".to_owned()
    } else {
        names.join(", ")
    }
}
