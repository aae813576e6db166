//! Strays, as the daemon looks at them: told at its start, removed only when somebody asks.

use super::Supervisor;
use crate::services::blocking;
use crate::strays::{self, Stray};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::repair::{self, Strays};

fn shown(stray: &Stray, what: impl Into<String>) -> repair::Stray {
    repair::Stray {
        path: stray.path.display().to_string(),
        what: what.into(),
    }
}

impl Supervisor {
    /// What lies among the directories of sandboxes and belongs to none.
    ///
    /// # Errors
    /// When the directories cannot be read.
    pub async fn strays(&self) -> Result<Vec<Stray>, Fault> {
        let services = self.services.clone();
        blocking(move || {
            let found = strays::find(&services.layout, || services.registry.ids());
            found.map_err(|error| Fault::from_error(FaultCode::Failed, &error))
        })
        .await
    }

    /// Names them in the log.
    pub(super) async fn tell_strays(&self) {
        match self.strays().await {
            Ok(found) => {
                for stray in found {
                    let (path, what) = (stray.path.display(), stray.kind.what());
                    tracing::warn!("{path}: {what}");
                }
            }
            Err(fault) => tracing::warn!("cannot look for what no record knows: {fault}"),
        }
    }

    /// Removes those that nobody can miss.
    ///
    /// # Errors
    /// When directories or records cannot be read.
    pub async fn clear_strays(&self) -> Result<Strays, Fault> {
        let (_, unreadable) = self.services.store.all().await?;
        // One of them may be what a record is of that does not even tell its id.
        let uncertain = unreadable.iter().any(|one| one.record.is_none());
        let found = self.strays().await?;
        blocking(move || {
            let mut told = Strays::default();
            for stray in &found {
                let what = stray.kind.what();
                if !stray.kind.may_go() {
                    told.left.push(shown(stray, what));
                } else if uncertain {
                    let why = "there is a record whose id cannot be read: left alone";
                    told.left.push(shown(stray, format!("{what}; {why}")));
                } else {
                    match strays::remove(stray) {
                        Ok(()) => told.removed.push(shown(stray, what)),
                        Err(error) => told.left.push(shown(stray, format!("{what}: {error}"))),
                    }
                }
            }
            Ok(told)
        })
        .await
    }
}
