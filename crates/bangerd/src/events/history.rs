//! Events as they lie in `events.jsonl`.

use crate::lines::lines_of;
use banger_proto::owner::event::Event;
use std::io;
use std::path::Path;

/// More than a file can hold when it is begun anew.
const MOST: u64 = 2 * super::feed::LIMIT;

/// The events with a number beyond `after`, oldest first. A line that cannot be read was torn, or
/// written by nobody: it hides no other.
///
/// # Errors
/// When a file is there and cannot be read.
pub(super) fn read(path: &Path, after: u64) -> io::Result<Vec<Event>> {
    let text = lines_of(path, MOST)?;
    let events = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(events.filter(|event: &Event| event.seq > after).collect())
}

/// The number of the newest event, 0 where there is none.
///
/// # Errors
/// When a file is there and cannot be read.
pub(super) fn newest(path: &Path) -> io::Result<u64> {
    let text = lines_of(path, MOST)?;
    let mut events = text.lines().rev().map(serde_json::from_str::<Event>);
    Ok(events.find_map(Result::ok).map_or(0, |event| event.seq))
}
