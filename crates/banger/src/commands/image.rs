//! `banger image`.

use super::App;
use super::template::Prepare;
use crate::client::path;
use crate::client::request::Ask;
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::show::{artifact, words};
use crate::{operation, upload};
use banger_model::ArtifactName;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::artifact::Image;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use hyper::Method;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Images: root file systems that machines boot
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List images
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  banger image list\n  banger image ls -q"
    )]
    List,
    /// Show everything about an image
    #[command(after_help = "Examples:\n  banger image show debian")]
    Show(Named),
    /// Make an image of a root file system in a tar archive
    Import(Import),
    /// Make the default image with the host's package manager
    Make(Make),
    /// Boot a machine once, for others of its kind to go on from
    Prepare(Box<Prepare>),
    /// Delete an image that no machine uses
    #[command(visible_alias = "rm", after_help = "Examples:\n  banger image rm old")]
    Delete(Named),
}

/// An image by name.
#[derive(Debug, Args)]
pub struct Named {
    /// The image
    #[arg(value_name = "IMAGE", add = ArgValueCandidates::new(complete::images))]
    name: String,
}

/// `banger image import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  banger image import alpine-rootfs.tar
  docker export web | banger image import - web
  xz -dc rootfs.tar.xz | banger image import - bookworm")]
pub struct Import {
    /// The archive; '-' reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The image's name [default: the file's, without .tar]
    name: Option<ArtifactName>,
}

/// `banger image make`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  banger image make
  banger image make debian-test")]
pub struct Make {
    /// The image's name
    #[arg(default_value = "debian")]
    name: ArtifactName,
}

impl ImageCommand {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault, or one about the file.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::List => list(app).await,
            Self::Show(Named { name }) => {
                let image = app
                    .client()
                    .await?
                    .get(path::of("images", &name, ""))
                    .await?;
                tell(app, &image)
            }
            Self::Import(import) => import.run(app).await,
            Self::Make(Make { name }) => {
                let path = path::of("images", name.as_str(), "/bootstrap");
                make(app, Ask::json(Method::POST, path, &serde_json::json!({}))).await
            }
            Self::Prepare(prepare) => prepare.run(app).await,
            Self::Delete(Named { name }) => {
                let client = app.client().await?;
                let ask = Ask::bare(Method::DELETE, path::of("images", &name, ""));
                client.json::<serde::de::IgnoredAny>(ask).await?;
                app.deleted(&name)
            }
        }
    }
}

async fn list(app: &App) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let images: Vec<Image> = client.get(path::plain("images")).await?;
    if app.show.json {
        app.show.json(&images)?;
    } else if app.show.quiet {
        app.show.lines(images.iter().map(|image| &image.name))?;
    } else {
        app.show.table(&artifact::images(&images, words::now()))?;
    }
    Ok(Exit::Success)
}

fn tell(app: &App, image: &Image) -> Result<Exit, Failure> {
    if app.show.json {
        app.show.json(image)?;
    } else if app.show.quiet {
        app.show.line(&image.name)?;
    } else {
        app.show.table(&artifact::image(image, words::now()))?;
    }
    Ok(Exit::Success)
}

async fn make(app: &App, ask: Ask) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let progress = app.show.progress();
    let image: Image = operation::run(&client, ask, &progress).await?;
    drop(progress);
    if app.show.json {
        app.show.json(&image)?;
    } else {
        app.show.line(&image.name)?;
    }
    Ok(Exit::Success)
}

impl Import {
    async fn run(self, app: &App) -> Result<Exit, Failure> {
        let name = match self.name {
            Some(name) => name,
            None => name_of(&self.file)?,
        };
        let (source, length, origin) = open(&self.file)?;
        let query = format!("?origin={}", path::percent_encode(&origin));
        let mut ask = Ask::bare(Method::PUT, path::of("images", name.as_str(), &query));
        ask.headers = vec![("content-type", "application/x-tar".into())];
        ask.headers
            .extend(length.map(|length| ("content-length", length.to_string())));
        make(app, ask.with_long_body(upload::parts(source))).await
    }
}

type Opened = (Box<dyn Read + Send>, Option<u64>, String);

fn open(path: &Path) -> Result<Opened, Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), None, "standard input".into()));
    }
    let failed = |error: std::io::Error| {
        Fault::new(
            FaultCode::BadRequest,
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if found.is_dir() {
        return Err(Failure::usage(
            format!("{} is a directory, not a tar archive", path.display()),
            "pack it: `tar -C DIR -c . | banger image import - NAME`",
        ));
    }
    let length = found.is_file().then_some(found.len());
    let origin = std::path::absolute(path).map_err(failed)?;
    Ok((
        Box::new(file),
        length,
        origin.to_string_lossy().into_owned(),
    ))
}

/// The file's name without what says that it is an archive.
fn name_of(path: &Path) -> Result<ArtifactName, Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let endings = [".tgz", ".gz", ".xz", ".zst", ".tar"];
    let stem = endings.iter().fold(&*file, |name, ending| {
        name.strip_suffix(ending).unwrap_or(name)
    });
    let unusable = |error: &dyn std::fmt::Display| {
        Failure::usage(
            format!("{} gives no image name: {error}", path.display()),
            format!(
                "name the image: `banger image import {} NAME`",
                path.display()
            ),
        )
    };
    match stem {
        "-" => Err(unusable(&"it is standard input")),
        stem => stem.parse().map_err(|error| unusable(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_after_its_file() {
        let name = |path: &str| name_of(path.as_ref()).map(|name| name.to_string());
        for (path, expected) in [
            ("/x/alpine.tar", "alpine"),
            ("debian-12.1.tar.gz", "debian-12.1"),
            ("root.tgz", "root"),
            ("plain", "plain"),
        ] {
            assert_eq!(name(path).expect("a name"), expected);
        }
        for path in ["-", "/", "my image.tar", ".tar"] {
            let failure = name(path).expect_err("no name");
            assert_eq!(failure.exit, Exit::Usage, "{path}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_a_usage_failure() {
        assert!(open("/no/such/file".as_ref()).is_err());
        let failure = open("/".as_ref()).err().expect("a directory");
        assert!(failure.fault.remedy.is_some());
    }
}
