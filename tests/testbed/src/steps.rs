//! The report: one line for each thing that was done, with how long it took.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use anyhow::Result;

/// Writes the lines.
pub(crate) struct Steps {
    terminal: bool,
    begun: Instant,
}

impl Steps {
    pub(crate) fn begin() -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            begun: Instant::now(),
        }
    }

    /// A heading between steps.
    pub(crate) fn heading(&self, text: &str) {
        println!("\n{}", self.styled("1", text));
    }

    /// Does something; `doing` stands in the line while it takes time, then what `done` says of its outcome.
    pub(crate) async fn step<T>(
        &self,
        doing: &str,
        done: impl FnOnce(&T) -> String,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        if self.terminal {
            print!("  … {doing}");
            let _ = std::io::stdout().flush();
        }
        let outcome = work.await;
        if self.terminal {
            print!("\r\x1b[2K");
        }
        match &outcome {
            Ok(value) => {
                let took = self.styled("2", &format!("({:.1} s)", begun.elapsed().as_secs_f64()));
                println!("  {} {} {took}", self.styled("32", "✓"), done(value));
            }
            Err(_) => println!("  {} {doing}", self.styled("31", "✗")),
        }
        let _ = std::io::stdout().flush();
        outcome
    }

    /// Seconds since the beginning.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.terminal {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
