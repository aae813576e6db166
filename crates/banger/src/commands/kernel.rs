//! `banger kernel`.

use super::App;
use crate::client::path;
use crate::client::request::Ask;
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::{artifact, words};
use banger_model::ArtifactName;
use banger_proto::owner::artifact::{Kernel, KernelImport};
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use hyper::Method;
use std::path::{Path, PathBuf};

/// Kernels that machines boot
#[derive(Debug, Subcommand)]
pub enum KernelCommand {
    /// List kernels
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  banger kernel list\n  banger kernel ls --json"
    )]
    List,
    /// Show everything about a kernel
    #[command(after_help = "Examples:\n  banger kernel show default")]
    Show(Named),
    /// Take a kernel in
    Import(Import),
    /// Delete a kernel that no machine uses
    #[command(
        visible_alias = "delete",
        after_help = "Examples:\n  banger kernel rm old"
    )]
    Rm(Named),
}

/// A kernel by name.
#[derive(Debug, Args)]
pub struct Named {
    /// The kernel
    #[arg(value_name = "KERNEL", add = ArgValueCandidates::new(complete::kernels))]
    name: String,
}

/// `banger kernel import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  banger kernel import default --default
  banger kernel import cloud --distribution-package linux-image-cloud-amd64
  banger kernel import k612 --package ./linux-image-6.12.deb
  banger kernel import mine --directory ~/linux/out
  banger kernel import bare --file ./vmlinux")]
pub struct Import {
    /// The kernel's name
    name: ArtifactName,
    #[command(flatten)]
    from: From,
}

/// Where it comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct From {
    /// From a distribution's package file
    #[arg(long, value_name = "FILE")]
    package: Option<PathBuf>,
    /// From a directory with a kernel, and modules if it has them
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// From a kernel image, without modules
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// From a package that the host's package manager fetches
    #[arg(long, value_name = "PACKAGE")]
    distribution_package: Option<String>,
    /// What the host's package manager offers for virtual machines
    #[arg(long)]
    default: bool,
}

impl From {
    fn request(self) -> Result<KernelImport, Failure> {
        Ok(match self {
            Self {
                package: Some(path),
                ..
            } => KernelImport::Package {
                path: absolute(&path)?,
            },
            Self {
                directory: Some(path),
                ..
            } => KernelImport::Directory {
                path: absolute(&path)?,
            },
            Self {
                file: Some(path), ..
            } => KernelImport::File {
                path: absolute(&path)?,
            },
            Self {
                distribution_package: Some(name),
                ..
            } => KernelImport::DistributionPackage { name },
            Self { .. } => KernelImport::Default,
        })
    }
}

/// The daemon's working directory is not ours.
fn absolute(path: &Path) -> Result<String, Failure> {
    let unusable = |cause: &dyn std::fmt::Display| {
        Failure::usage(
            format!("cannot use the path {}: {cause}", path.display()),
            "give a path that is there and is UTF-8",
        )
    };
    let whole = std::path::absolute(path).map_err(|error| unusable(&error))?;
    std::fs::metadata(&whole).map_err(|error| unusable(&error))?;
    whole
        .into_os_string()
        .into_string()
        .map_err(|_| unusable(&"it is not UTF-8"))
}

impl KernelCommand {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault, or one about the path.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::List => list(app).await,
            Self::Show(Named { name }) => {
                let kernel = app
                    .client()
                    .await?
                    .get(path::of("kernels", &name, ""))
                    .await?;
                tell(app, &kernel)
            }
            Self::Import(Import { name, from }) => {
                let request = from.request()?;
                let path = path::of("kernels", name.as_str(), "");
                import(app, Ask::json(Method::POST, path, &request)).await
            }
            Self::Rm(Named { name }) => {
                let ask = Ask::bare(Method::DELETE, path::of("kernels", &name, ""));
                let client = app.client().await?;
                client.json::<serde::de::IgnoredAny>(ask).await?;
                app.deleted(&name)
            }
        }
    }
}

async fn list(app: &App) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let kernels: Vec<Kernel> = client.get(path::plain("kernels")).await?;
    if app.show.json {
        app.show.json(&kernels)?;
    } else if app.show.quiet {
        app.show.lines(kernels.iter().map(|kernel| &kernel.name))?;
    } else {
        app.show.table(&artifact::kernels(&kernels, words::now()))?;
    }
    Ok(Exit::Success)
}

fn tell(app: &App, kernel: &Kernel) -> Result<Exit, Failure> {
    if app.show.json {
        app.show.json(kernel)?;
    } else if app.show.quiet {
        app.show.line(&kernel.name)?;
    } else {
        app.show.table(&artifact::kernel(kernel, words::now()))?;
    }
    Ok(Exit::Success)
}

async fn import(app: &App, ask: Ask) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let progress = app.show.progress();
    let kernel: Kernel = operation::run(&client, ask, &progress).await?;
    drop(progress);
    if app.show.json {
        app.show.json(&kernel)?;
    } else {
        app.show.line(&kernel.name)?;
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> From {
        From {
            package: None,
            directory: None,
            file: None,
            distribution_package: None,
            default: true,
        }
    }

    #[test]
    fn each_origin_has_its_request_and_paths_are_absolute() {
        assert_eq!(from().request().expect("fine"), KernelImport::Default);
        let file = From {
            file: Some("Cargo.toml".into()),
            ..from()
        };
        let KernelImport::File { path } = file.request().expect("fine") else {
            panic!("not a file")
        };
        assert!(
            path.starts_with('/') && path.ends_with("/Cargo.toml"),
            "{path}"
        );
        let missing = From {
            directory: Some("/no/such/directory".into()),
            ..from()
        };
        assert_eq!(missing.request().expect_err("missing").exit, Exit::Usage);
    }
}
