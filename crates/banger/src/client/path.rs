//! Paths of the owner API.

use banger_proto::owner::PREFIX;
use std::fmt::Write;

/// `/v1/sandboxes/<ref>` and what comes behind it.
#[must_use]
pub fn sandbox(reference: &str, rest: &str) -> String {
    of("sandboxes", reference, rest)
}

/// `/v1/<collection>/<name>` and what comes behind it.
#[must_use]
pub fn of(collection: &str, name: &str, rest: &str) -> String {
    format!("{PREFIX}/{collection}/{}{rest}", percent_encode(name))
}

/// `/v1/<rest>`.
#[must_use]
pub fn plain(rest: &str) -> String {
    format!("{PREFIX}/{rest}")
}

/// Escapes everything but the unreserved characters (RFC 3986 section 2.3). `.` and `..`, which a
/// server may take for steps in the path, are escaped, too.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let only_dots = matches!(text, "." | "..");
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
        if plain || (byte == b'.' && !only_dots) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_user_types_can_leave_its_component() {
        for (text, encoded) in [
            ("dev", "dev"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("..", "%2E%2E"),
            ("debian-12.1", "debian-12.1"),
            ("ü\r\n", "%C3%BC%0D%0A"),
        ] {
            assert_eq!(percent_encode(text), encoded);
        }
        assert_eq!(sandbox("a/../b", "/exec"), "/v1/sandboxes/a%2F..%2Fb/exec");
    }
}
