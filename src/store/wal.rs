//! The file beside the database in which SQLite keeps commits until they are moved into it.
//!
//! SQLite cuts that file silently at the first frame that is not right: so it must when a commit was
//! torn by a power cut, which nobody was told of. But when commits follow that somebody was told of,
//! they would vanish too. [`inspect`] tells the two apart before SQLite sees the file. [`Meter`]
//! counts what was written, by the headers of the frames.
//!
//! The format is described at <https://www.sqlite.org/fileformat2.html#walformat>.

mod meter;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) use meter::Meter;

use super::StoreError;
use super::schema::{PAGE_BYTES, PAGE_LEN, SOFT_PAGE};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Bytes of a page and its header.
pub(super) const FRAME_BYTES: u64 = PAGE_BYTES + FRAME_HEADER_BYTES as u64;
const MAGIC: u32 = 0x377f_0682;

/// What a look at the file showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inspected {
    /// Frames of complete commits.
    pub(super) sound_frames: u64,
    /// Bytes behind them of a commit that was not completed.
    pub(super) torn_bytes: u64,
    /// Commits that were on the disk once, and are no longer whole.
    pub(super) lost: Option<Lost>,
}

/// Where commits are damaged that somebody was told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Where in the file.
    pub(super) offset: u64,
    /// Complete commits behind that place; `None` when that cannot be told.
    pub(super) commits: Option<u64>,
}

impl Lost {
    pub(super) fn error(&self, path: &Path) -> StoreError {
        let behind = match self.commits {
            Some(commits) => format!("{commits} complete commits stand behind that place"),
            None => "it holds commits that are not in the database yet".to_owned(),
        };
        let what = format!(
            "its checksum is wrong at byte {}, and {behind}; `mqttd store repair` keeps what is \
             sound and says what is lost",
            self.offset
        );
        StoreError::Damaged { path: path.to_owned(), what }
    }
}

/// The file's name.
pub(super) fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

type Sums = [u32; 2];

/// The file's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    big_endian: bool,
    salt: [u8; 8],
    sums: Sums,
}

impl Header {
    /// `None` when it is not right.
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        if magic & !1 != MAGIC || u64::from(word(bytes, 8)) != PAGE_BYTES {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let sums = checksum(big_endian, [0; 2], &bytes[..24]);
        let salt = *bytes[16..].first_chunk()?;
        (sums == [word(bytes, 24), word(bytes, 28)]).then_some(Self { big_endian, salt, sums })
    }
}

/// A frame as it stands in the file, right or not.
pub(super) struct Frame {
    bytes: Box<[u8]>,
}

impl Frame {
    fn new() -> Self {
        Self { bytes: vec![0; FRAME_HEADER_BYTES + PAGE_LEN].into() }
    }

    /// `false` at the end of the file.
    fn read(&mut self, file: &mut impl Read) -> io::Result<bool> {
        match file.read_exact(&mut self.bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn page_number(&self) -> u32 {
        word(&self.bytes, 0)
    }

    /// Pages of the database behind this commit; zero when this is not the last of one.
    pub(super) fn commit_pages(&self) -> u32 {
        word(&self.bytes, 4)
    }

    fn salt(&self) -> &[u8] {
        &self.bytes[8..16]
    }

    fn sums(&self) -> Sums {
        [word(&self.bytes, 16), word(&self.bytes, 20)]
    }

    pub(super) fn page(&self) -> &[u8] {
        &self.bytes[FRAME_HEADER_BYTES..]
    }

    /// Whether it is right behind a frame of these sums.
    fn follows(&self, header: &Header, sums: Sums) -> bool {
        let sums = checksum(header.big_endian, sums, &self.bytes[..8]);
        self.salt() == header.salt && checksum(header.big_endian, sums, self.page()) == self.sums()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
}

fn checksum(big_endian: bool, sums: Sums, bytes: &[u8]) -> Sums {
    let [mut first, mut second] = sums;
    let (words, _) = bytes.as_chunks::<8>();
    for [a, b, c, d, e, f, g, h] in words {
        let (left, right) = ([*a, *b, *c, *d], [*e, *f, *g, *h]);
        let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        first = first.wrapping_add(read(left)).wrapping_add(second);
        second = second.wrapping_add(read(right)).wrapping_add(first);
    }
    [first, second]
}

/// Looks at the file beside a database; nothing is there is fine.
pub(super) fn inspect(database: &Path) -> Result<Inspected, StoreError> {
    let failed = |error| StoreError::failed("cannot read", &beside(database), &error);
    let Some(walk) = walk(database, |_, _| ()).map_err(failed)? else {
        return Ok(Inspected::default());
    };
    let inspected = walk.inspected();
    if walk.has_header {
        return Ok(inspected);
    }
    // The file is begun anew when all it holds is in the database; its first commit shares a block
    // with the header and may take it along. So a header that is not right is no loss when no other
    // commit stands behind it, or when the database has what stands there.
    let mut commits = Commits::default();
    if inspected.lost.is_none() || commits.read(database, true).map_err(failed)?.is_empty() {
        return Ok(Inspected::default());
    }
    let lost = Lost { offset: 0, commits: None };
    Ok(Inspected { lost: Some(lost), ..Inspected::default() })
}

/// The latest pages of complete commits.
#[derive(Default)]
struct Commits {
    pages: BTreeMap<u32, Box<[u8]>>,
    /// Pages of the commit under way.
    next: BTreeMap<u32, Box<[u8]>>,
    /// Pages of the database behind the last one.
    size: u32,
}

impl Commits {
    /// Reads those that the database does not have: none or all. `behind`: also those behind a place
    /// that is damaged.
    fn read(&mut self, database: &Path, behind: bool) -> io::Result<&BTreeMap<u32, Box<[u8]>>> {
        let walked = walk(database, |frame, sound| {
            if sound || behind {
                self.next.insert(frame.page_number(), frame.page().into());
                if frame.commit_pages() > 0 {
                    self.size = frame.commit_pages();
                    self.pages.append(&mut self.next);
                }
            }
        })?;
        self.pages.retain(|number, _| (1..=self.size).contains(number));
        let damaged = walked.map_or_else(Vec::new, |walk| walk.damaged_pages);
        let file = File::open(database)?;
        let mut page = vec![0; PAGE_LEN];
        let in_database = self.pages.iter().all(|(number, latest)| {
            let read = file.read_exact_at(&mut page, (u64::from(*number) - 1) * PAGE_BYTES);
            // What stands here of a page whose frame is damaged may not be the latest.
            damaged.contains(number) || read.is_ok() && page[..] == latest[..]
        });
        if in_database {
            self.pages.clear();
        }
        Ok(&self.pages)
    }
}

/// Writes the pages of complete commits that `database` does not have into `copy`, a copy of it.
/// `behind`: also those behind a place that is damaged.
pub(super) fn complete(database: &Path, copy: &File, behind: bool) -> io::Result<()> {
    let mut commits = Commits::default();
    if commits.read(database, behind)?.is_empty() {
        return Ok(());
    }
    for (number, page) in &commits.pages {
        copy.write_all_at(page, (u64::from(*number) - 1) * PAGE_BYTES)?;
    }
    copy.set_len(u64::from(commits.size) * PAGE_BYTES)
}

/// Goes over the file, if there is one with frames: hands over each frame that is right behind the
/// one before it, and whether all before it are too.
fn walk(database: &Path, each: impl FnMut(&Frame, bool)) -> io::Result<Option<Walk>> {
    let file = match File::open(beside(database)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER_BYTES];
    match reader.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    if let Some(header) = Header::read(&header) {
        let mut walk = Walk::new(header);
        walk.run(&mut reader, each)?;
        return Ok(Some(walk));
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let Some((header, mut frames)) = first_sound(&bytes) else { return Ok(None) };
    let mut walk = Walk::new(header);
    walk.has_header = false;
    walk.broken = Some(Broken::default());
    walk.run(&mut frames, each)?;
    Ok(Some(walk))
}

/// The first frame that is right behind the one before it: what the header would say of it, and the
/// frames from it on.
fn first_sound(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let (mut frame, mut before) = (Frame::new(), Frame::new());
    let mut rest = bytes;
    before.read(&mut rest).ok()?.then_some(())?;
    loop {
        let frames = rest;
        frame.read(&mut rest).ok()?.then_some(())?;
        let salt = *before.salt().first_chunk()?;
        let big_endian = cfg!(target_endian = "big");
        let header = Header { big_endian, salt, sums: before.sums() };
        if frame.follows(&header, before.sums()) {
            return Some((header, frames));
        }
        std::mem::swap(&mut frame, &mut before);
    }
}

/// A walk over the frames.
struct Walk {
    header: Header,
    /// Whether that stands in the file.
    has_header: bool,
    /// Frames seen.
    frames: u64,
    sound_frames: u64,
    sums: Sums,
    /// The first frame that is not right, and the commits behind it.
    broken: Option<Broken>,
    torn_frames: u64,
    /// Pages of frames that are not right.
    damaged_pages: Vec<u32>,
}

#[derive(Debug, Default)]
struct Broken {
    at: u64,
    /// For each complete commit behind, whether it was synced before the next one began.
    synced: Vec<bool>,
    /// Whether the commit under way may not have been.
    soft: bool,
}

impl Walk {
    fn new(header: Header) -> Self {
        Self {
            header,
            has_header: true,
            frames: 0,
            sound_frames: 0,
            sums: header.sums,
            broken: None,
            torn_frames: 0,
            damaged_pages: Vec::new(),
        }
    }

    /// Goes to the end; hands over each frame that is right behind the one before it.
    fn run(
        &mut self,
        reader: &mut impl Read,
        mut each: impl FnMut(&Frame, bool),
    ) -> io::Result<()> {
        let (mut frame, mut before) = (Frame::new(), Frame::new());
        let mut soft = false;
        while frame.read(reader)? {
            let number = self.frames;
            self.frames += 1;
            let ours = frame.salt() == self.header.salt;
            let right = frame.follows(&self.header, self.sums);
            if right {
                each(&frame, self.broken.is_none());
            } else if ours {
                self.damaged_pages.push(frame.page_number());
            }
            if ours {
                self.torn_frames += 1;
            }
            // A commit is filled up to the end of a block with copies of its last page.
            let filler = frame.commit_pages() > 0
                && frame.page_number() == before.page_number()
                && frame.commit_pages() == before.commit_pages()
                && frame.page() == before.page();
            soft |= frame.page_number() == SOFT_PAGE || !ours;
            let commits = frame.commit_pages() > 0 && right;
            match &mut self.broken {
                None if !right => {
                    self.broken = Some(Broken { at: number, synced: Vec::new(), soft });
                }
                None => {
                    if commits {
                        self.sound_frames = number + 1;
                        self.torn_frames = 0;
                        soft = false;
                    }
                }
                Some(broken) => {
                    broken.soft |= soft;
                    if commits && !filler {
                        broken.synced.push(!broken.soft);
                        broken.soft = false;
                    }
                    soft = false;
                }
            }
            self.sums = frame.sums();
            std::mem::swap(&mut frame, &mut before);
        }
        Ok(())
    }

    fn inspected(&self) -> Inspected {
        let lost = self.broken.as_ref().and_then(|broken| {
            let (_, but_the_last) = broken.synced.split_last()?;
            but_the_last.contains(&true).then(|| Lost {
                offset: HEADER_BYTES as u64 + broken.at * FRAME_BYTES,
                commits: Some(broken.synced.len() as u64),
            })
        });
        let torn_bytes = self.torn_frames * FRAME_BYTES;
        Inspected { sound_frames: self.sound_frames, torn_bytes, lost }
    }
}
