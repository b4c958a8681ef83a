//! By which `sub` a client knows a person (OpenID Connect Core section 8).

use super::Provider;
use super::fault::Fault;
use crate::oidc::client::{Client, SubjectType};
use crate::oidc::identifier::Subject;

impl Provider {
    /// `sub` of the person with this subject, as the client is registered now. Whatever a client says about a person (a hint,
    /// a value for `sub`) is to be compared with this.
    pub(super) fn sub_for(&self, client: &Client, subject: &Subject) -> Result<Subject, Fault> {
        Ok(self
            .pairwise_sub_for(client, subject)?
            .unwrap_or_else(|| subject.clone()))
    }

    /// The same, `None` where everybody's `sub` is public.
    pub(super) fn pairwise_sub_for(
        &self,
        client: &Client,
        subject: &Subject,
    ) -> Result<Option<Subject>, Fault> {
        match &client.subject_type {
            SubjectType::Public => Ok(None),
            SubjectType::Pairwise { sector_identifier } => self
                .keyring
                .current()
                .pairwise_subject(sector_identifier, subject)
                .map(Some)
                .map_err(Fault::keyring("derive a pairwise subject")),
        }
    }
}
