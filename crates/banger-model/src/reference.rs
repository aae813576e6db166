//! References: how a user points at a sandbox, by name, id or unique prefix of the id.

use crate::{SandboxId, SandboxName};

/// Why a reference points at no single sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// Nothing has that name or an id that begins so.
    #[error("there is no sandbox {reference:?}")]
    Unknown {
        /// What was given.
        reference: String,
    },
    /// Several ids begin so.
    #[error("{reference:?} is the beginning of {} ids: {}", names.len(), names.join(", "))]
    Ambiguous {
        /// What was given.
        reference: String,
        /// The names of the sandboxes that match, in order.
        names: Vec<String>,
    },
}

/// Finds the sandbox that a reference means. An exact name wins over a prefix of an id.
///
/// # Errors
/// `Unknown`, or `Ambiguous` with the names that match.
pub fn resolve<'a>(
    reference: &str,
    all: impl Iterator<Item = (SandboxId, &'a SandboxName)> + Clone,
) -> Result<SandboxId, Unresolved> {
    if let Some((id, _)) = all.clone().find(|(_, name)| name.as_str() == reference) {
        return Ok(id);
    }
    let matches: Vec<_> = all
        .filter(|(id, _)| !reference.is_empty() && id.to_string().starts_with(reference))
        .collect();
    match matches.as_slice() {
        [] => Err(Unresolved::Unknown {
            reference: reference.to_owned(),
        }),
        [(id, _)] => Ok(*id),
        several => {
            let mut names: Vec<_> = several.iter().map(|(_, name)| name.to_string()).collect();
            names.sort();
            Err(Unresolved::Ambiguous {
                reference: reference.to_owned(),
                names,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandboxes() -> Vec<(SandboxId, SandboxName)> {
        [(0xab, "web"), (0xac, "db"), (0xff, "ab")]
            .into_iter()
            .map(|(first, name)| {
                let mut bytes = [0; 16];
                bytes[0] = first;
                (SandboxId::from_random(bytes), name.parse().expect("a name"))
            })
            .collect()
    }

    fn find(reference: &str) -> Result<String, Unresolved> {
        let all = sandboxes();
        let id = resolve(reference, all.iter().map(|(id, name)| (*id, name)))?;
        Ok(all
            .iter()
            .find(|(other, _)| *other == id)
            .expect("there")
            .1
            .to_string())
    }

    #[test]
    fn a_name_an_id_and_a_unique_prefix_are_references() {
        assert_eq!(find("web").as_deref(), Ok("web"));
        assert_eq!(find("ac").as_deref(), Ok("db"));
        assert_eq!(
            find("ab000000000000000000000000000000").as_deref(),
            Ok("web")
        );
    }

    #[test]
    fn an_exact_name_wins_over_a_prefix() {
        assert_eq!(find("ab").as_deref(), Ok("ab"));
    }

    #[test]
    fn an_ambiguous_prefix_names_the_candidates() {
        let error = find("a").expect_err("two begin with a");
        assert_eq!(
            error.to_string(),
            "\"a\" is the beginning of 2 ids: db, web"
        );
    }

    #[test]
    fn nothing_is_not_a_prefix_of_everything() {
        for reference in ["", "nope", "abz"] {
            assert!(matches!(find(reference), Err(Unresolved::Unknown { .. })));
        }
    }
}
