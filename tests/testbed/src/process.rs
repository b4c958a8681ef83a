//! Child processes that never outlive us, however we end.
//!
//! Three nets, one under the other: dropping a [`Process`] kills its whole process group and waits for it; a
//! [`keeper`] that sees our pipe close kills the groups that are left and removes our folders, which covers
//! `kill -9` of us and the statics of test programs, which are never dropped; and the kernel kills a child whose
//! parent died before the keeper heard of it.

pub mod keeper;
mod spawner;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A child in a process group of its own, with its output in a file.
pub struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    log: PathBuf,
}

impl Process {
    /// Starts the command; both its outputs are appended to the file `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("failed to open the log {}", log.display()))?;
        let program = command.get_program().to_owned();
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("failed to share a log file")?)
            .stderr(output)
            .process_group(0);
        let child = spawner::spawn(command)
            .with_context(|| format!("failed to start {name} ({})", Path::new(&program).display()))?;
        keeper::hold_group(child.id());
        Ok(Self {
            name: name.to_owned(),
            child,
            ended: None,
            log: log.to_owned(),
        })
    }

    /// The process id, which is the id of its group too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file with everything the process has printed.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How the process ended, or `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap_or(None);
            if self.ended.is_some() {
                // Whatever it started dies with it, before its id can be given to somebody else.
                signal_group(self.id(), libc::SIGKILL);
                keeper::release_group(self.id());
            }
        }
        self.ended
    }

    /// Fails, with the last lines of its log, if the process has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.exit_status() {
            None => Ok(()),
            Some(status) => anyhow::bail!(
                "{} ended ({status}); its last lines:\n{}",
                self.name,
                self.tail(15)
            ),
        }
    }

    /// Waits for the process to end by itself.
    pub fn wait_for_exit(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.exit_status() {
                return Ok(status);
            }
            if Instant::now() > deadline {
                anyhow::bail!(
                    "{} still runs after {patience:?}; its last lines:\n{}",
                    self.name,
                    self.tail(15)
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks the process to end, as Kubernetes does, and kills it if it has not ended in time.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        signal_group(self.id(), libc::SIGTERM);
        self.wait_for_exit(patience).unwrap_or_else(|_| self.kill9())
    }

    /// Kills the process and everything in its group, without any warning.
    pub fn kill9(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        signal_group(self.id(), libc::SIGKILL);
        let status = self
            .child
            .wait()
            .unwrap_or_else(|_| ExitStatus::from_raw(libc::SIGKILL));
        keeper::release_group(self.id());
        self.ended = Some(status);
        status
    }

    /// The last lines of the log.
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The last lines of a file that may be large, missing or not text.
pub fn tail(log: &Path, lines: usize) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(log) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(64 * 1024)));
        let _ = file.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn signal_group(group: u32, signal: i32) {
    let Ok(group) = i32::try_from(group) else { return };
    // SAFETY: killpg only takes numbers; a group that is gone already is an error that nobody needs to hear of.
    unsafe {
        libc::killpg(group, signal);
    }
}
