//! The forks of a try: all of one moment, made at once, held until this program lets go of them.

use crate::client::request::Ask;
use crate::client::{Client, Patience, path};
use crate::exit::Failure;
use crate::show::Show;
use crate::{creation, operation};
use banger_model::snapshot::Tag;
use banger_model::{SandboxName, Wait};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::{CreateRequest, ForkOf};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::Method;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::task::JoinHandle;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// All that were begun and are not let go of. Dropped, nobody holds them any more, and the daemon deletes them.
pub struct Forks {
    client: Rc<Client>,
    /// Those that are to be deleted, by their names: one that did not come up has nothing else.
    names: RefCell<Vec<String>>,
    holding: RefCell<Vec<JoinHandle<()>>>,
}

impl Drop for Forks {
    fn drop(&mut self) {
        self.holding.borrow().iter().for_each(JoinHandle::abort);
    }
}

impl Forks {
    /// None yet. To be used within a [`tokio::task::LocalSet`].
    #[must_use]
    pub fn new(client: Rc<Client>) -> Self {
        Self {
            client,
            names: RefCell::default(),
            holding: RefCell::default(),
        }
    }

    /// Makes so many, in their order.
    ///
    /// # Errors
    /// The first failure, once all have come to their end.
    pub async fn make(
        &self,
        of: &str,
        from: Option<&Tag>,
        count: usize,
    ) -> Result<Vec<Fork>, Failure> {
        let moment = creation::moment()?;
        let request = CreateRequest {
            ephemeral: true,
            start: Some(Wait::Agent),
            from: Some(ForkOf {
                sandbox: of.to_owned(),
                snapshot: from.cloned(),
                moment: Some(moment.clone()),
            }),
            ..CreateRequest::default()
        };
        let short = moment.get(..8).unwrap_or(&moment);
        let names: Vec<String> = (1..=count)
            .map(|index| format!("try-{short}-{index}"))
            .collect();
        self.names.borrow_mut().extend(names.iter().cloned());
        let making = names.iter().map(|name| self.one(name, &request));
        let made = join_all(making).await;
        made.into_iter().collect()
    }

    async fn one(&self, name: &str, request: &CreateRequest) -> Result<Fork, Failure> {
        let parsed: Result<SandboxName, _> = name.parse();
        let parsed = parsed.map_err(|error| Fault::new(FaultCode::Failed, error))?;
        let request = CreateRequest {
            name: Some(parsed),
            ..request.clone()
        };
        let made = creation::one_of_several(&self.client, &request).await?;
        let fork = Fork {
            id: made.id,
            name: made.name,
        };
        let holding = hold(Rc::clone(&self.client), fork.id.clone());
        self.holding
            .borrow_mut()
            .push(tokio::task::spawn_local(holding));
        Ok(fork)
    }

    /// One of them is not to be deleted.
    pub fn stays(&self, fork: &Fork) {
        self.names.borrow_mut().retain(|name| *name != fork.name);
    }

    /// Deletes all that are not to stay.
    ///
    /// # Errors
    /// The first fault, once all were asked for.
    pub async fn delete(&self) -> Result<(), Fault> {
        let names = self.names.take();
        let silent = Show::silent().progress();
        let deleting = names
            .iter()
            .map(|name| operation::delete(&self.client, name, &silent));
        join_all(deleting).await.into_iter().collect()
    }
}

/// Holds a fork for as long as this is awaited, over the daemon's end.
async fn hold(client: Rc<Client>, id: String) {
    let mut patience = Patience::begin();
    loop {
        let ask = Ask::bare(Method::GET, path::sandbox(&id, "/hold"));
        match client.open(ask).await {
            Ok(answer) => {
                let mut body = answer.into_body();
                while let Some(Ok(_)) = body.frame().await {}
                patience = Patience::begin();
            }
            Err(fault) if fault.code == FaultCode::NotFound => return,
            Err(_) => {}
        }
        if !patience.wait().await {
            return;
        }
    }
}
