//! Images and kernels.

use super::table::{Table, Tone};
use super::words::{age, show_bytes};
use banger_proto::owner::artifact::{Image, Kernel};

fn mark(default: bool) -> &'static str {
    if default { "yes" } else { "" }
}

/// The table of `image list`.
#[must_use]
pub fn images(images: &[Image], now: u64) -> Table {
    let mut table = Table::new(&[
        "NAME", "DEFAULT", "INIT", "DISK", "AGE", "USED BY", "ORIGIN",
    ]);
    for image in images {
        table.row([
            (image.name.as_str(), Tone::Plain),
            (mark(image.default), Tone::Good),
            (image.init.as_deref().unwrap_or("none"), Tone::Plain),
            (&show_bytes(image.disk_used), Tone::Plain),
            (&age(image.created_at, now), Tone::Plain),
            (&image.used_by.len().to_string(), Tone::Plain),
            (&image.origin, Tone::Faint),
        ]);
    }
    table
}

/// The table of `kernel list`.
#[must_use]
pub fn kernels(kernels: &[Kernel], now: u64) -> Table {
    let mut table = Table::new(&[
        "NAME", "DEFAULT", "VERSION", "MODULES", "AGE", "USED BY", "ORIGIN",
    ]);
    for kernel in kernels {
        table.row([
            (kernel.name.as_str(), Tone::Plain),
            (mark(kernel.default), Tone::Good),
            (&kernel.version, Tone::Plain),
            (if kernel.modules { "yes" } else { "no" }, Tone::Plain),
            (&age(kernel.imported_at, now), Tone::Plain),
            (&kernel.used_by.len().to_string(), Tone::Plain),
            (&kernel.origin, Tone::Faint),
        ]);
    }
    table
}

fn properties<'a>(lines: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = Table::new(&[]);
    for (what, text) in lines {
        table.row([(what.to_owned(), Tone::Strong), (text, Tone::Plain)]);
    }
    table
}

/// Everything about an image.
#[must_use]
pub fn image(image: &Image, now: u64) -> Table {
    properties([
        ("name", image.name.clone()),
        ("origin", image.origin.clone()),
        ("sha256", image.sha256.clone()),
        ("architecture", image.architecture.clone()),
        ("init", image.init.clone().unwrap_or_else(|| "none".into())),
        ("disk used", show_bytes(image.disk_used)),
        ("age", age(image.created_at, now)),
        ("used by", image.used_by.join(", ")),
        ("default", if image.default { "yes" } else { "no" }.into()),
    ])
}

/// Everything about a kernel.
#[must_use]
pub fn kernel(kernel: &Kernel, now: u64) -> Table {
    properties([
        ("name", kernel.name.clone()),
        ("version", kernel.version.clone()),
        ("origin", kernel.origin.clone()),
        ("sha256", kernel.sha256.clone()),
        ("architecture", kernel.architecture.clone()),
        ("modules", if kernel.modules { "yes" } else { "no" }.into()),
        ("age", age(kernel.imported_at, now)),
        ("used by", kernel.used_by.join(", ")),
        ("default", if kernel.default { "yes" } else { "no" }.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_init_says_so_and_the_default_is_marked() {
        let sample = Image {
            name: "debian".into(),
            sha256: "00".into(),
            origin: "mmdebstrap".into(),
            architecture: "x86_64".into(),
            init: None,
            disk_used: 300 << 20,
            created_at: 0,
            used_by: vec!["dev".into()],
            default: true,
        };
        insta::assert_snapshot!(images(&[sample], 60).render(false), @"
        NAME    DEFAULT  INIT  DISK    AGE   USED BY  ORIGIN
        debian  yes      none  300MiB  1min  1        mmdebstrap
        ");
    }
}
