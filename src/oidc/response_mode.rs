//! `response_mode`: how the authorization response travels (OAuth 2.0 Multiple Response Type Encoding Practices section
//! 2.1, OAuth 2.0 Form Post Response Mode).

use serde::{Deserialize, Serialize};

/// How the response travels. `fragment` is not among them: its use is for responses that hold tokens, and there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI; the default of `response_type=code`.
    #[default]
    Query,
    /// In a form that the browser posts to the redirect URI.
    FormPost,
}

impl ResponseMode {
    /// Every mode, in the order in which discovery lists them.
    pub const ALL: [Self; 2] = [Self::Query, Self::FormPost];

    /// The value on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }

    /// The mode of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}
