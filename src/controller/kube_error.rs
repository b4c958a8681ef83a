//! Errors of the Kubernetes client: whether the API server answered at all, and what to say about it.

use std::error::Error;

/// Whether the API server was not reached, or could not answer for now: waiting helps.
pub(super) fn is_unreachable(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500 || status.code == 429 || status.code == 408,
        // An answer that makes no sense will make none the next time.
        kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => false,
        _ => true,
    }
}

/// Whether the API server does not know the kind: a list of nothing would be empty instead. No resource is meant, which
/// would be named.
pub(super) fn is_kind_missing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => {
            let names_one = status
                .details
                .as_ref()
                .is_some_and(|details| !details.name.is_empty());
            status.code == 404 && !names_one
        }
        _ => false,
    }
}

/// One line for logs and conditions. Answers are shown by their message only.
pub(super) fn describe(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    with_causes(error)
}

/// An error and what caused it, each said once: some errors repeat their causes and some do not name them.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
