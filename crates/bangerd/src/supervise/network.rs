//! How a sandbox that is to be created is connected: judged before anything is made.

use banger_model::SandboxId;
use banger_model::spec::{NetworkMode, Source, Sourced, Spec};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::CreateRequest;
use std::collections::BTreeSet;

/// The mode: the request's, the configured one, or the bridge where there is one.
///
/// # Errors
/// When the bridge is asked for and cannot be had, or what needs it is asked for without it.
pub(super) fn mode(
    request: &CreateRequest,
    configured: Option<NetworkMode>,
    bridge: &Result<(), Fault>,
) -> Result<Sourced<NetworkMode>, Fault> {
    let mode = match (request.network, configured, bridge) {
        (Some(mode), _, _) => Sourced::new(mode, Source::Request),
        (None, Some(mode), _) => Sourced::new(mode, Source::Config),
        (None, None, Ok(())) => Sourced::new(NetworkMode::Bridge, Source::Host),
        (None, None, Err(_)) => Sourced::new(NetworkMode::User, Source::Host),
    };
    if mode.value == NetworkMode::Bridge {
        bridge.clone()?;
    }
    let option = match (request.networks.is_empty(), request.links.is_empty()) {
        (false, _) => "--join",
        (true, false) => "--link",
        (true, true) => return Ok(mode),
    };
    match (mode.value, bridge) {
        (NetworkMode::Bridge, _) => Ok(mode),
        (_, Err(fault)) => Err(fault.clone()),
        (other, Ok(())) => {
            let message = format!("{option} needs the bridge, and the network is {other:?}");
            Err(Fault::new(FaultCode::BadRequest, message.to_lowercase())
                .with_remedy(format!("give --network bridge, or leave out {option}")))
        }
    }
}

/// Whether a sandbox whose place on the bridge cannot be had may be connected otherwise: it is on the
/// bridge by default, and nothing that needs it was asked for.
pub(super) fn may_fall_back(spec: &Spec) -> bool {
    spec.network.source == Source::Host && spec.networks.is_empty() && spec.links.is_empty()
}

/// The sandboxes that it is to be linked with.
///
/// # Errors
/// When there is no such sandbox.
pub(super) fn links(
    request: &CreateRequest,
    find: impl Fn(&str) -> Result<SandboxId, Fault>,
) -> Result<BTreeSet<SandboxId>, Fault> {
    request
        .links
        .iter()
        .map(|reference| find(reference))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(network: Option<NetworkMode>, networks: &[&str]) -> CreateRequest {
        CreateRequest {
            network,
            networks: networks
                .iter()
                .map(|n| n.parse().expect("a name"))
                .collect(),
            ..CreateRequest::default()
        }
    }

    fn nobody() -> Result<(), Fault> {
        Err(Fault::new(FaultCode::Unavailable, "no root"))
    }

    #[test]
    fn the_bridge_is_taken_where_there_is_one_and_the_request_has_the_last_word() {
        use NetworkMode::{Bridge, None as Nothing, User};
        let cases = [
            (request(None, &[]), None, Ok(()), Bridge, Source::Host),
            (request(None, &[]), None, nobody(), User, Source::Host),
            (
                request(None, &[]),
                Some(Nothing),
                Ok(()),
                Nothing,
                Source::Config,
            ),
            (
                request(Some(User), &[]),
                Some(Bridge),
                Ok(()),
                User,
                Source::Request,
            ),
        ];
        for (request, configured, bridge, value, source) in cases {
            let found = mode(&request, configured, &bridge).expect("possible");
            assert_eq!(found, Sourced::new(value, source));
        }
    }

    #[test]
    fn what_needs_the_bridge_is_refused_without_it_with_the_reason() {
        let bridge = request(Some(NetworkMode::Bridge), &[]);
        assert_eq!(
            mode(&bridge, None, &nobody()),
            nobody().map(|()| unreachable!())
        );
        let shared = request(None, &["shop"]);
        assert_eq!(
            mode(&shared, None, &nobody()),
            nobody().map(|()| unreachable!())
        );
        let shared = request(Some(NetworkMode::User), &["shop"]);
        let fault = mode(&shared, None, &Ok(())).expect_err("refused");
        assert_eq!(fault.code, FaultCode::BadRequest);
        assert_eq!(
            fault.remedy.as_deref(),
            Some("give --network bridge, or leave out --join")
        );
    }

    #[test]
    fn a_link_to_nobody_is_refused() {
        let mut request = CreateRequest::default();
        request.links.push("web".into());
        let not_there = || Fault::new(FaultCode::NotFound, "there is no sandbox");
        assert_eq!(links(&request, |_| Err(not_there())), Err(not_there()));
        let id = SandboxId::from_random([1; 16]);
        assert_eq!(links(&request, |_| Ok(id)), Ok([id].into()));
    }
}
