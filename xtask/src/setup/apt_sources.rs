//! Reading apt's own configuration, in both of its forms, to find the machine's Debian mirror and to
//! describe its backports suite. Pure: text in, entries out. See sources.list(5).

/// One configured source of binary packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// Where it is fetched from, as written.
    pub(crate) uris: Vec<String>,
    /// Suites, e.g. `bookworm` and `bookworm-updates`.
    pub(crate) suites: Vec<String>,
    /// Components, e.g. `main`.
    pub(crate) components: Vec<String>,
    /// The key that signs it: a path, a fingerprint, or a whole key of several lines.
    pub(crate) signed_by: Option<String>,
}

impl Source {
    /// The text of a deb822 file with this one source.
    pub(crate) fn stanza(&self) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: {}\n",
            self.uris.join(" "),
            self.suites.join(" "),
            self.components.join(" ")
        );
        if let Some(key) = &self.signed_by {
            text.push_str(&format!(
                "Signed-By:{}{key}\n",
                if key.starts_with('\n') { "" } else { " " }
            ));
        }
        text
    }
}

/// The sources of a deb822 file (`*.sources`) that are switched on and give binary packages.
pub(crate) fn parse_deb822(text: &str) -> Vec<Source> {
    let mut stanzas: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(stanza) = stanzas.last_mut() else {
            break;
        };
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    stanzas
        .iter()
        .filter_map(|fields| from_fields(fields))
        .collect()
}

fn from_fields(fields: &[(String, String)]) -> Option<Source> {
    let field = |name: &str| {
        let found = fields.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let words = |name: &str| -> Vec<String> {
        let value = field(name).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    let off = field("enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
    if off || !words("types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: field("signed-by").map(str::to_owned),
    })
}

/// The sources of a one-line file (`*.list`): `deb [option=value …] URI SUITE COMPONENT…`.
pub(crate) fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(from_line).collect()
}

fn from_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracket) => bracket.split_once(']')?,
        None => ("", rest),
    };
    let mut options = options.split_whitespace();
    let signed_by = options.find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.map(str::to_owned),
    })
}

/// The backports suite of a release.
pub(crate) fn backports_suite(codename: &str) -> String {
    format!("{codename}-backports")
}

/// Whether the backports suite of the release is configured already.
pub(crate) fn has_backports(sources: &[Source], codename: &str) -> bool {
    let suite = backports_suite(codename);
    sources.iter().any(|source| source.suites.contains(&suite))
}

/// The backports source at the machine's own mirror: the first source of the release's main suite,
/// with that one suite replaced. None when no such mirror is configured.
pub(crate) fn derive_backports(sources: &[Source], codename: &str) -> Option<Source> {
    let mirror = sources.iter().find(|source| {
        source.suites.iter().any(|suite| suite == codename)
            && source
                .components
                .iter()
                .any(|component| component == "main")
    })?;
    Some(Source {
        suites: vec![backports_suite(codename)],
        ..mirror.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb
# a comment inside of a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
";

    #[test]
    fn a_deb822_file_gives_its_stanzas() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(
            sources[0].signed_by.as_deref(),
            Some("/usr/share/keyrings/archive.gpg")
        );
        assert_eq!(sources[1].signed_by, None);
    }

    #[test]
    fn what_is_switched_off_or_gives_sources_only_is_left_out() {
        let off = "Enabled: no\nTypes: deb\nURIs: u\nSuites: s\nComponents: main\n";
        let source_only = "Types: deb-src\nURIs: u\nSuites: s\nComponents: main\n";
        assert!(parse_deb822(off).is_empty() && parse_deb822(source_only).is_empty());
        assert!(
            parse_one_line("deb-src http://m stable main\n# deb http://m stable main\n").is_empty()
        );
    }

    #[test]
    fn a_one_line_file_gives_its_lines_with_their_options() {
        let sources = parse_one_line(
            "deb [arch=amd64 signed-by=/k.gpg] http://m/debian bookworm main non-free # ours\n\
             deb http://m/debian bookworm-updates main\n",
        );
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].uris, ["http://m/debian"]);
        assert_eq!(sources[0].components, ["main", "non-free"]);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
    }

    #[test]
    fn lines_cut_short_are_passed_over() {
        for line in [
            "deb",
            "deb ",
            "deb http://m",
            "deb [arch=amd64",
            "debris http://m s main",
        ] {
            assert!(parse_one_line(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn backports_are_derived_from_the_mirror_of_the_main_suite() {
        let derived = derive_backports(&parse_deb822(DEB822), "bookworm").unwrap();
        assert_eq!(
            derived.stanza(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\
             Components: main contrib\nSigned-By: /usr/share/keyrings/archive.gpg\n"
        );
        assert_eq!(derive_backports(&parse_deb822(DEB822), "trixie"), None);
    }

    #[test]
    fn a_written_stanza_is_read_back_equal() {
        let mut derived = derive_backports(&parse_deb822(DEB822), "bookworm").unwrap();
        assert_eq!(parse_deb822(&derived.stanza()), [derived.clone()]);
        derived.signed_by = Some("\n -----BEGIN KEY-----\n .\n abc".to_owned());
        assert_eq!(parse_deb822(&derived.stanza()), [derived]);
    }

    #[test]
    fn configured_backports_are_recognised() {
        let sources = parse_one_line("deb http://m/debian bookworm-backports main");
        assert!(has_backports(&sources, "bookworm"));
        assert!(!has_backports(&sources, "trixie"));
        assert!(!has_backports(&parse_deb822(DEB822), "bookworm"));
    }
}
