use super::*;
use banger_proto::owner::time::UtcTime;
use std::path::Path;

fn layout(directory: &Path) -> Layout {
    let at = |name: &str| directory.join(name);
    Layout {
        config: at("config"),
        state: at("state"),
        cache: at("cache"),
        runtime: at("run"),
    }
}

fn entry(target: &str) -> Entry {
    Entry {
        target: Some(target.into()),
        ..Entry::at(UtcTime::from_ms(0))
    }
}

fn lines(layout: &Layout) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(layout.audit_log()).unwrap_or_default();
    let line = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(line).collect()
}

#[tokio::test]
async fn what_could_not_be_written_is_counted_and_said_once_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = layout(directory.path());
    let audit = Audit::of(&layout);
    // There is no state directory: nothing can be written.
    audit.put(entry("one"));
    audit.put(entry("two"));
    audit.drained().await;
    assert_eq!(audit.lost(), 2);
    std::fs::create_dir(&layout.state).expect("made");
    audit.put(entry("three"));
    audit.put(entry("four"));
    audit.drained().await;
    let lines = lines(&layout);
    assert_eq!(lines[0]["lost"], 2, "{lines:?}");
    assert_eq!(lines[1]["target"], "three");
    assert_eq!(lines[2]["target"], "four");
    assert_eq!((lines.len(), audit.lost()), (3, 2));
}

#[tokio::test]
async fn the_next_daemon_adds_to_what_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let layout = layout(directory.path());
    std::fs::create_dir(&layout.state).expect("made");
    for target in ["one", "two"] {
        let audit = Audit::of(&layout);
        audit.put(entry(target));
        audit.drained().await;
    }
    let targets: Vec<_> = lines(&layout)
        .iter()
        .map(|line| line["target"].clone())
        .collect();
    assert_eq!(targets, ["one", "two"]);
}
