//! `restore`: a backup in the place of the store, or parts of it into the running broker.

use std::io::Write;

use serde_json::json;

use super::RestoreArgs;
use super::export::counted;
use super::import::{send, told};
use super::progress::Progress;
use crate::admin::exchange::Entry;
use crate::cli::boot::{Exit, Failure, Kept, Selection, TakeError};
use crate::cli::report::{Report, Seen, State};
use crate::cli::verbs::Errand;

/// Restores.
pub(crate) fn restore(errand: &Errand<'_>, args: &RestoreArgs) -> Result<Report, Failure> {
    match args.selection() {
        Some(selection) => parts(errand, args, &selection),
        None => whole(errand, args),
    }
}

/// The backup takes the place of the store.
fn whole(errand: &Errand<'_>, args: &RestoreArgs) -> Result<Report, Failure> {
    if args.replace {
        let message = "--replace is for parts: --retained, --sessions, --client ID";
        return Err(Failure::new(Exit::Usage, "usage", message)
            .hint("without them the whole store is replaced, and the old one kept aside"));
    }
    let mut progress = Progress::new(errand.voice);
    let restored = errand
        .boot
        .restore(&errand.place, &args.file, &mut |bytes| progress.bytes("copied", bytes, None))?;
    drop(progress);
    let mut text = format!("restored {} from {}", counted(&restored.totals), args.file.display());
    if let Some(aside) = &restored.aside {
        text += &format!("\nwhat was there before is now {}", aside.display());
    }
    let seen = Seen { state: State::Stopped, ..Seen::default() };
    Ok(Report {
        changed: true,
        result: Some(json!({
            "file": args.file.display().to_string(),
            "restored": restored.totals,
            "aside": restored.aside.map(|path| path.display().to_string()),
        })),
        ..Report::of(seen, text)
    })
}

/// Parts of the backup go into the running broker.
fn parts(
    errand: &Errand<'_>,
    args: &RestoreArgs,
    selection: &Selection,
) -> Result<Report, Failure> {
    let mut alive = errand.alive()?;
    let mut progress = Progress::new(errand.voice);
    let kept = Kept::Copy(args.file.clone());
    let mut found = 0;
    let imported = send(&mut alive, args.replace, |out: &mut dyn Write| {
        let read = errand.boot.read_kept(&kept, selection, &mut |entry: Entry| {
            found += u64::from(!matches!(entry, Entry::Export(_) | Entry::End(_)));
            progress.count("restored", found);
            out.write_all(&entry.line())
        });
        read.map_err(|error| match error {
            TakeError::Kept(failure) => failure,
            TakeError::Taker(error) => {
                let message = format!("the broker takes no more lines: {error}");
                Failure::new(Exit::Failed, "lost", message)
            }
        })
    })?;
    drop(progress);
    if let (0, Some(client_id)) = (found, &selection.client_id) {
        let message = format!("{} has no session of {client_id:?}", args.file.display());
        return Err(Failure::new(Exit::Failed, "not_found", message)
            .hint("mqttd export --from FILE --sessions lists them"));
    }
    Ok(told(&alive, &imported))
}
