//! The record of a disk, and what a disk holds after a cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SECTOR: usize = 512;

/// A small generator of numbers, the same for the same seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A place among so many.
    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// One call; see the package `recorded-disk`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: u8,
    pub(super) path: PathBuf,
    pub(super) place: u64,
    pub(super) data: Vec<u8>,
}

/// Reads a record.
pub(super) fn read(path: &Path) -> Vec<Entry> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    let take = |rest: &mut &[u8], length: usize| {
        let (taken, after) = rest.split_at(length);
        *rest = after;
        taken.to_vec()
    };
    while !rest.is_empty() {
        let kind = take(&mut rest, 1)[0];
        let place = u64::from_le_bytes(take(&mut rest, 8).try_into().unwrap());
        let mut length = || u32::from_le_bytes(take(&mut rest, 4).try_into().unwrap()) as usize;
        let (path, data) = (length(), length());
        let path = PathBuf::from(String::from_utf8(take(&mut rest, path)).unwrap());
        let data = take(&mut rest, data);
        entries.push(Entry {
            kind,
            path,
            place,
            data,
        });
    }
    entries
}

/// What the program said.
pub(super) fn notes(entries: &[Entry]) -> Vec<u8> {
    let notes = entries.iter().filter(|entry| entry.kind == b'n');
    notes.flat_map(|entry| entry.data.clone()).collect()
}

/// How many operations were acknowledged.
pub(super) fn acknowledged(entries: &[Entry]) -> usize {
    let notes = String::from_utf8(notes(entries)).unwrap();
    notes.lines().filter(|line| line.starts_with("done ")).count()
}

/// A moment, and what a disk makes of what was not synced.
#[derive(Debug)]
pub(super) struct Cut {
    /// How many entries were before it.
    pub(super) at: usize,
    /// Of what was not synced: 0 nothing, 1 everything, 2 the beginning, torn, 3 any sectors.
    pub(super) mode: u64,
    pub(super) seed: u64,
}

impl Cut {
    /// No cut: everything up to here.
    pub(super) fn none(at: usize) -> Self {
        Self { at, mode: 1, seed: 0 }
    }

    /// One at random: every second one anywhere, the others just before a sync is done, where most is at stake.
    pub(super) fn draw(number: usize, entries: &[Entry], random: &mut Random) -> Self {
        let anywhere = random.index(entries.len());
        let before_a_sync = entries[anywhere..]
            .iter()
            .position(|entry| entry.kind == b's')
            .map_or(anywhere, |further| anywhere + further);
        Self {
            at: if number.is_multiple_of(2) {
                anywhere
            } else {
                before_a_sync
            },
            mode: [3, 0, 2, 1][number % 4],
            seed: random.next(),
        }
    }
}

type Id = usize;

/// A change of a file that was not synced yet.
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => content.resize(*length, 0),
            Self::Write(place, data) => {
                let end = place + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*place..end].copy_from_slice(data);
            }
        }
    }
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

impl File {
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What is left of it.
    fn after(&self, mode: u64, random: &mut Random) -> Vec<u8> {
        let mut content = self.durable.clone();
        let kept = match mode {
            0 => 0,
            2 => random.index(self.pending.len() + 1),
            _ => self.pending.len(),
        };
        for (number, change) in self.pending[..kept].iter().enumerate() {
            match change {
                Pending::Write(place, data) if mode == 3 => {
                    for (sector, at) in sectors(*place, data.len()) {
                        if random.coin() {
                            Pending::Write(place + sector, data[sector..at].to_vec()).apply(&mut content);
                        }
                    }
                }
                Pending::Truncate(_) if mode == 3 && random.coin() => {}
                Pending::Write(place, data) if mode == 2 && number + 1 == kept => {
                    let all = sectors(*place, data.len());
                    let torn = random.index(all.len() + 1);
                    let end = if torn == 0 { 0 } else { all[torn - 1].1 };
                    Pending::Write(*place, data[..end].to_vec()).apply(&mut content);
                }
                change => change.apply(&mut content),
            }
        }
        content
    }
}

/// The parts of data at a place that are in one sector each, as ranges of the data.
fn sectors(place: usize, length: usize) -> Vec<(usize, usize)> {
    let mut parts = Vec::new();
    let mut from = 0;
    while from < length {
        let to = ((place + from) / SECTOR + 1) * SECTOR - place;
        parts.push((from, to.min(length)));
        from = to;
    }
    parts
}

/// A change of a name that was not synced yet.
enum Naming {
    File(PathBuf, Id),
    Folder(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Naming {
    fn folders(&self) -> Vec<&Path> {
        let paths = match self {
            Self::File(path, _) | Self::Folder(path) | Self::Remove(path) => vec![path],
            Self::Rename(from, to) => vec![from, to],
        };
        paths.into_iter().filter_map(|path| path.parent()).collect()
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::File(path, id) => drop(names.insert(path.clone(), Some(*id))),
            Self::Folder(path) => drop(names.insert(path.clone(), None)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to) => {
                let moved: Vec<_> = names
                    .iter()
                    .filter(|(path, _)| path.starts_with(from))
                    .map(|(path, node)| (path.clone(), *node))
                    .collect();
                for (path, node) in moved {
                    names.remove(&path);
                    let rest = path.strip_prefix(from).unwrap();
                    let target = if rest == Path::new("") {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                    names.insert(target, node);
                }
            }
        }
    }
}

/// Files, and folders as `None`.
type Names = BTreeMap<PathBuf, Option<Id>>;

#[derive(Default)]
struct Model {
    files: Vec<File>,
    /// As the running system sees them.
    names: Names,
    durable_names: Names,
    pending_names: Vec<Naming>,
}

impl Model {
    fn change_name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending_names.push(naming);
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        let id = (*self.names.get(path)?)?;
        self.files.get_mut(id)
    }

    fn take(&mut self, entry: &Entry) {
        let place = usize::try_from(entry.place).unwrap();
        match entry.kind {
            b'c' => {
                self.files.push(File::default());
                self.change_name(Naming::File(entry.path.clone(), self.files.len() - 1));
            }
            // The store's own folder is in one that is not watched, and which is synced.
            b'f' if self.names.is_empty() => {
                self.names.insert(entry.path.clone(), None);
                self.durable_names.insert(entry.path.clone(), None);
            }
            b'f' => self.change_name(Naming::Folder(entry.path.clone())),
            b'd' => self.change_name(Naming::Remove(entry.path.clone())),
            b'r' => {
                let to = PathBuf::from(String::from_utf8(entry.data.clone()).unwrap());
                self.change_name(Naming::Rename(entry.path.clone(), to));
            }
            b'w' => {
                // A file that was removed while it is open has no name to be found by, and nobody finds it.
                if let Some(file) = self.file(&entry.path) {
                    file.pending.push(Pending::Write(place, entry.data.clone()));
                }
            }
            b't' => {
                if let Some(file) = self.file(&entry.path) {
                    file.pending.push(Pending::Truncate(place));
                }
            }
            b's' => match self.file(&entry.path) {
                Some(file) => file.sync(),
                None => self.sync_folder(&entry.path),
            },
            _ => {}
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let (synced, pending) = std::mem::take(&mut self.pending_names)
            .into_iter()
            .partition(|naming| naming.folders().contains(&folder));
        self.pending_names = pending;
        for naming in &synced {
            naming.apply(&mut self.durable_names);
        }
    }
}

/// Files and folders with their content.
pub(super) struct Left(BTreeMap<PathBuf, Option<Vec<u8>>>);

/// What the disk holds after the cut.
pub(super) fn replay(entries: &[Entry], cut: &Cut) -> Left {
    let mut model = Model::default();
    for entry in &entries[..cut.at] {
        model.take(entry);
    }
    let mut random = Random::new(cut.seed);
    let mut names = model.durable_names.clone();
    let mut stopped: BTreeSet<&Path> = BTreeSet::new();
    for naming in &model.pending_names {
        let folders = naming.folders();
        let kept = match cut.mode {
            0 => false,
            1 => true,
            _ => random.below(4) > 0,
        };
        if !kept {
            stopped.extend(&folders);
        }
        if folders.iter().all(|folder| !stopped.contains(folder)) {
            naming.apply(&mut names);
        }
    }
    let mut left: BTreeMap<PathBuf, Option<Vec<u8>>> = BTreeMap::new();
    for (path, node) in names {
        // What is in a folder that is lost is lost. Folders come before what is in them.
        let parent = path.parent().and_then(|parent| left.get(parent));
        if left.is_empty() || parent.is_some_and(Option::is_none) {
            let content = node.map(|id| model.files[id].after(cut.mode, &mut random));
            left.insert(path, content);
        }
    }
    Left(left)
}

impl Left {
    /// Writes it to another place than it was recorded at.
    pub(super) fn write(&self, original: &Path, place: &Path) {
        for (path, content) in &self.0 {
            let target = match path.strip_prefix(original).unwrap() {
                rest if rest == Path::new("") => place.to_owned(),
                rest => place.join(rest),
            };
            match content {
                None => fs::create_dir_all(target).unwrap(),
                Some(content) => fs::write(target, content).unwrap(),
            }
        }
    }

    /// Names of files with what is in them.
    pub(super) fn names(&self) -> Vec<String> {
        let files = self.0.iter().filter_map(|(path, content)| {
            let name = path.file_name()?.to_string_lossy();
            Some(format!("{name}={}", String::from_utf8_lossy(content.as_ref()?)))
        });
        files.collect()
    }
}

/// Fails where a folder is not what the record says.
pub(super) fn compare(left: &Left, folder: &Path) {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
        found.insert(folder.to_owned(), None);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.insert(path.clone(), Some(fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, &mut found);
    assert_eq!(
        left.0.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>(),
        "the record misses files"
    );
    for (path, content) in &left.0 {
        assert!(
            *content == found[path],
            "the record of {} is not what it holds",
            path.display()
        );
    }
}
