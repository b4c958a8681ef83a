//! A disk that can be watched and can fail: a library that is preloaded into a process takes the place of libc's functions
//! for the files below one folder. See the package `recorded-disk`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The disk of one folder, for the processes that are started with its environment.
#[derive(Clone, Debug)]
pub struct Disk {
    library: PathBuf,
    folder: PathBuf,
    control: PathBuf,
    record: Option<PathBuf>,
    notes: Option<PathBuf>,
}

impl Disk {
    /// A disk for `folder`, which need not exist yet; `control` is a folder for what steers it.
    pub fn new(folder: &Path, control: &Path) -> Result<Self> {
        std::fs::create_dir_all(control).context("failed to make the folder of a disk's controls")?;
        let parent = folder.parent().context("a disk's folder is in no other")?;
        let parent = parent
            .canonicalize()
            .context("failed to find where a disk's folder is")?;
        Ok(Self {
            library: library()?,
            folder: parent.join(folder.file_name().unwrap_or_default()),
            control: control.to_owned(),
            record: None,
            notes: None,
        })
    }

    /// Records what is done to it, and the lines that are written to `notes`. No sync reaches the real disk then.
    #[must_use]
    pub fn recorded(mut self, record: &Path, notes: &Path) -> Self {
        self.record = Some(record.to_owned());
        self.notes = Some(notes.to_owned());
        self
    }

    /// What a process of this disk needs in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("LD_PRELOAD", &self.library),
            ("RECORDED_DISK", &self.folder),
            ("RECORDED_DISK_CONTROL", &self.control),
        ];
        all.extend(self.record.iter().map(|path| ("RECORDED_DISK_LOG", path)));
        all.extend(self.notes.iter().map(|path| ("RECORDED_DISK_NOTES", path)));
        all.into_iter()
            .map(|(name, path)| (name.to_owned(), path.display().to_string()))
            .collect()
    }

    /// Writing and syncing wait from now on, or go on.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        self.set("frozen", frozen.then_some(""))
    }

    /// There is no room from now on, or there is again.
    pub fn fill(&self, full: bool) -> Result<()> {
        self.set("full", full.then_some(""))
    }

    /// Syncing fails from now on, or works again.
    pub fn break_syncs(&self, broken: bool) -> Result<()> {
        self.set("broken", broken.then_some(""))
    }

    /// Kills the process in place of a call to the disk, before which there are `calls` more from now on; or never.
    pub fn kill_after(&self, calls: Option<u64>) -> Result<()> {
        let calls = calls.map(|calls| calls.to_string());
        self.set("kill", calls.as_deref())
    }

    fn set(&self, name: &str, content: Option<&str>) -> Result<()> {
        let path = self.control.join(name);
        let done = match content {
            // A file that is half written would be misread.
            Some(content) => {
                let new = self.control.join(format!("{name}.new"));
                std::fs::write(&new, content).and_then(|()| std::fs::rename(&new, &path))
            }
            None if path.exists() => std::fs::remove_file(&path),
            None => Ok(()),
        };
        done.with_context(|| format!("failed to set {}", path.display()))
    }
}

/// The library, where cargo builds it for the running program.
fn library() -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find out where this program is")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .flat_map(|folder| [folder.to_owned(), folder.join("deps")])
        .map(|folder| folder.join("librecorded_disk.so"))
        .find(|path| path.is_file())
        .with_context(|| format!("found no librecorded_disk.so beside {}", own.display()))
}
