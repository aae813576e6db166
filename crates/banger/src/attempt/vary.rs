//! Which attempt gets which values. Pure.

use crate::exit::Failure;
use std::fmt;
use std::str::FromStr;

/// `NAME=A,B,C`: a variable, and the values that attempts get one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    name: String,
    values: Vec<String>,
}

/// Why a text is no variation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no variation: write NAME=VALUE,VALUE,…")]
pub struct BadVariation(String);

impl FromStr for Variation {
    type Err = BadVariation;

    fn from_str(text: &str) -> Result<Self, BadVariation> {
        let bad = || BadVariation(text.to_owned());
        let (name, values) = text.split_once('=').ok_or_else(bad)?;
        if name.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            values: values.split(',').map(str::to_owned).collect(),
        })
    }
}

/// The values of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(pub Vec<(String, String)>);

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.0.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// The most attempts of one try.
pub const MOST: usize = 100;

/// The values of each attempt: every combination, the last variable changing fastest; `zipped`, the first values of
/// all, then the second ones. Where more attempts are wanted than there are, they begin again with the first.
///
/// # Errors
/// A usage failure: a variable occurs twice, `zipped` ones are not equally many, fewer attempts are wanted than
/// there are combinations, or more than [`MOST`].
pub fn values(
    number: Option<usize>,
    variations: &[Variation],
    zipped: bool,
) -> Result<Vec<Values>, Failure> {
    for (position, one) in variations.iter().enumerate() {
        if variations
            .iter()
            .skip(position + 1)
            .any(|other| other.name == one.name)
        {
            let message = format!("--vary {} is there twice", one.name);
            return Err(Failure::usage(message, "give all its values in one"));
        }
    }
    let rows = match zipped {
        true => zip(variations)?,
        false => product(variations)?,
    };
    let number = number.unwrap_or(rows.len());
    if number < rows.len() {
        let message = format!("-n {number} is fewer than the {} combinations", rows.len());
        return Err(Failure::usage(message, "leave -n out, or vary less"));
    }
    if number > MOST {
        return Err(too_many(number));
    }
    Ok(rows.iter().cycle().take(number).cloned().collect())
}

fn too_many(number: usize) -> Failure {
    let message = format!("{number} attempts are more than {MOST}");
    Failure::usage(message, "try fewer at once")
}

fn product(variations: &[Variation]) -> Result<Vec<Values>, Failure> {
    let combinations = variations
        .iter()
        .fold(1, |all: usize, one| all.saturating_mul(one.values.len()));
    if combinations > MOST {
        return Err(too_many(combinations));
    }
    let mut rows = vec![Values::default()];
    for variation in variations {
        let with_each = |row: &Values| {
            let row = row.0.clone();
            variation.values.iter().map(move |value| {
                let pair = (variation.name.clone(), value.clone());
                Values(row.iter().cloned().chain([pair]).collect())
            })
        };
        rows = rows.iter().flat_map(with_each).collect();
    }
    Ok(rows)
}

fn zip(variations: &[Variation]) -> Result<Vec<Values>, Failure> {
    let count = variations.first().map_or(1, |one| one.values.len());
    if let Some(other) = variations.iter().find(|one| one.values.len() != count) {
        let message = format!(
            "with --zip all have equally many values: {} has {}, the first {count}",
            other.name,
            other.values.len()
        );
        return Err(Failure::usage(message, "give as many, or leave --zip out"));
    }
    let row = |number: usize| {
        let pairs = variations.iter().filter_map(|one| {
            let value = one.values.get(number)?;
            Some((one.name.clone(), value.clone()))
        });
        Values(pairs.collect())
    };
    Ok((0..count).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn rows(number: Option<usize>, given: &[&str], zipped: bool) -> Result<Vec<String>, Failure> {
        let given: Vec<Variation> = given.iter().map(|text| text.parse().expect(text)).collect();
        let rows = values(number, &given, zipped)?;
        Ok(rows.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_combination_is_tried_or_with_zip_the_first_with_the_first() {
        let given = ["A=1,2", "B=x,y"];
        let all = rows(None, &given, false).expect("fine");
        assert_eq!(all, ["A=1 B=x", "A=1 B=y", "A=2 B=x", "A=2 B=y"]);
        let zipped = rows(None, &given, true).expect("fine");
        assert_eq!(zipped, ["A=1 B=x", "A=2 B=y"]);
        assert_eq!(rows(None, &["A="], false).expect("fine"), ["A="]);
        assert_eq!(rows(Some(2), &[], false).expect("fine"), ["", ""]);
    }

    #[test]
    fn more_attempts_than_combinations_begin_again_and_fewer_are_refused() {
        assert_eq!(
            rows(Some(3), &["A=1,2"], false).expect("fine"),
            ["A=1", "A=2", "A=1"]
        );
        for (number, given, zipped) in [
            (Some(1), &["A=1,2"][..], false),
            (None, &["A=1,2", "B=1"], true),
            (None, &["A=1", "A=2"], false),
            (Some(101), &[], false),
        ] {
            let failure = rows(number, given, zipped).expect_err("refused");
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.fault.remedy.is_some());
        }
        let many = ["A=1,2,3,4,5", "B=1,2,3,4,5", "C=1,2,3,4,5"];
        assert!(rows(None, &many, false).is_err());
        for text in ["A", "=1", ""] {
            assert!(text.parse::<Variation>().is_err(), "{text}");
        }
    }
}
