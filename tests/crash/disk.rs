//! A disk that forgets: what it holds after a power cut, from a log of what was done to it (`shim.c`).
//!
//! A page cache of 4 KiB pages lies above it. A sync that returned puts a file's pages and size on the
//! disk, and its name if it is new; the sync of a directory all names. What was not synced when the
//! power goes may be there or not: each page for itself, also an older state of it, also torn between
//! sectors of 512 bytes; sizes too; of changes of names a first part. After a sync that *failed* the
//! cache calls its pages clean: a later sync writes only those that were written to again, as Linux does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chance::Chance;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    /// A page as it was after a write.
    Page(usize, Vec<u8>),
    Size(usize),
}

/// A file.
#[derive(Clone, Debug, Default)]
struct Inode {
    cache: Vec<u8>,
    disk: Vec<u8>,
    /// What no sync has reached, and when it was done.
    dirty: Vec<(u64, Change)>,
    /// Pages that a failed sync has made clean, and no sync writes any more.
    forgotten: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Naming {
    Create(String, u64),
    Rename(String, String),
    Unlink(String),
}

/// The files below one directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    root: PathBuf,
    inodes: BTreeMap<u64, Inode>,
    /// Names as they are, and as the disk has them.
    names: BTreeMap<String, u64>,
    kept_names: BTreeMap<String, u64>,
    pending: Vec<(u64, Naming)>,
    /// When the log began.
    began: u64,
    pub(crate) syncs: u64,
    pub(crate) failed_syncs: u64,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    pub(crate) dropped: u64,
    pub(crate) kept: u64,
    pub(crate) torn: u64,
}

fn resize(bytes: &mut Vec<u8>, size: usize) {
    bytes.resize(size, 0);
}

fn put(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    if bytes.len() < at + data.len() {
        resize(bytes, at + data.len());
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl Inode {
    fn write(&mut self, moment: u64, at: usize, data: &[u8]) {
        put(&mut self.cache, at, data);
        for page in at / PAGE..(at + data.len()).div_ceil(PAGE) {
            let end = self.cache.len().min((page + 1) * PAGE);
            let content = self.cache[page * PAGE..end].to_vec();
            self.dirty.push((moment, Change::Page(page, content)));
        }
    }

    fn size(&mut self, moment: u64, size: usize) {
        resize(&mut self.cache, size);
        self.dirty.push((moment, Change::Size(size)));
    }

    fn sync(&mut self, until: u64) {
        for (moment, change) in std::mem::take(&mut self.dirty) {
            match change {
                _ if moment >= until => self.dirty.push((moment, change)),
                Change::Page(page, content) => {
                    put(&mut self.disk, page * PAGE, &content);
                    self.forgotten.retain(|(forgotten, _)| *forgotten != page);
                }
                Change::Size(size) => resize(&mut self.disk, size),
            }
        }
    }

    fn fail(&mut self, until: u64) {
        for (moment, change) in std::mem::take(&mut self.dirty) {
            match change {
                Change::Page(page, content) if moment < until => {
                    self.forgotten.push((page, content));
                }
                // Sizes are the file system's own, and written with its journal.
                Change::Page(..) | Change::Size(_) => self.dirty.push((moment, change)),
            }
        }
    }

    /// The power goes: what the disk has, and some of the rest.
    fn cut(&self, chance: &mut Chance, kept_of_8: u64, cut: &mut Cut) -> Vec<u8> {
        let mut disk = self.disk.clone();
        let forgotten =
            self.forgotten.iter().map(|(page, content)| Change::Page(*page, content.clone()));
        let dirty = self.dirty.iter().map(|(_, change)| change.clone());
        for change in forgotten.chain(dirty) {
            if chance.between(0, 7) >= kept_of_8 {
                cut.dropped += 1;
                continue;
            }
            cut.kept += 1;
            match change {
                Change::Size(size) => resize(&mut disk, size),
                Change::Page(page, content) if chance.once_in(6) => {
                    cut.torn += 1;
                    for (at, sector) in content.chunks(SECTOR).enumerate() {
                        if chance.once_in(2) {
                            put(&mut disk, page * PAGE + at * SECTOR, sector);
                        }
                    }
                }
                Change::Page(page, content) => put(&mut disk, page * PAGE, &content),
            }
        }
        disk
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

impl Disk {
    /// What lies below a directory, all of it synced.
    pub(crate) fn of(root: &Path) -> Self {
        let mut disk = Self { root: root.to_owned(), ..Self::default() };
        for entry in fs::read_dir(root).into_iter().flatten() {
            let path = entry.unwrap().path();
            assert!(path.is_file(), "{}: only files are known here", path.display());
            let content = fs::read(&path).unwrap();
            let inode = fs::metadata(&path).unwrap().ino();
            let file = Inode { cache: content.clone(), disk: content, ..Inode::default() };
            disk.inodes.insert(inode, file);
            disk.names.insert(path.display().to_string(), inode);
        }
        disk.kept_names = disk.names.clone();
        disk
    }

    /// Does what a log says; a last record that is cut off was not done.
    pub(crate) fn replay(&mut self, log: &[u8]) {
        let mut at = 0;
        while let Some(head) = log.get(at..at + 32) {
            let length = usize::try_from(number(&head[24..])).unwrap();
            let Some(data) = log.get(at + 32..at + 32 + length) else { return };
            let (kind, inode) = (number(&head[..8]), number(&head[8..16]));
            let place = number(&head[16..24]);
            // A sync says when it began.
            let place = if matches!(kind, 3 | 7 | 8) { self.began + place } else { place };
            self.record(self.began + at as u64, kind, (inode, place), data);
            at += 32 + length;
        }
    }

    /// The process was killed, and the system lives on: another log will follow. What it did last may
    /// not stand in this one.
    pub(crate) fn outlive(&mut self, log: &[u8]) {
        self.replay(log);
        let moment = self.began + log.len() as u64;
        let real = Self::of(&self.root);
        for (name, inode) in &real.names {
            if self.names.insert(name.clone(), *inode) != Some(*inode) {
                self.pending.push((moment, Naming::Create(name.clone(), *inode)));
            }
            let (now, file) = (&real.inodes[inode].cache, self.file(*inode));
            if file.cache.len() != now.len() {
                file.size(moment, now.len());
            }
            for (page, content) in now.chunks(PAGE).enumerate() {
                if file.cache[page * PAGE..][..content.len()] != *content {
                    file.write(moment, page * PAGE, content);
                }
            }
        }
        let gone: Vec<_> = self.names.keys().filter(|it| !real.names.contains_key(*it)).collect();
        for name in gone.into_iter().cloned().collect::<Vec<_>>() {
            self.record(moment, 6, (0, 0), name.as_bytes());
        }
        self.began = moment + 1;
    }

    fn record(&mut self, moment: u64, kind: u64, (inode, at): (u64, u64), data: &[u8]) {
        let text = String::from_utf8_lossy(data).into_owned();
        let place = usize::try_from(at).unwrap();
        match kind {
            1 => self.file(inode).write(moment, place, data),
            2 => self.file(inode).size(moment, place),
            3 => {
                self.syncs += 1;
                self.file(inode).sync(at);
                self.keep_name(inode);
            }
            4 => {
                self.inodes.insert(inode, Inode::default());
                self.names.insert(text.clone(), inode);
                self.pending.push((moment, Naming::Create(text, inode)));
            }
            5 => {
                let (from, to) = text.split_once('\0').expect("two names");
                let naming = Naming::Rename(from.to_owned(), to.to_owned());
                naming.apply(&mut self.names);
                self.pending.push((moment, naming));
            }
            6 => {
                let naming = Naming::Unlink(text);
                naming.apply(&mut self.names);
                self.pending.push((moment, naming));
            }
            7 => {
                for (moment, naming) in std::mem::take(&mut self.pending) {
                    if moment < at {
                        naming.apply(&mut self.kept_names);
                    } else {
                        self.pending.push((moment, naming));
                    }
                }
            }
            8 => {
                self.failed_syncs += 1;
                self.file(inode).fail(at);
            }
            9 => {
                let file = self.file(inode);
                let size = file.cache.len().max(place);
                file.size(moment, size);
            }
            other => panic!("no such record: {other}"),
        }
    }

    fn file(&mut self, inode: u64) -> &mut Inode {
        self.inodes.entry(inode).or_default()
    }

    /// A new file that is synced keeps its name.
    fn keep_name(&mut self, inode: u64) {
        let kept = &mut self.kept_names;
        self.pending.retain(|(_, naming)| match naming {
            Naming::Create(_, created) if *created == inode => {
                naming.apply(kept);
                false
            }
            Naming::Create(..) | Naming::Rename(..) | Naming::Unlink(_) => true,
        });
    }

    /// What the process sees.
    fn seen(&self) -> BTreeMap<String, &[u8]> {
        let content = |inode: &u64| self.inodes.get(inode).map_or(&[][..], |file| &file.cache);
        self.names.iter().map(|(name, inode)| (name.clone(), content(inode))).collect()
    }

    /// Whether the files below the directory are what the log says: else it has not seen everything.
    pub(crate) fn differences(&self) -> Vec<String> {
        let real = Self::of(&self.root);
        let (real, seen) = (real.seen(), self.seen());
        let names: BTreeSet<&String> = real.keys().chain(seen.keys()).collect();
        names
            .into_iter()
            .filter(|name| real.get(*name) != seen.get(*name))
            .map(|name| {
                let length =
                    |files: &BTreeMap<String, &[u8]>| files.get(name).map(|file| file.len());
                format!("{name}: {:?} bytes, logged {:?}", length(&real), length(&seen))
            })
            .collect()
    }

    /// The power goes: the directory becomes what the disk has.
    pub(crate) fn cut(&self, chance: &mut Chance) -> Cut {
        let mut cut = Cut::default();
        let kept_of_8 = chance.pick(&[0, 0, 1, 4, 7, 8]);
        let mut names = self.kept_names.clone();
        for (_, naming) in &self.pending[..chance.below(self.pending.len() + 1)] {
            naming.apply(&mut names);
        }
        for name in self.names.keys() {
            let _ = fs::remove_file(name);
        }
        for (name, inode) in names {
            let content = self.inodes[&inode].cut(chance, kept_of_8, &mut cut);
            fs::write(name, content).unwrap();
        }
        cut
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, inode) => drop(names.insert(name.clone(), *inode)),
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Unlink(name) => drop(names.remove(name)),
        }
    }
}

/// Builds the library; `None` without a C compiler.
pub(crate) fn shim(dir: &Path) -> Option<PathBuf> {
    let library = dir.join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(source);
    let done = cc.arg("-ldl").arg("-lpthread").output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u64, inode: u64, at: u64, data: &[u8]) -> Vec<u8> {
        let numbers = [kind, inode, at, data.len() as u64];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(data);
        bytes
    }

    /// All states that a file may have after a cut.
    fn states(log: &[Vec<u8>], name: &str) -> BTreeSet<Option<Vec<u8>>> {
        let dir = tempfile::tempdir().unwrap();
        let mut states = BTreeSet::new();
        for seed in 0..200 {
            for file in fs::read_dir(dir.path()).unwrap() {
                fs::remove_file(file.unwrap().path()).unwrap();
            }
            let mut disk = Disk::of(dir.path());
            let log: Vec<u8> = log.concat();
            let root = dir.path().display().to_string();
            let mut at = 0;
            // Names in the log are absolute; those of the tests are below the directory.
            while at < log.len() {
                let length = usize::try_from(number(&log[at + 24..at + 32])).unwrap();
                let kind = number(&log[at..at + 8]);
                let data = &log[at + 32..at + 32 + length];
                let named = |data: &[u8]| {
                    let text = String::from_utf8_lossy(data).into_owned();
                    text.split('\0')
                        .map(|name| format!("{root}/{name}"))
                        .collect::<Vec<_>>()
                        .join("\0")
                };
                let named =
                    if (4..=6).contains(&kind) { named(data).into_bytes() } else { data.to_vec() };
                let numbers = (number(&log[at + 8..at + 16]), number(&log[at + 16..at + 24]));
                disk.record(at as u64, kind, numbers, &named);
                at += 32 + length;
            }
            disk.cut(&mut Chance::new(seed));
            states.insert(fs::read(dir.path().join(name)).ok());
        }
        states
    }

    #[test]
    fn what_was_synced_stays() {
        let log = [
            record(4, 9, 0, b"f"),
            record(1, 9, 0, b"one"),
            record(3, 9, u64::MAX, b""),
            record(1, 9, 3, b"two"),
        ];
        let two: BTreeSet<_> =
            [b"one".to_vec(), b"onetwo".to_vec()].into_iter().map(Some).collect();
        assert_eq!(states(&log, "f"), two);
    }

    #[test]
    fn a_sync_reaches_only_what_was_done_before_it_began() {
        let create = record(4, 9, 0, b"f");
        let first = record(1, 9, 0, b"one");
        let began = (create.len() + first.len()) as u64;
        let log = [create, first, record(1, 9, 0, b"two"), record(3, 9, began, b"")];
        let both: BTreeSet<_> = [b"one".to_vec(), b"two".to_vec()].into_iter().map(Some).collect();
        assert_eq!(states(&log, "f"), both);
    }

    #[test]
    fn what_was_not_synced_may_be_lost_with_its_name() {
        let log = [record(4, 9, 0, b"f"), record(1, 9, 0, b"one")];
        let all: BTreeSet<_> = [None, Some(Vec::new()), Some(b"one".to_vec())].into();
        assert_eq!(states(&log, "f"), all);
    }

    #[test]
    fn a_new_name_needs_the_sync_of_its_directory() {
        let mut log = vec![
            record(4, 9, 0, b"f"),
            record(1, 9, 0, b"one"),
            record(3, 9, u64::MAX, b""),
            record(5, 0, 0, b"f\0g"),
        ];
        let one = Some(b"one".to_vec());
        assert_eq!(states(&log, "g"), [None, one.clone()].into());
        log.push(record(7, 1, u64::MAX, b""));
        assert_eq!(states(&log, "g"), [one].into());
        assert_eq!(states(&log, "f"), [None].into());
    }

    #[test]
    fn after_a_failed_sync_a_good_one_keeps_nothing_of_before() {
        let mut log = vec![
            record(4, 9, 0, b"f"),
            record(1, 9, 0, b"one"),
            record(8, 9, u64::MAX, b""),
            record(3, 9, u64::MAX, b""),
        ];
        assert_eq!(states(&log, "f"), [Some(Vec::new()), Some(b"one".to_vec())].into());
        log.push(record(1, 9, 0, b"one"));
        log.push(record(3, 9, u64::MAX, b""));
        assert_eq!(states(&log, "f"), [Some(b"one".to_vec())].into());
    }

    #[test]
    fn pages_are_kept_each_for_itself_and_may_tear() {
        let (old, new) = (vec![b'o'; 2 * PAGE], vec![b'n'; 2 * PAGE]);
        let log = [
            record(4, 9, 0, b"f"),
            record(1, 9, 0, &old),
            record(3, 9, u64::MAX, b""),
            record(1, 9, 0, &new),
        ];
        let states = states(&log, "f");
        let halves = |file: &Vec<u8>| (file[..PAGE] == new[..PAGE], file[PAGE..] == new[PAGE..]);
        let all: BTreeSet<_> = states.iter().flatten().map(halves).collect();
        assert_eq!(all.len(), 4);
        let torn = |file: &&Vec<u8>| file[..PAGE].contains(&b'o') && file[..PAGE].contains(&b'n');
        assert!(states.iter().flatten().any(|file| torn(&file)));
    }
}
