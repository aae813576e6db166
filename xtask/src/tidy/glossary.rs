//! One meaning for each word: `docs/words.md` defines each once, in the order of the alphabet.

use super::Finding;

/// The glossary: one line for each word, `**word**: meaning`.
pub(crate) const FILE: &str = "docs/words.md";

/// Checks the glossary's text.
pub(crate) fn check(text: Option<&str>) -> Vec<Finding> {
    let Some(text) = text else {
        return vec![Finding::new(
            FILE,
            None,
            "the glossary does not exist",
            "define the project's words, one in a line",
        )];
    };
    let mut findings = Vec::new();
    let mut previous = String::new();
    for (index, line) in text.lines().enumerate() {
        let Some((word, meaning)) = line
            .strip_prefix("- **")
            .and_then(|rest| rest.split_once("**:"))
        else {
            continue;
        };
        let word = word.to_lowercase();
        let problem = if word == previous {
            Some("is defined twice")
        } else if word < previous {
            Some("is out of order")
        } else if meaning.trim().is_empty() {
            Some("has no meaning")
        } else {
            None
        };
        if let Some(problem) = problem {
            findings.push(Finding::new(
                FILE,
                Some(index + 1),
                format!("'{word}' {problem}"),
                "give each word one line, in the order of the alphabet",
            ));
        }
        previous = word;
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_order_with_a_meaning_hold() {
        assert!(check(Some("# Words\n\n- **agent**: one.\n- **VMM**: two.\n")).is_empty());
    }

    #[test]
    fn a_word_twice_out_of_order_or_empty_is_found() {
        for text in [
            "- **a**: x\n- **a**: y",
            "- **b**: x\n- **a**: y",
            "- **a**:\n",
        ] {
            assert_eq!(check(Some(text)).len(), 1, "{text}");
        }
        assert_eq!(check(None).len(), 1);
    }
}
