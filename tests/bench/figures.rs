//! Figures of several rounds.

use std::fmt;

/// One figure per round.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = formatter.precision().unwrap_or(0);
        let (Some(least), Some(most)) = (self.0.first(), self.0.last()) else {
            return formatter.write_str("nothing");
        };
        let median = self.0[self.0.len() / 2];
        if formatter.alternate() {
            return write!(
                formatter,
                "{median:.digits$} ({least:.digits$} to {most:.digits$})"
            );
        }
        write!(
            formatter,
            "median {median:.digits$} (from {least:.digits$} to {most:.digits$})"
        )
    }
}
