//! What users and operators must be able to read about: environment variables and state paths.

use super::Finding;
use super::files::Files;
use std::collections::BTreeMap;

/// Where every path is listed.
const STATE: &str = "docs/state.md";
/// Where variables may be listed too.
const CONFIGURATION: &str = "docs/configuration.md";
/// Where the variables of tests are listed.
const TESTING: &str = "docs/testing.md";
/// Where the paths are made.
const LAYOUT: &str = "crates/bangerd/src/layout.rs";

/// Checks the product's sources against the pages.
pub(crate) fn check(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    let product = files.all().filter(|(path, _)| is_product_source(path));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (path, content) in product {
        for (index, line) in content.lines().enumerate() {
            for name in variables(line) {
                seen.entry(name)
                    .or_insert_with(|| format!("{path}:{}", index + 1));
            }
        }
    }
    for (name, place) in seen {
        let pages: &[&str] = if name.starts_with("BANGER_TEST_") {
            &[TESTING]
        } else {
            &[STATE, CONFIGURATION]
        };
        if !pages.iter().any(|page| mentions(files, page, &name)) {
            findings.push(Finding::new(
                &place,
                None,
                format!("the environment variable {name} is documented nowhere"),
                format!("describe `{name}` in {}", pages.join(" or ")),
            ));
        }
    }
    findings.extend(check_layout(files));
    findings
}

fn is_product_source(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("crates")
        && parts.next().is_some_and(|name| name != "banger-testkit")
        && parts.next() == Some("src")
        && path.ends_with(".rs")
}

/// Whether a page names something in code style, as it stands in the source.
fn mentions(files: &Files, page: &str, name: &str) -> bool {
    files
        .text(page)
        .is_some_and(|text| text.contains(&format!("`{name}`")))
}

/// The variables that a line of Rust reads or names: our own wherever they stand in a literal, and
/// any that is given to a reading call or to an argument's `env`.
fn variables(line: &str) -> Vec<String> {
    if line.trim_start().starts_with("//") {
        return Vec::new();
    }
    let readers = ["var(\"", "var_os(\"", "env = \""];
    let read = readers.iter().flat_map(|reader| line.split(reader).skip(1));
    let ours = line
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|literal| literal.starts_with("BANGER_"));
    let names = read.chain(ours).map(|text| {
        let end = text.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
        text.get(..end.unwrap_or(text.len())).unwrap_or_default()
    });
    names
        .filter(|name| !name.is_empty() && *name != "BANGER_")
        .map(str::to_owned)
        .collect()
}

fn check_layout(files: &Files) -> Vec<Finding> {
    let Some(layout) = files.text(LAYOUT) else {
        return vec![Finding::new(
            LAYOUT,
            None,
            "the file that makes every path is gone",
            "name its new place in xtask/src/tidy/documented.rs",
        )];
    };
    if files.text(STATE).is_none() {
        return vec![Finding::new(
            STATE,
            None,
            "the list of every path does not exist",
            format!("list what {LAYOUT} makes"),
        )];
    }
    let functions = path_functions(layout).into_iter();
    functions
        .filter(|(_, name)| !mentions(files, STATE, name))
        .map(|(line, name)| {
            Finding::new(
                LAYOUT,
                Some(line),
                format!("the path '{name}' is documented nowhere"),
                format!("list `{name}` in {STATE}: what it is, who writes it, who removes it"),
            )
        })
        .collect()
}

/// Line (from 1) and name of each public function that gives a path. A signature may have several lines.
fn path_functions(text: &str) -> Vec<(usize, String)> {
    let mut functions = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(rest) = line.trim_start().strip_prefix("pub fn ") else {
            continue;
        };
        let signature: String = text
            .lines()
            .skip(index)
            .take(12)
            .collect::<Vec<_>>()
            .join(" ");
        let signature = signature.split('{').next().unwrap_or_default();
        if signature.contains("-> PathBuf") || signature.contains("-> Option<PathBuf>") {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            functions.push((index + 1, name));
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_however_they_are_read() {
        assert_eq!(
            variables(r#"std::env::var("XDG_STATE_HOME")"#),
            ["XDG_STATE_HOME"]
        );
        assert_eq!(
            variables(r#"env::var_os("HOME").or(var_os("PATH"))"#),
            ["HOME", "PATH"]
        );
        assert_eq!(
            variables(r#"#[arg(long, env = "BANGER_SOCKET")]"#)[0],
            "BANGER_SOCKET"
        );
        assert_eq!(
            variables(r#"const LOG: &str = "BANGER_LOG";"#),
            ["BANGER_LOG"]
        );
        assert!(variables(r#"// env::var("X")"#).is_empty());
        assert!(variables(r#"get("BANGER_")"#).is_empty());
    }

    #[test]
    fn a_variable_that_no_page_names_is_found_once() {
        let source = "crates/banger/src/a.rs";
        let text = "fn f() { var(\"BANGER_A\"); }\nfn g() { var(\"BANGER_A\"); }";
        let layout = (LAYOUT, "");
        let found = check(&Files::of(&[(source, text), layout, (STATE, "")]));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("crates/banger/src/a.rs:1"));
        assert!(check(&Files::of(&[(source, text), layout, (STATE, "`BANGER_A`")])).is_empty());
        let tests_only = [("crates/banger/tests/t1.rs", text), layout, (STATE, "")];
        assert!(check(&Files::of(&tests_only)).is_empty());
    }

    #[test]
    fn variables_of_tests_belong_to_the_page_on_tests() {
        let source = ("crates/bangerd/src/a.rs", "var(\"BANGER_TEST_X\")");
        assert_eq!(
            check(&Files::of(&[
                source,
                (LAYOUT, ""),
                (STATE, "`BANGER_TEST_X`")
            ]))
            .len(),
            1
        );
        assert!(
            check(&Files::of(&[
                source,
                (LAYOUT, ""),
                (STATE, ""),
                (TESTING, "`BANGER_TEST_X`")
            ]))
            .is_empty()
        );
    }

    #[test]
    fn a_path_that_the_page_does_not_name_is_found() {
        let layout = "impl L {\n    pub fn images(&self) -> PathBuf {\n    }\n    pub fn image(\n        &self,\n    ) -> PathBuf {\n    }\n    pub fn fits(p: &Path) -> bool {}\n}";
        let found = check(&Files::of(&[(LAYOUT, layout), (STATE, "`images`")]));
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .to_string()
                .contains("layout.rs:4: the path 'image' ")
        );
    }

    #[test]
    fn a_missing_page_is_said_plainly() {
        let found = check(&Files::of(&[(LAYOUT, "pub fn a() -> PathBuf {")]));
        assert!(found[0].to_string().contains("does not exist"));
        assert!(check(&Files::of(&[]))[0].to_string().contains("is gone"));
    }
}
