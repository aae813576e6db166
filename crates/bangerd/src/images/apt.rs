//! Where the host's own apt finds the distribution, so that a bootstrap uses the same mirror.
//!
//! Both forms of sources.list(5) are read as text; what is not understood is left out, and then
//! `mmdebstrap` uses the mirrors that it has built in.

use std::{fs, path::Path};

/// The suites beside the release itself that belong into a system that is kept up to date.
const BESIDE: [&str; 2] = ["-updates", "-security"];
/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// One place of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    uri: String,
    suite: String,
    signed_by: Option<String>,
}

/// Lines for `mmdebstrap`, in the form of sources.list, for the release of this code name; none
/// when the host does not say where the release itself is.
pub(crate) fn mirrors(etc_apt: &Path, codename: &str) -> Vec<String> {
    let mut places = Vec::new();
    places.extend(read(&etc_apt.join("sources.list")).map(|text| one_line(&text)));
    let mut parts: Vec<_> = fs::read_dir(etc_apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    parts.sort();
    for path in parts {
        let parse = match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => one_line,
            Some("sources") => deb822,
            _ => continue,
        };
        places.extend(read(&path).map(|text| parse(&text)));
    }
    lines(places.into_iter().flatten(), codename)
}

fn read(path: &Path) -> Option<String> {
    let small = path
        .metadata()
        .is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
    small.then(|| fs::read_to_string(path).ok()).flatten()
}

fn lines(places: impl Iterator<Item = Place>, codename: &str) -> Vec<String> {
    let beside = BESIDE.map(|suffix| format!("{codename}{suffix}"));
    let mut wanted: Vec<Place> = Vec::new();
    for place in places {
        let belongs = place.suite == codename || beside.contains(&place.suite);
        let reachable = ["http://", "https://"]
            .iter()
            .any(|scheme| place.uri.starts_with(scheme));
        if belongs && reachable && !wanted.iter().any(|other| other.suite == place.suite) {
            wanted.push(place);
        }
    }
    if !wanted.iter().any(|place| place.suite == codename) {
        return Vec::new();
    }
    let line = |place: Place| {
        let signed = place
            .signed_by
            .map(|path| format!("[signed-by={path}] "))
            .unwrap_or_default();
        format!("deb {signed}{} {} main", place.uri, place.suite)
    };
    wanted.into_iter().map(line).collect()
}

/// `deb [options] URI SUITE COMPONENT…`, one per line.
fn one_line(text: &str) -> Vec<Place> {
    let place = |line: &str| {
        let line = line.split('#').next()?.trim().strip_prefix("deb")?;
        let line = line.strip_prefix([' ', '\t'])?.trim_start();
        let (options, line) = match line.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", line),
        };
        let mut words = line.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let option = options
            .split_whitespace()
            .find_map(|word| word.strip_prefix("signed-by="));
        words.any(|component| component == "main").then(|| Place {
            uri: uri.to_owned(),
            suite: suite.to_owned(),
            signed_by: key_file(option),
        })
    };
    text.lines().filter_map(place).collect()
}

/// Paragraphs of `Field: value`, each the product of its URIs and suites.
fn deb822(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let field = |wanted: &str| {
            let mut value = String::new();
            let mut within = false;
            for line in paragraph {
                if line.starts_with([' ', '\t']) {
                    if within {
                        value.push_str(line);
                    }
                } else if let Some((name, rest)) = line.split_once(':') {
                    within = name.eq_ignore_ascii_case(wanted);
                    if within {
                        value = rest.to_owned();
                    }
                }
            }
            value
        };
        let has = |name, word| field(name).split_whitespace().any(|found| found == word);
        let off = ["no", "false", "0"].contains(&field("Enabled").trim());
        if off || !has("Types", "deb") || !has("Components", "main") {
            continue;
        }
        let signed_by = field("Signed-By");
        for uri in field("URIs").split_whitespace() {
            places.extend(field("Suites").split_whitespace().map(|suite| Place {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
                signed_by: key_file(Some(signed_by.trim())),
            }));
        }
    }
    places
}

/// A key that is a file; keys may also be given by fingerprint or in full.
fn key_file(value: Option<&str>) -> Option<String> {
    value
        .filter(|path| {
            path.starts_with('/') && !path.contains(char::is_whitespace) && !path.contains(']')
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let text = "# deb http://no x main\ndeb [arch=amd64 signed-by=/k.gpg] http://m/debian x main contrib # why\ndeb-src http://s x main\n";
        assert_eq!(
            lines(one_line(text).into_iter(), "x"),
            ["deb [signed-by=/k.gpg] http://m/debian x main"]
        );
        let text = "Types: deb\n# note\nURIs: http://m/debian\nSuites: x x-updates\n y\nComponents: main\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://m/sec\nSuites: x-security\nComponents: main\nEnabled: no\n";
        let expected = [
            "deb [signed-by=/k.gpg] http://m/debian x main",
            "deb [signed-by=/k.gpg] http://m/debian x-updates main",
        ];
        assert_eq!(lines(deb822(text).into_iter(), "x"), expected);
    }

    #[test]
    fn a_host_without_the_release_itself_gives_nothing() {
        for text in [
            "deb http://m x-updates main",
            "deb cdrom:[disc]/ x main",
            "deb file:/m x main",
            "deb http://m x contrib",
            "debris",
            "deb [",
            "",
        ] {
            assert!(lines(one_line(text).into_iter(), "x").is_empty(), "{text}");
        }
        assert!(mirrors(Path::new("/nonexistent"), "x").is_empty());
    }

    #[test]
    fn a_key_in_full_is_left_out() {
        let text = "Types: deb\nURIs: http://m\nSuites: x\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n";
        assert_eq!(
            lines(deb822(text).into_iter(), "x"),
            ["deb http://m x main"]
        );
    }
}
