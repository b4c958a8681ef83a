//! What a test may ask of the proxy for one request.

use std::time::Duration;

/// A request, before anything was done to it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, …
    pub method: String,
    /// Without the query; where something is created, with its name.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// The first of this method and path is 1.
    pub nth: usize,
}

impl Asked {
    /// Whether it is a watch.
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true")
    }

    /// Whether it lists a whole collection of this plural, perhaps page by page; not only one to see whether it can.
    pub fn is_list(&self, plural: &str) -> bool {
        let one = self.query.split('&').any(|pair| pair == "limit=1");
        self.method == "GET" && !self.is_watch() && !one && self.path.ends_with(&format!("/{plural}"))
    }

    /// Whether it asks for a page that is not the first.
    pub fn is_continued(&self) -> bool {
        self.query.contains("continue=")
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        self.method != "GET" && !self.query.contains("dryRun=")
    }
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Treatment {
    /// It is passed on so much later.
    pub delay: Duration,
    /// A list gives no more than this at once.
    pub page: Option<u32>,
    /// What goes wrong.
    pub fault: Fault,
}

impl From<Fault> for Treatment {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It is refused and not passed on.
    Refused(Refusal),
    /// It is passed on, and refused all the same.
    Lost(Refusal),
    /// The answer ends after this time, as a watch does that the server ends.
    EndsAfter(Duration),
    /// The connection is cut in the middle of the answer after this time.
    CutAfter(Duration),
    /// A watch says after this time that its resource version is too old.
    ExpiresAfter(Duration),
}

/// A `Status` of the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The reason, as a program reads it.
    pub reason: &'static str,
    /// When the same may be asked again, in seconds.
    pub retry_after: Option<u32>,
}

impl Refusal {
    /// 410: the resource version, or the next page, is no longer to be had.
    pub const EXPIRED: Self = Self {
        status: 410,
        reason: "Expired",
        retry_after: None,
    };
}
