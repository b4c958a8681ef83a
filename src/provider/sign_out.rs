//! The end of the session at claviger itself.

use super::Provider;
use super::audit::{self, Event};
use super::browser::Browser;
use super::fault::Fault;
use super::interaction::BrowserError;

impl Provider {
    /// Ends the session of this browser, and the grants that hang on it. There may be none any more.
    pub async fn sign_out(&self, browser: &Browser) -> Result<(), BrowserError> {
        let Some((session, user)) = self.session(browser).await? else {
            return Ok(());
        };
        self.store
            .end_session(&session.hash)
            .await
            .map_err(Fault::store("end a session"))?;
        audit::record(&Event {
            name: "sign_out",
            subject: Some(&user.user.subject),
            ..Event::default()
        });
        Ok(())
    }
}
