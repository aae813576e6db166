//! Looking at the host for what is left of ours, and removing that.

use super::host::survey;
use super::{HostNetwork, ask, cannot, choice};
use crate::operation::OpId;
use banger_model::host_names::Installation;
use banger_proto::fault::Fault;
use banger_proto::root::{Survey, Verb};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::PoisonError;

/// What the helper sees.
#[derive(Debug, Clone)]
pub struct Helped {
    /// Whose the objects are that are ours.
    pub installation: Installation,
    /// What of ours exists.
    pub survey: Survey,
}

/// The bridge as the daemon has made it.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// Where names are served, if they are.
    pub names: Option<SocketAddr>,
}

impl HostNetwork {
    /// What the daemon has made, if it has.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let ready = self.current()?;
        Some(Standing {
            names: ready.names_at(),
        })
    }

    /// The installation's id as it is remembered.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn installation(&self) -> Result<Option<String>, Fault> {
        Ok(self.store.setting(choice::INSTALLATION).await?)
    }

    /// Gives the installation its id, if it has none: so that nobody who only looks has to.
    ///
    /// # Errors
    /// When it cannot be remembered.
    pub async fn found_installation(&self) -> Result<(), Fault> {
        choice::installation(&self.store).await.map(drop)
    }

    /// Has the helper look; it is started if it does not run.
    ///
    /// # Errors
    /// When there is no helper.
    pub async fn look(&self, op: OpId) -> Result<Helped, Fault> {
        self.availability()?;
        let installation = choice::installation(&self.store).await?;
        let host = self
            .helper
            .host(&self.config.name, installation, op)
            .await?;
        let survey = survey(&*host, op)
            .await
            .map_err(|error| cannot("survey the host's network", error))?;
        Ok(Helped {
            installation,
            survey,
        })
    }

    /// Removes what of ours no guest needs. Where the bridge is ready that is the daemon's daily work, and
    /// there is nothing to do.
    ///
    /// # Errors
    /// What the host said.
    pub async fn sweep(&self, op: OpId) -> Result<(), Fault> {
        let _nobody_prepares = self.preparing.lock().await;
        if self.current().is_some() {
            return Ok(());
        }
        let adopted: BTreeSet<_> = {
            let adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
            adopted.values().map(|adopted| adopted.slot).collect()
        };
        let needed = !adopted.is_empty();
        let installation = choice::installation(&self.store).await?;
        let host = self
            .helper
            .host(&self.config.name, installation, op)
            .await?;
        let sweep = Verb::Sweep {
            live: adopted
                .try_into()
                .map_err(|error| cannot("sweep the host's network", error))?,
            bridge: needed,
            policy: needed,
        };
        ask(&*host, op, "sweep the host's network", sweep)
            .await
            .map(drop)
    }
}
